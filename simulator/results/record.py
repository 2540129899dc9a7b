"""One kind of step that ran: what it is summed from, and its tasks one by one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

from simulator.activity import Counts, Span, Task, total
from simulator.energy.prices import Prices
from simulator.results.power import peaks_uw, power_uw
from simulator.results.tally import Key, Ran, Tally, UnitTally, tallies
from simulator.trace.op import Phase

if TYPE_CHECKING:  # a run that is read from a file was lowered by another process
    from simulator.lowering.program import TaskGroup, TaskGroups
    from simulator.step_run import SectionedRun, SectionRun

LayerPhase = tuple[str, Phase]
"""A layer and a phase."""


class Record(Protocol):
    """One kind of step that ran, now or when the run was saved."""

    @property
    def step(self) -> int:
        """Which distinct step of the trace it is."""

    @property
    def runs(self) -> dict[int, int]:
        """How often it ran in each epoch."""

    @property
    def count(self) -> int:
        """How often it ran in all."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its tasks."""

    @property
    def ran(self) -> Ran:
        """What its tasks took and did, one by one."""

    @property
    def by_phase(self) -> Mapping[Phase, Tally]:
        """The sums of each phase."""

    @property
    def by_layer(self) -> Mapping[LayerPhase, Tally]:
        """The sums of each layer and phase, in order of appearance."""

    @property
    def op_names(self) -> tuple[str, ...]:
        """The names of the step's ops, to which `Task.op` points."""


class _WorkCost(NamedTuple):
    """What one piece of work adds to a sum wherever it runs alone."""

    unit: str
    took_ps: int
    power_uw: int  # above what is drawn all the time
    counts: Counts


@dataclass(frozen=True)
class StepRecord:
    """One simulated kind of step: which distinct step, how it ran at which prices, and how often
    in each epoch.
    """

    step: int
    run: "SectionedRun"
    prices: Prices
    op_names: tuple[str, ...]
    runs: dict[int, int]

    @property
    def count(self) -> int:
        """How often this kind ran in all."""
        return sum(self.runs.values())

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its tasks, in program order."""
        return self.run.whole.tasks

    @property
    def spans(self) -> tuple[Span, ...]:
        """When each task ran."""
        return self.run.whole.spans

    @property
    def attributed_ps(self) -> tuple[int, ...]:
        """How much of the step is charged to each task."""
        return self.run.whole.attributed_ps

    @cached_property
    def ran(self) -> Ran:
        """What the tasks took and did, one by one."""
        return self._ran(self.spans, self.attributed_ps, self.run.lowered.program.numbers)

    @cached_property
    def by_phase(self) -> Mapping[Phase, Tally]:
        """The sums of each phase."""
        return self._tallies(self.run.lowered.program.by_phase)

    @cached_property
    def by_layer(self) -> Mapping[LayerPhase, Tally]:
        """The sums of each layer and phase, in order of appearance."""
        return self._tallies(self.run.lowered.program.by_layer)

    def _tallies(self, groups: "TaskGroups[Key]") -> dict[Key, Tally]:
        sums = {key: Tally() for key in groups.keys}
        for group in groups.alone:
            sums[group.key].add(self._of_group(group))
        for (section, works, keys), times in self._sections(groups).items():
            ran = self._ran(section.spans, section.attributed_ps, works)
            for key, tally in tallies(ran, keys).items():
                sums[key].add(tally, times)
        return sums

    def _of_group(self, group: "TaskGroup[Key]") -> Tally:
        """Return the sums of tasks that ran alone: each all the time that it took."""
        units: dict[str, UnitTally] = {}
        took_ps = power_uw = 0
        parts = [(self._works[number], times) for number, times in group.works]
        for work, times in parts:
            took_ps += times * work.took_ps
            power_uw = max(power_uw, work.power_uw)
            unit = units.setdefault(work.unit, UnitTally())
            counts = work.counts
            unit.add(UnitTally(work.took_ps, counts.dram_bytes, counts.macs), times)
        return Tally(
            latency_ps=took_ps,
            active_ps=took_ps,
            peak_uw=self.prices.whole_static_uw + power_uw,
            units=units,
            counts=total((work.counts, times) for work, times in parts),
        )

    def _sections(
        self, groups: "TaskGroups[Key]"
    ) -> "Counter[tuple[SectionRun, tuple[int, ...], tuple[Key, ...]]]":
        """Return how often each different section with several tasks ran."""
        program = self.run.lowered.program
        works = (tuple(program.numbers[each.start : each.stop]) for each in program.shared)
        return Counter(zip(self.run.shared, works, groups.shared, strict=True))

    def _ran(
        self, spans: Sequence[Span], attributed_ps: Sequence[int], numbers: Sequence[int]
    ) -> Ran:
        works = [self._works[number] for number in numbers]
        return Ran(
            spans,
            attributed_ps,
            [work.took_ps for work in works],
            [work.unit for work in works],
            [work.counts for work in works],
            peaks_uw(spans, [self._dynamic_aj[n] for n in numbers], self.prices.whole_static_uw),
        )

    @cached_property
    def _dynamic_aj(self) -> Sequence[int]:
        return [self.prices.dynamic_aj_of(work.counts) for work in self.run.lowered.works]

    @cached_property
    def _works(self) -> Sequence[_WorkCost]:
        parts = zip(self.run.lowered.works, self.run.alone_ps, self._dynamic_aj, strict=True)
        return [
            _WorkCost(work.unit, alone_ps, power_uw(alone_ps, energy_aj), work.counts)
            for work, alone_ps, energy_aj in parts
        ]
