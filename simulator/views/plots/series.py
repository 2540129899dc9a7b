"""Exact series out of a step: bytes per interval, busy time, bars that are wide enough to see."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple, TypedDict

from simulator.results.step_documents import FlowRow


class PhaseStretch(TypedDict):
    """Something of one phase between two moments: a task, or an op."""

    phase: str
    start_ps: int
    end_ps: int


class Bar(NamedTuple):
    """A stretch of time of one phase, in picoseconds."""

    phase: str
    start_ps: int
    end_ps: int


def bin_edges(duration_ps: int, bins: int) -> list[int]:
    """Return the edges of at most `bins` intervals that cover a step and differ by 1 ps at most."""
    count = max(1, min(bins, duration_ps))
    return [max(1, duration_ps) * i // count for i in range(count + 1)]


def binned_bytes(flows: Iterable[FlowRow], edges: Sequence[int]) -> dict[str, list[Fraction]]:
    """Return the bytes that each unit moved in each interval between `edges`, exactly.

    The bytes of a flow spread evenly over its time, so that intervals hold fractions of bytes;
    their sum is the sum of the flows. What takes no time belongs to the interval in which it is,
    what lies outside all of them to the nearest.
    """
    series: dict[str, list[Fraction]] = {}
    for flow in flows:
        row = series.setdefault(flow["unit"], [Fraction()] * (len(edges) - 1))
        for index, size in _spread(flow, edges):
            row[index] += size
    return series


def _spread(flow: FlowRow, edges: Sequence[int]) -> Iterable[tuple[int, Fraction]]:
    start, end = flow["start_ps"], flow["end_ps"]
    first, last = _interval(edges, start), _interval(edges, end - 1)
    if first >= last:
        yield first, Fraction(flow["bytes"])
        return
    for index in range(first, last + 1):
        low = start if index == first else edges[index]
        high = end if index == last else edges[index + 1]
        yield index, Fraction(flow["bytes"] * (high - low), end - start)


def _interval(edges: Sequence[int], moment: int) -> int:
    return min(max(bisect_right(edges, moment) - 1, 0), len(edges) - 2)


def busy_ps(tasks: Iterable[PhaseStretch]) -> int:
    """Return the time in which at least one of `tasks` ran."""
    busy, until = 0, 0
    for task in sorted(tasks, key=lambda task: (task["start_ps"], task["end_ps"])):
        busy += max(0, task["end_ps"] - max(task["start_ps"], until))
        until = max(until, task["end_ps"])
    return busy


def bars(tasks: Iterable[PhaseStretch], resolution_ps: int) -> list[Bar]:
    """Return the tasks of one lane as bars, in order of time.

    Neighbours of the same phase that are at most `resolution_ps` apart become one bar; so a step
    of thousands of tasks is drawn with as many rectangles as can be told apart.
    """
    merged: list[Bar] = []
    for task in sorted(tasks, key=lambda task: (task["start_ps"], task["end_ps"])):
        start, end, phase = task["start_ps"], task["end_ps"], task["phase"]
        if merged and merged[-1].phase == phase and start - merged[-1].end_ps <= resolution_ps:
            start, end = merged[-1].start_ps, max(end, merged[-1].end_ps)
            merged.pop()
        if end > start:
            merged.append(Bar(phase, start, end))
    return merged
