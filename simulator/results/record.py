"""One kind of step that ran: what it is summed from, and its tasks one by one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from simulator.activity import Span, Task, total
from simulator.energy.prices import Prices
from simulator.results.power import peaks_uw, power_uw
from simulator.results.tally import Key, Ran, Tally, UnitTally, summed, tallies, with_tokens
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
    in each epoch. `tokens` are those of one run.
    """

    step: int
    run: "SectionedRun"
    prices: Prices
    op_names: tuple[str, ...]
    runs: dict[int, int]
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
        return self._ran(self.spans, self.attributed_ps, self.run.lowered.program.numbers)

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
            parts[key].append((replace(tally, peak_uw=static_uw + tally.peak_uw), 1))
        sections = [*self.run.lowered.program.distinct]
        for number, keys, times in groups.shared:
            section = self.run.shared[number]
            ran = self._ran(section.spans, section.attributed_ps, sections[number].numbers)
            for key, tally in tallies(ran, keys).items():
                parts[key].append((tally, times))
        return {key: summed(each) for key, each in parts.items()}

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
            peak_uw=max([power_uw(alone_ps[number], energy_aj[number]) for number, _ in numbers]),
            units=units,
            counts=total((works[number].counts, times) for number, times in numbers),
        )

    def _ran(
        self, spans: Sequence[Span], attributed_ps: Sequence[int], numbers: Sequence[int]
    ) -> Ran:
        works = [self.run.lowered.works[number] for number in numbers]
        return Ran(
            spans,
            attributed_ps,
            [self.run.alone_ps[number] for number in numbers],
            [work.unit for work in works],
            [work.counts for work in works],
            peaks_uw(spans, [self._dynamic_aj[n] for n in numbers], self.prices.whole_static_uw),
        )

    @cached_property
    def _host_prices(self) -> tuple[int, ...]:
        """The prices of all that works on the host do."""
        dynamic_aj = self.prices.dynamic_aj
        return tuple([dynamic_aj[action] for action in self.run.lowered.host.actions])

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
