"""Exact sums of what tasks took and did, by any grouping."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, NamedTuple, TypeVar

from simulator.activity import Counts, Span
from simulator.trace.op import Phase

Key = TypeVar("Key", bound=Hashable)


class Ran(NamedTuple):
    """What the tasks of one step took and did, an entry per task in every field.

    `alone_ps` is how long each would have taken with the memory to itself.
    """

    layers: Sequence[str]
    phases: Sequence[Phase]
    spans: Sequence[Span]
    attributed_ps: Sequence[int]
    alone_ps: Sequence[int]
    on_cpu: Sequence[bool]
    counts: Sequence[Counts]
    peaks_uw: Sequence[int]


@dataclass(slots=True)
class Tally:
    """Sums over some tasks: attributed time, counts, busy times; and the highest power seen.

    `active_ps` is the time in which at least one of them ran, attributed to them or not;
    `contention_ps` what they took longer than each of them would have alone.
    """

    latency_ps: int = 0
    active_ps: int = 0
    cpu_busy_ps: int = 0
    accelerator_busy_ps: int = 0
    contention_ps: int = 0
    cpu_dram_bytes: int = 0
    peak_uw: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * len(Counts()))

    def add(self, other: "Tally", times: int = 1) -> None:
        """Add `times` the other tally."""
        self.latency_ps += other.latency_ps * times
        self.active_ps += other.active_ps * times
        self.cpu_busy_ps += other.cpu_busy_ps * times
        self.accelerator_busy_ps += other.accelerator_busy_ps * times
        self.contention_ps += other.contention_ps * times
        self.cpu_dram_bytes += other.cpu_dram_bytes * times
        self.peak_uw = max(self.peak_uw, other.peak_uw)
        self.counts = [a + b * times for a, b in zip(self.counts, other.counts, strict=True)]


def tallies(ran: Ran, keys: Iterable[Key]) -> dict[Key, Tally]:
    """Return the sums of the tasks of each key, keys in order of appearance."""
    groups: dict[Key, list[tuple[Any, ...]]] = {}
    for key, entry in zip(keys, zip(*ran, strict=True), strict=True):
        groups.setdefault(key, []).append(entry)
    return {key: _tally(Ran(*zip(*entries, strict=True))) for key, entries in groups.items()}


def contention_ps(took_ps: int, alone_ps: int) -> int:
    """Return what work took longer than it would have alone."""
    return max(0, took_ps - alone_ps)


def _tally(ran: Ran) -> Tally:
    took_ps = [end - start for start, end in ran.spans]
    by_cpu_ps = sum(compress(took_ps, ran.on_cpu))
    by_cpu = compress(ran.counts, ran.on_cpu)
    return Tally(
        latency_ps=sum(ran.attributed_ps),
        active_ps=union_ps(ran.spans),
        cpu_busy_ps=by_cpu_ps,
        accelerator_busy_ps=sum(took_ps) - by_cpu_ps,
        contention_ps=sum(map(contention_ps, took_ps, ran.alone_ps)),
        cpu_dram_bytes=sum(each.dram_read_bytes + each.dram_write_bytes for each in by_cpu),
        peak_uw=max(ran.peaks_uw),
        counts=list(map(sum, zip(*ran.counts, strict=True))),
    )


def union_ps(spans: Iterable[Span]) -> int:
    """Return the time that `spans` cover together, overlaps counted once."""
    covered = reached = 0
    for start, end in sorted(spans):
        if end > reached:
            covered += end - max(start, reached)
            reached = end
    return covered
