"""A sweep of a scenario before it runs: axes of its settings, and what each point costs."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from simulator.code import fingerprint
from simulator.errors import Infeasible, InputError
from simulator.files.text import is_file
from simulator.hardware import load_hardware
from simulator.scenario.api import play
from simulator.scenario.columns import columns_of, scenario_row
from simulator.scenario.description import ProgramSource, Scenario
from simulator.scenario.load import load_scenario
from simulator.scenario.settings import quantity_in
from simulator.scenario.sources import ModelCapture, Sources
from simulator.sweeps.axis import Axis, read_axes
from simulator.sweeps.grid import Grid, Point
from simulator.sweeps.job import Done, Job
from simulator.sweeps.request import SweepRequest, as_list
from simulator.trace.passes.file import load_method
from simulator.trace.trace import Trace
from simulator.views.design_space import Cell, PointRow


@dataclass(frozen=True)
class ScenarioSpace(Grid):
    """Every combination of settings of the scenario in `source` that meets all `conditions`."""

    source: str
    axes: tuple[Axis, ...] = ()
    conditions: tuple[str, ...] = ()

    def at(self, indices: Sequence[int]) -> Point:
        """Return the combination with these choices, one index per axis."""
        texts: dict[str, str] = {}
        for axis, index in zip(self.axes, indices, strict=True):
            texts.update(zip(axis.keys, axis.choices[index], strict=True))
        return Point(texts, {})

    def resolve(self, point: Point) -> Scenario:
        """Return the scenario of `point`; raises InputError where its settings do not fit."""
        return load_scenario(self.source, point.settings)

    def _plain(self, which: int, index: int) -> tuple[Any, ...]:
        axis, choice = self.axes[which], self.axes[which].choices[index]
        self.resolve(Point(dict(zip(axis.keys, choice, strict=True)), {}))
        return tuple(plain_value(key, text) for key, text in zip(axis.keys, choice, strict=True))


def plain_value(key: str, text: str) -> Cell:
    """Return the value of a setting in its inner unit, a plain number, or its text."""
    quantity = quantity_in(key)
    if quantity is not None:
        return quantity.parse(text)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@dataclass(frozen=True)
class ScenarioStudy:
    """The points of a scenario's sweep. `traces` are those that models were captured for."""

    space: ScenarioSpace
    request: SweepRequest
    traces: Mapping[str, Trace]
    code: str = field(default_factory=fingerprint)

    @property
    def knobs(self) -> tuple[str, ...]:
        """The columns that tell points apart."""
        return self.space.knobs

    @cached_property
    def measures(self) -> Sequence[str]:
        """The columns that a search can minimise."""
        return columns_of(load_scenario(self.space.source))

    @property
    def resolved(self) -> Mapping[str, Any]:
        """The scenario in plain numbers."""
        return load_scenario(self.space.source).model_dump(mode="json")

    def baselines(self) -> Iterator[Point]:
        """Yield nothing: scenarios compare by their axes."""
        yield from ()

    def points(self) -> Iterator[Point]:
        """Yield the points of the space in order."""
        yield from map(self.space.point, self.space.allowed())

    def address(self, point: Point) -> str:
        """Return the address of a point; raises InputError where its settings do not fit."""
        scenario = self.space.resolve(point)
        hardware = {
            name: load_hardware(each.hardware, each.set).digest
            for name, each in scenario.devices.items()
            if each.hardware
        }
        traces = {name: self._sources.trace(name, "").digest for name in names_of(scenario)}
        named = sorted({each.method for each in sources_of(scenario) if each.method})
        methods = {name: repr(load_method(name)) for name in named}
        arrivals = {
            each.arrive: hashlib.sha256(Path(each.arrive).read_bytes()).hexdigest()
            for each in scenario.programs.values()
            if each.arrive and is_file(Path(each.arrive))
        }
        parts = (scenario.model_dump(mode="json"), hardware, traces, methods, arrivals, self.code)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]

    def row_of(self, _point: Point, columns: PointRow) -> PointRow:
        """Return what tells a point apart in the table, its knobs being `columns`."""
        names = {"hardware": "", "trace": self.request.scenario, "method": "", "baseline": ""}
        return {**columns, **names}

    def job(self, point: Point, columns: PointRow, *, full: bool = False, address: str = "") -> Job:
        """Return the job of a point; raises InputError where its settings do not fit together."""
        return Job(address or self.address(point), point, self.row_of(point, columns), full)

    @property
    def prunes(self) -> bool:
        """Whether the training of a network may stop early: nothing is trained."""
        return False

    def network(self, _point: Point) -> str:
        """Return the name of the scenario."""
        return self.request.scenario or ""

    def arranged(self, jobs: Iterable[Job]) -> Iterable[Job]:
        """Return the jobs as they are."""
        return jobs

    def run(self, job: Job) -> Done:
        """Return what a point costs; one that cannot run has its reason instead."""
        if self.code != fingerprint():
            raise InputError(
                f"a worker runs trainsoc {fingerprint()}, the sweep trainsoc {self.code}: "
                "install the same on both"
            )
        row: dict[str, Cell] = {"point": job.address, **job.columns}
        try:
            result = play(self.space.source, job.point.settings, self.traces.__getitem__)
        except Infeasible as error:
            return Done(row | {"feasible": False, "reason": error.reason})
        document = json.dumps(result.as_dict(), indent=1) + "\n" if job.full else ""
        return Done(row | {"feasible": True, "reason": ""} | scenario_row(result), document)

    @cached_property
    def _sources(self) -> Sources:
        return Sources(self.traces.__getitem__)


def scenario_study(request: SweepRequest, models: ModelCapture | None = None) -> ScenarioStudy:
    """Return the study of the scenario that `request` names; raises InputError with the fix."""
    assert request.scenario is not None, "the request is of a scenario"
    for name in ("trace", "method", "batch", "baselines", "accuracy"):
        if getattr(request, name):
            raise InputError(
                f"sweep {request.scenario}: a scenario has its own {name}: leave it out"
            )
    if request.samples:
        raise InputError(
            f"sweep {request.scenario}: scenarios are not sampled: leave out --samples"
        )
    if request.heat_epochs is not None:
        raise InputError(
            f"sweep {request.scenario}: scenarios do not heat up: leave out heat_epochs"
        )
    axes = read_axes(request.axes, of_scenario=True)
    space = ScenarioSpace(request.scenario, axes, tuple(as_list(request.constraints)))
    _ = space.values  # a wrong value is refused before anything runs
    sources, names = Sources(models), set(names_of(load_scenario(request.scenario)))
    for axis in axes:
        for choice in axis.choices:
            settings = dict(zip(axis.keys, choice, strict=True))
            names.update(names_of(space.resolve(Point(settings, {}))))
    traces = {name: sources.trace(name, request.scenario) for name in sorted(names)}
    return ScenarioStudy(space, request, traces)


def names_of(scenario: Scenario) -> list[str]:
    """Return the traces that a scenario names."""
    return sorted({each.trace for each in sources_of(scenario) if each.trace})


def sources_of(scenario: Scenario) -> list[ProgramSource]:
    """Return what the jobs of a scenario do, those of rounds included."""
    sources: list[ProgramSource] = [*scenario.programs.values()]
    for each in scenario.rounds.values():
        sources += [each.train, each.average]
    return sources
