"""The distinct steps of a run, which steps are alike, and how often each ran."""

import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.collector import paused_collector
from simulator.trace.passes.treatment import Method
from simulator.trace.trace import Step, StepKind
from workloads.capture.assemble import Ownership
from workloads.capture.open_step import Key, LoaderPass, OpenStep
from workloads.capture.spots import Spot
from workloads.capture.tape import Tape
from workloads.capture.templates import StepTemplates

_UNBUILT_CALLS = 50_000
"""Calls that may wait for analysis until the run is over: about 60 MB."""


@dataclass(frozen=True, slots=True)
class RepeatedSteps:
    """Similar steps in a row: the distinct steps they consist of (None if none was recorded), their
    loader passes, rows of their inputs (see OpenStep), and the time of each one, `slowed` or not by
    timing its ops.
    """

    key: Key
    kind: StepKind
    passes: frozenset[int]
    steps: tuple[int, ...] | None
    method: Method
    rows: int | None
    first_rows: int | None
    slowed: bool
    walls_ns: "array[int]" = field(default_factory=lambda: array("q"), compare=False)


@dataclass(slots=True, eq=False)
class DistinctStep:
    """A distinct step: its tape until it is analysed, and the times of its ops.

    `carried` are the numbers on its tape of storages that it got from an evaluation before, or left
    to one after it; `order` has those of its storages once it is analysed.
    """

    kind: StepKind
    tape: Tape | None
    spots: Sequence[Spot]
    owned: Ownership
    step: Step | None = None
    unmodelled: Counter[str] = field(default_factory=Counter)
    measured_ns: list[Sequence[int]] = field(default_factory=list)
    carried: set[int] = field(default_factory=set)
    order: tuple[int, ...] = ()

    def build(self, templates: StepTemplates) -> Step:
        """Return the step; the first call analyses it."""
        if self.step is None and self.tape is not None:
            made = templates.assemble(self.tape, self.kind, self.spots, self.owned)
            self.step, self.unmodelled, self.order = made
            self.tape = None
        assert self.step is not None
        return self.step

    @property
    def passed_on(self) -> frozenset[int]:
        """The step's storages that evaluations pass on, once it is analysed."""
        return frozenset(n for n, number in enumerate(self.order) if number in self.carried)


@dataclass(slots=True)
class Catalogue:
    """The distinct steps and the order in which they ran; times the ops of each up to `depth`
    times.

    `paths` has the network calls of recorded steps, and how many optimizers stepped in one;
    `unseen` counts the steps that were not recorded, `late` those recorded from their middle
    on. `learns` says whether any went backward or updated a parameter.
    """

    depth: int
    runs: list[RepeatedSteps] = field(default_factory=list)
    passes: list[LoaderPass] = field(default_factory=list)
    paths: dict[int, int] = field(default_factory=dict)
    unseen: int = 0
    late: int = 0
    learns: bool = False
    distinct: list[DistinctStep] = field(default_factory=list)
    _index: dict[tuple[StepKind, int], int] = field(default_factory=dict)
    _keys: dict[Key, Key] = field(default_factory=dict)
    _latest: dict[Key, tuple[int, ...]] = field(default_factory=dict)
    _templates: StepTemplates = field(default_factory=StepTemplates)
    _built: int = 0
    _unbuilt: int = 0

    def walk(self, step: OpenStep) -> None:
        """Note the network calls of a recorded step."""
        for prefix in step.prefixes:
            self.paths.setdefault(prefix, 0)
        updates = self.paths.get(step.path, 0)
        self.paths[step.path] = max(len(step.optimizers), updates)

    def updates(self, step: OpenStep) -> int:
        """Return how many optimizers step in a step with these network calls."""
        return max(1, self.paths.get(step.path, 1))

    def knows(self, tape: Tape, kind: StepKind) -> int | None:
        """Return the distinct step that did the work on a tape, None if it is new."""
        return self._index.get((kind, tape.digest))

    def admit(self, tape: Tape, kind: StepKind, spots: Sequence[Spot], owned: Ownership) -> int:
        """Add a distinct step; return its number."""
        index = self._index[kind, tape.digest] = len(self.distinct)
        self.distinct.append(DistinctStep(kind, tape, spots, owned))
        self._unbuilt += len(tape)
        if self._unbuilt > _UNBUILT_CALLS:
            self.build()
        return index

    def time(self, index: int, measured_ns: Sequence[int]) -> None:
        """Add the op times of one run of a distinct step."""
        measured = self.distinct[index].measured_ns
        if measured_ns and len(measured) < self.depth:
            measured.append(measured_ns)

    def step(self, index: int) -> Step:
        """Return a distinct step."""
        return self.distinct[index].build(self._templates)

    def add(self, step: OpenStep, steps: tuple[int, ...] | None) -> bool:
        """Count a finished step as these distinct steps, None if it was not recorded.

        Return whether it was expected: its module calls had the same distinct steps last time.
        """
        self.learns |= step.backward or step.updated
        key = self._keys.setdefault(step.key, step.key)  # one key object for all similar steps
        expected = key in self._latest if steps is None else self._latest.get(key) == steps
        slowed = steps is not None and bool(self.distinct[steps[0]].measured_ns)
        if steps is not None:
            self._latest[key] = steps
        steps = self._latest.get(key)
        rows = step.rows, step.first_rows
        run = RepeatedSteps(
            key, step.kind, frozenset(step.passes), steps, step.method, *rows, slowed
        )
        if not self.runs or self.runs[-1] != run:
            self.runs.append(run)  # a long run keeps a few bytes per step
        self.runs[-1].walls_ns.append(time.perf_counter_ns() - step.started_ns)
        return expected

    @property
    def step_count(self) -> int:
        """How many steps ran."""
        return sum(len(run.walls_ns) for run in self.runs)

    def build(self) -> None:
        """Analyse the steps that wait for it."""
        with paused_collector():  # this creates no garbage
            for distinct in self.distinct[self._built :]:
                distinct.build(self._templates)
        self._built, self._unbuilt = len(self.distinct), 0
