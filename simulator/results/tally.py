"""Exact sums of what tasks took and did, by any grouping."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from simulator.activity import DRAM_ACTIVATES, Counts, Span, total
from simulator.energy.prices import Prices
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.trace.op import Phase
from simulator.units import AJ_PER_J, PS_PER_S

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
    units: Sequence[str]
    counts: Sequence[Counts]
    peaks_uw: Sequence[int]


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
    `contention_ps` what they took longer than each of them would have alone.
    """

    latency_ps: int = 0
    active_ps: int = 0
    contention_ps: int = 0
    peak_uw: int = 0
    units: dict[str, UnitTally] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    def add(self, other: "Tally", times: int = 1) -> None:
        """Add `times` the other tally."""
        self.latency_ps += other.latency_ps * times
        self.active_ps += other.active_ps * times
        self.contention_ps += other.contention_ps * times
        self.peak_uw = max(self.peak_uw, other.peak_uw)
        self.counts = self.counts.plus(other.counts, times)
        for name, unit in other.units.items():
            self.units.setdefault(name, UnitTally()).add(unit, times)

    def as_dict(self, prices: Prices, macs_per_s: int) -> dict[str, object]:
        """Return the sums as the result's keys; `macs_per_s` is the array's peak rate.

        Dynamic energy follows the counts, static energy the attributed time; rates are over the
        time in which the tasks were active, so that they never exceed the machine's. The lowest
        and highest energy are at the ends of all prices at once, as if all erred together.
        `array_use` is the share of the array's MACs that were done in that time,
        `array_utilization` in the accelerator's busy time alone.
        """
        counts, cpu, array = self.counts, self._unit(HOST), self._unit(ACCELERATOR)
        dynamic = prices.dynamic_by_component_aj(counts)
        static = prices.static_by_component_aj(self.latency_ps)
        energy = {name: dynamic[name] + static[name] for name in dynamic}
        whole = sum(energy.values())
        moved, bursts = counts.dram_bytes, counts.dram_bursts
        powered = sum(dynamic.values()) + prices.whole_static_uw * self.active_ps
        low, high = (end.energy_aj(counts, self.latency_ps) for end in (prices.low, prices.high))
        board_aj = (prices.board_uw or 0) * self.latency_ps
        units = {HOST: cpu, ACCELERATOR: array} | self.units
        return {
            "latency_s": self.latency_ps / PS_PER_S,
            "latency_ps": self.latency_ps,
            "energy_j": whole / AJ_PER_J,
            "energy_aj": whole,
            "energy_low_j": low / AJ_PER_J,
            "energy_high_j": high / AJ_PER_J,
            "energy_by_component_j": {name: value / AJ_PER_J for name, value in energy.items()},
            **({"board_energy_j": board_aj / AJ_PER_J} if prices.board_uw else {}),
            "macs": counts.macs,
            "macs_issued": counts.macs_issued,
            "dram_read_bytes": counts.dram_read_bytes,
            "dram_write_bytes": counts.dram_write_bytes,
            "bandwidth_bytes_per_s": _ratio(moved * PS_PER_S, self.active_ps),
            "bandwidth_by_master_bytes_per_s": {
                name: _ratio(unit.dram_bytes * PS_PER_S, self.active_ps)
                for name, unit in units.items()
            },
            "row_hit_rate": max(0.0, _ratio(bursts - counts[DRAM_ACTIVATES], bursts)),
            "contention_s": self.contention_ps / PS_PER_S,
            "array_use": _used(array.macs, macs_per_s, self.active_ps),
            "array_utilization": _used(array.macs, macs_per_s, array.busy_ps),
            **{f"{name}_busy_s": unit.busy_ps / PS_PER_S for name, unit in units.items()},
            "average_power_w": _ratio(powered, self.active_ps) / 10**6,
            "peak_power_w": self.peak_uw / 10**6,
        }

    def _unit(self, name: str) -> UnitTally:
        return self.units.get(name) or UnitTally()


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
    return Tally(
        latency_ps=sum(ran.attributed_ps),
        active_ps=union_ps(ran.spans),
        contention_ps=sum(map(contention_ps, took_ps, ran.alone_ps)),
        peak_uw=max(ran.peaks_uw),
        units=_by_unit(ran, took_ps),
        counts=_sum(ran.counts),
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


def _used(macs: int, macs_per_s: int, time_ps: int) -> float:
    """Return the share of an array's MACs in `time_ps` that were done."""
    return _ratio(macs * PS_PER_S, macs_per_s * time_ps)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0
