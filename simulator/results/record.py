"""One kind of step that ran: what it is summed from, and its tasks one by one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from simulator.activity import DramStates, Span, Task, Work, total
from simulator.energy.prices import Prices
from simulator.hardware.dram import Dram
from simulator.results.power import peaks_uw, power_uw
from simulator.results.sections import states_alone, states_of, states_within, sums_of
from simulator.results.tally import (
    Key,
    Ran,
    Tally,
    UnitTally,
    all_states,
    summed,
    with_tokens,
)
from simulator.trace.op import Phase

if TYPE_CHECKING:  # a run that is read from a file was lowered by another process
    from simulator.lowering.program import TaskGroup, TaskGroups
    from simulator.step_run import SectionedRun

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

    @property
    def tokens(self) -> int:
        """The tokens that a language model takes in or generates in one run of it."""


@dataclass(frozen=True)
class StepRecord:
    """One simulated kind of step: which distinct step, how it ran at which prices, and how often
    in each epoch. `dram` is the memory that it idled, `tokens` are those of one run.
    """

    step: int
    run: "SectionedRun"
    prices: Prices
    op_names: tuple[str, ...]
    runs: dict[int, int]
    dram: Dram
    tokens: int = 0

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
        numbers = self.run.lowered.program.numbers
        return self._ran(self.spans, self.attributed_ps, numbers, self.states)

    @cached_property
    def states(self) -> list[DramStates]:
        """The states of the memory in the time that is charged to each task."""
        program = self.run.lowered.program
        alone, sections = self._alone_states, [*program.distinct]
        states = [alone[number] for number in program.numbers]
        for place, section in zip(program.order.shared, program.shared, strict=True):
            which = program.distinct[section]
            works = self._works(sections[which].numbers)
            states[place.start : place.stop] = states_of(self.run.shared[which], works, self.dram)
        return states

    @cached_property
    def _alone_states(self) -> list[DramStates]:
        """The states of the memory while each work runs alone, by number."""
        step = self.run.lowered
        states = [*step.host.sums.get("states", self._host_states)]
        for number in step.program.elsewhere:
            states[number] = states_alone(step.works[number], self.dram)
        return states

    def _host_states(self) -> list[DramStates]:
        host = self.run.lowered.host
        works = zip(host.works, host.alone_ps, strict=True)
        return [states_within(ps, [work] if work else [], self.dram) for work, ps in works]

    @cached_property
    def by_phase(self) -> Mapping[Phase, Tally]:
        """The sums of each phase."""
        return with_tokens(self._tallies(self.run.lowered.program.by_phase), self.tokens)

    @cached_property
    def by_layer(self) -> Mapping[LayerPhase, Tally]:
        """The sums of each layer and phase, in order of appearance."""
        return self._tallies(self.run.lowered.program.by_layer)

    def _tallies(self, groups: "TaskGroups[Key]") -> dict[Key, Tally]:
        parts: dict[Key, list[tuple[Tally, int]]] = {key: [] for key in groups.keys}
        static_uw = self.prices.whole_static_uw
        for key, tally in (*self._on_host(groups), *self._of(groups.elsewhere)):
            parts[key].append((tally.above(static_uw), 1))
        sections = [*self.run.lowered.program.distinct]
        for number, keys, times in groups.shared:
            section, own = self.run.shared[number], sections[number].numbers
            sums = sums_of(section, tuple(self._works(own)), keys, self.dram)
            peaks = peaks_uw(section.spans, self._spent_aj(own, sums.states), static_uw)
            for key, tally in sums.by_key.items():
                peak_uw = max([peak for each, peak in zip(keys, peaks, strict=True) if each == key])
                parts[key].append((tally.above(peak_uw), times))
        return {key: summed(each) for key, each in parts.items()}

    def _works(self, numbers: Sequence[int]) -> list[Work]:
        works = self.run.lowered.works
        return [works[number] for number in numbers]

    def _on_host(self, groups: "TaskGroups[Key]") -> list[tuple[Key, Tally]]:
        """Return the sums of tasks that ran alone on the host, computed once for equal hosts."""
        key = groups, self._host_prices
        sums: list[tuple[Key, Tally]]
        sums = self.run.lowered.host.sums.get(key, lambda: self._of(groups.on_host))
        return sums

    def _of(self, groups: "Iterable[TaskGroup[Key]]") -> list[tuple[Key, Tally]]:
        """Return the sums of tasks that ran alone: each all the time that it took.

        Their peaks are above what is drawn all the time.
        """
        return [(group.key, self._of_group(group.works)) for group in groups]

    def _of_group(self, numbers: Sequence[tuple[int, int]]) -> Tally:
        works, alone_ps, energy_aj = self.run.lowered.works, self.run.alone_ps, self._dynamic_aj
        states, states_aj = self._alone_states, self.prices.states_aj
        units: dict[str, UnitTally] = {}
        for number, times in numbers:
            work = works[number]
            unit = units.setdefault(work.unit, UnitTally())
            unit.busy_ps += times * alone_ps[number]
            unit.dram_bytes += times * work.counts.dram_bytes
            unit.macs += times * work.counts.macs
        took_ps = sum([times * alone_ps[number] for number, times in numbers])
        return Tally(
            latency_ps=took_ps,
            active_ps=took_ps,
            peak_uw=max(
                [power_uw(alone_ps[n], energy_aj[n] + states_aj(states[n])) for n, _ in numbers]
            ),
            units=units,
            counts=total((works[number].counts, times) for number, times in numbers),
            states=all_states((states[number], times) for number, times in numbers),
        )

    def _ran(
        self,
        spans: Sequence[Span],
        attributed_ps: Sequence[int],
        numbers: Sequence[int],
        states: Sequence[DramStates],
    ) -> Ran:
        works = self._works(numbers)
        return Ran(
            spans,
            attributed_ps,
            [self.run.alone_ps[number] for number in numbers],
            [work.unit for work in works],
            [work.counts for work in works],
            peaks_uw(spans, self._spent_aj(numbers, states), self.prices.whole_static_uw),
            states,
        )

    def _spent_aj(self, numbers: Sequence[int], states: Sequence[DramStates]) -> list[int]:
        """Return what tasks spend beside static power: their actions, and the awake memory."""
        own, states_aj = self._dynamic_aj, self.prices.states_aj
        return [own[number] + states_aj(each) for number, each in zip(numbers, states, strict=True)]

    @cached_property
    def _host_prices(self) -> tuple[int, ...]:
        """The prices of all that works on the host do, and of the states of their memory."""
        within = self.prices.within
        actions = [within.dynamic_aj[action] for action in self.run.lowered.host.actions]
        return (*actions, *within.whole_state_uw)

    @cached_property
    def _dynamic_aj(self) -> Sequence[int]:
        """The dynamic energy of each work, by number."""
        step = self.run.lowered
        energy_aj = [*step.host.sums.get(self._host_prices, self._host_aj)]
        for number in step.program.elsewhere:
            energy_aj[number] = self.prices.dynamic_aj_of(step.works[number].counts)
        return energy_aj

    def _host_aj(self) -> list[int]:
        works, price = self.run.lowered.host.works, self.prices
        return [price.dynamic_aj_of(work.counts) if work else 0 for work in works]
