"""Exact sums of what tasks took and did, by any grouping."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from simulator.activity import Counts, DramStates, Span, total
from simulator.trace.op import Phase
from simulator.trace.phases import FACTS

Key = TypeVar("Key", bound=Hashable)


class Ran(NamedTuple):
    """What the tasks of one step took and did, an entry per task in every field.

    `alone_ps` is how long each would have taken with the memory to itself, `states` those of the
    memory in the time that is charged to it.
    """

    spans: Sequence[Span]
    attributed_ps: Sequence[int]
    alone_ps: Sequence[int]
    units: Sequence[str]
    counts: Sequence[Counts]
    peaks_uw: Sequence[int]
    states: Sequence[DramStates]


@dataclass(slots=True)
class UnitTally:
    """Sums over the tasks of one unit: when it was busy, what it moved, its useful MACs."""

    busy_ps: int = 0
    dram_bytes: int = 0
    macs: int = 0

    def add(self, other: "UnitTally", times: int = 1) -> None:
        """Add `times` the other tally."""
        self.busy_ps += other.busy_ps * times
        self.dram_bytes += other.dram_bytes * times
        self.macs += other.macs * times


@dataclass(slots=True)
class Tally:
    """Sums over some tasks: attributed time, counts, times of units; and the highest power seen.

    `active_ps` is the time in which at least one of them ran, attributed to them or not;
    `contention_ps` what they took longer than each of them would have alone; `tokens` those that a
    language model took in or generated with them.
    """

    latency_ps: int = 0
    active_ps: int = 0
    contention_ps: int = 0
    peak_uw: int = 0
    units: dict[str, UnitTally] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    tokens: int = 0
    states: DramStates = field(default_factory=DramStates)

    def above(self, static_uw: int) -> "Tally":
        """Return these sums where `static_uw` is drawn beside."""
        return Tally(
            self.latency_ps, self.active_ps, self.contention_ps, self.peak_uw + static_uw,
            self.units, self.counts, self.tokens, self.states,
        )  # fmt: skip


def summed(parts: Sequence[tuple[Tally, int]]) -> Tally:
    """Return the sum of tallies, each so many times."""
    if len(parts) == 1 and parts[0][1] == 1:
        return parts[0][0].above(0)
    units: dict[str, UnitTally] = {}
    for tally, times in parts:
        for name, unit in tally.units.items():
            if name not in units:
                units[name] = UnitTally()
            units[name].add(unit, times)
    return Tally(
        sum([tally.latency_ps * times for tally, times in parts]),
        sum([tally.active_ps * times for tally, times in parts]),
        sum([tally.contention_ps * times for tally, times in parts]),
        max([tally.peak_uw for tally, _ in parts], default=0),
        units,
        total((tally.counts, times) for tally, times in parts),
        sum([tally.tokens * times for tally, times in parts]),
        all_states((tally.states, times) for tally, times in parts),
    )


def all_states(parts: Iterable[tuple[DramStates, int]]) -> DramStates:
    """Return the sum of states of the memory, each so many times."""
    standby_ps = clocked_ps = 0
    for states, times in parts:
        standby_ps, clocked_ps = (
            standby_ps + times * states.standby_ps, clocked_ps + times * states.clocked_ps
        )  # fmt: skip
    return DramStates(standby_ps, clocked_ps)


def tallies(ran: Ran, keys: Iterable[Key]) -> dict[Key, Tally]:
    """Return the sums of the tasks of each key, keys in order of appearance."""
    groups: dict[Key, list[tuple[Any, ...]]] = {}
    for key, entry in zip(keys, zip(*ran, strict=True), strict=True):
        groups.setdefault(key, []).append(entry)
    return {key: _tally(Ran(*zip(*entries, strict=True))) for key, entries in groups.items()}


def with_tokens(sums: Mapping[Phase, Tally], tokens: int) -> dict[Phase, Tally]:
    """Return the sums of the phases of a step, its tokens in the phase that generates."""
    return {
        phase: replace(tally, tokens=tokens) if FACTS[phase].generates else tally
        for phase, tally in sums.items()
    }


def contention_ps(took_ps: int, alone_ps: int) -> int:
    """Return what work took longer than it would have alone."""
    return max(0, took_ps - alone_ps)


def _tally(ran: Ran) -> Tally:
    took_ps = [end - start for start, end in ran.spans]
    return Tally(
        latency_ps=sum(ran.attributed_ps),
        active_ps=union_ps(ran.spans),
        contention_ps=sum(map(contention_ps, took_ps, ran.alone_ps)),
        peak_uw=max(ran.peaks_uw),
        units=_by_unit(ran, took_ps),
        counts=_sum(ran.counts),
        states=all_states((states, 1) for states in ran.states),
    )


def _by_unit(ran: Ran, took_ps: Sequence[int]) -> dict[str, UnitTally]:
    units: dict[str, UnitTally] = {}
    for name, busy_ps, counts in zip(ran.units, took_ps, ran.counts, strict=True):
        unit = units.get(name)
        if unit is None:
            unit = units[name] = UnitTally()
        unit.busy_ps += busy_ps
        unit.dram_bytes += counts.dram_bytes
        unit.macs += counts.macs
    return units


def _sum(counts: Sequence[Counts]) -> Counts:
    """Return the sum; tasks of the same work share one object, which is multiplied."""
    times = Counter(map(id, counts))
    distinct = {id(each): each for each in counts}
    return total((distinct[number], count) for number, count in times.items())


def union_ps(spans: Iterable[Span]) -> int:
    """Return the time that `spans` cover together, overlaps counted once."""
    covered = reached = 0
    for start, end in sorted(spans):
        if end > reached:
            covered += end - max(start, reached)
            reached = end
    return covered
