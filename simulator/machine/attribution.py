"""Charging every moment of a step to the task on its critical path."""

from collections.abc import Sequence

from simulator.activity import Span, Unit


def attribute(
    spans: Sequence[Span], units: Sequence[Unit], follows: Sequence[tuple[int, ...]]
) -> tuple[list[int], int]:
    """Return the picoseconds charged to each task, and those charged to none.

    From the last completion (ties: the lowest index) walk back: a task's whole interval is
    charged to it; then on to the one it followed, or that its unit ran before, whose end is this
    start (ties: the lowest index). If none ends there, the gap to the latest end is idle. The
    pieces add up to the step's duration.
    """
    charged = [0] * len(spans)
    if not spans:
        return charged, 0
    before = _previous_on_unit(spans, units)
    index = max(range(len(spans)), key=lambda i: (spans[i].end_ps, -i))
    idle = 0
    while True:
        start = spans[index].start_ps
        charged[index] += spans[index].end_ps - start
        earlier = [i for i in (*follows[index], before[index]) if i >= 0]
        if not earlier or not start:
            return charged, idle + start
        latest = min(earlier, key=lambda i: (-spans[i].end_ps, i))
        idle += start - spans[latest].end_ps
        index = latest


def _previous_on_unit(spans: Sequence[Span], units: Sequence[Unit]) -> list[int]:
    order = sorted(range(len(spans)), key=lambda i: (spans[i].start_ps, spans[i].end_ps, i))
    last: dict[Unit, int] = {}
    before = [-1] * len(spans)
    for index in order:
        before[index] = last.get(units[index], -1)
        last[units[index]] = index
    return before
