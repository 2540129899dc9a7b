"""Where steps and epochs begin and end, which of them are alike, and how often each ran."""

import time
from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import median

from simulator.collector import paused_collector
from simulator.trace.method.treatment import AS_TRACED, Method
from simulator.trace.trace import Segment, Step, StepKind, Timing
from workloads.capture.assemble import Ownership, assemble
from workloads.capture.spots import Spot
from workloads.capture.tape import Tape

Key = tuple[Hashable, ...]
_UNBUILT_CALLS = 50_000
"""Calls that wait to be analysed until the run is over: some 60 MB."""


@dataclass(slots=True, eq=False)
class Unit:
    """The step under way, or what might become one.

    `begun` is how it began (start, next, stop, after); `tape` is None once nothing is looked at;
    a `partial` tape lacks what came before. `signature` covers all calls of modules, `path` those
    of networks, `prefixes` its paths after each of them; `functions` tells that it begins with a
    network of functions. `rows` is the first size of the input of the first network that learns,
    if one does, `first_rows` of the first one. `source` is the data set with how many batches were
    left when it began, if that is known. `end` is the call after the update that ends it, `left`
    the one after the last network, `cuts` are calls before which it may fall apart into several
    evaluations.
    """

    begun: str
    tape: Tape | None
    partial: bool = False
    signature: int = 0
    path: int = 0
    prefixes: list[int] = field(default_factory=list)
    rows: int | None = None
    first_rows: int | None = None
    networks: int = 0
    functions: bool = False
    optimizers: list[int] = field(default_factory=list)
    passes: set[int] = field(default_factory=set)
    roots: set[int] = field(default_factory=set)
    batches: int = 0
    source: tuple[int, int | None] = (0, None)
    updated: bool = False
    backward: bool = False
    trains: bool = False
    pending: bool = False
    ending: bool = False
    end: int = 0
    left: int = 0
    cuts: list[int] = field(default_factory=list)
    method: Method = AS_TRACED
    started_ns: int = field(default_factory=time.perf_counter_ns)

    @property
    def busy(self) -> bool:
        """Whether a network ran in it, forward or backward, or an optimizer."""
        return bool(self.networks or self.optimizers) or self.backward or self.functions

    @property
    def evaluates(self) -> bool:
        """Whether networks ran in it, but none so that it could learn."""
        learns = self.trains or self.backward or self.optimizers
        return bool(self.networks or self.functions) and not learns

    @property
    def kind(self) -> StepKind:
        """What kind of step it is, as far as it has come."""
        if self.updated:
            return StepKind.TRAIN
        return StepKind.EVAL if self.evaluates else StepKind.OTHER

    @property
    def key(self) -> Key:
        """What steps that are taken as alike without a look at their ops have in common."""
        calls = self.networks, len(self.optimizers), self.path, self.signature
        return (self.kind, self.batches, self.backward, *calls)


@dataclass(slots=True, eq=False)
class Pass:
    """A pass over a loader: batches given, and left at its first one if that is known."""

    given: int = 0
    length: int | None = None
    exhausted: bool = False

    @property
    def counts(self) -> bool:
        """Whether it is a pass of an epoch: one abandoned after its first batch is none."""
        return self.exhausted or self.given > 1 or self.length == 1


@dataclass(frozen=True, slots=True)
class Run:
    """Finished units in a row that are alike: the distinct steps that they consist of, None if
    nobody ever looked at one alike; their loader passes, rows of their inputs (see Unit), and how
    long each took, `slowed` by timing its ops or not.
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
class _Distinct:
    """A distinct step: its tape until it is analysed, and how long its ops took."""

    kind: StepKind
    tape: Tape | None
    spots: Sequence[Spot]
    owned: Ownership
    step: Step | None = None
    unmodelled: Counter[str] = field(default_factory=Counter)
    measured_ns: list[Sequence[int]] = field(default_factory=list)

    def build(self) -> Step:
        if self.step is None and self.tape is not None:
            self.step, self.unmodelled = assemble(self.tape, self.kind, self.spots, self.owned)
            self.tape = None
        assert self.step is not None
        return self.step


@dataclass(slots=True)
class Catalogue:
    """The distinct steps and the order in which they ran; times each up to `depth` times.

    `paths` has the network calls of the units that were looked at, up to each of them, with how
    many optimizers stepped in one; `unseen` counts the units that nobody looked at, `late` those
    looked at from their middle on.
    """

    depth: int
    runs: list[Run] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    paths: dict[int, int] = field(default_factory=dict)
    unseen: int = 0
    late: int = 0
    _distinct: list[_Distinct] = field(default_factory=list)
    _index: dict[tuple[StepKind, int], int] = field(default_factory=dict)
    _keys: dict[Key, Key] = field(default_factory=dict)
    _latest: dict[Key, tuple[int, ...]] = field(default_factory=dict)
    _built: int = 0
    _unbuilt: int = 0

    def walk(self, unit: Unit) -> None:
        """Note the network calls of a unit that was looked at."""
        for prefix in unit.prefixes:
            self.paths.setdefault(prefix, 0)
        updates = self.paths.get(unit.path, 0)
        self.paths[unit.path] = max(len(unit.optimizers), updates)

    def updates(self, unit: Unit) -> int:
        """Return how many optimizers step in a unit with these network calls."""
        return max(1, self.paths.get(unit.path, 1))

    def knows(self, tape: Tape, kind: StepKind) -> int | None:
        """Return the distinct step that did the work on the tape before, if any."""
        return self._index.get((kind, tape.digest))

    def admit(self, tape: Tape, kind: StepKind, spots: Sequence[Spot], owned: Ownership) -> int:
        """Return the number of a step that was not known."""
        index = self._index[kind, tape.digest] = len(self._distinct)
        self._distinct.append(_Distinct(kind, tape, spots, owned))
        self._unbuilt += len(tape)
        if self._unbuilt > _UNBUILT_CALLS:
            self._build()
        return index

    def time(self, index: int, measured_ns: Sequence[int]) -> None:
        """Note how long each op of a distinct step took this time."""
        measured = self._distinct[index].measured_ns
        if measured_ns and len(measured) < self.depth:
            measured.append(measured_ns)

    def step(self, index: int) -> Step:
        """Return a distinct step."""
        return self._distinct[index].build()

    def add(self, unit: Unit, steps: tuple[int, ...] | None) -> bool:
        """Count a finished unit of these distinct steps, None if nobody looked.

        Return whether it was as expected: its calls of modules had the same steps last time.
        """
        key = self._keys.setdefault(unit.key, unit.key)  # one object for all steps alike
        expected = key in self._latest if steps is None else self._latest.get(key) == steps
        slowed = steps is not None and bool(self._distinct[steps[0]].measured_ns)
        if steps is not None:
            self._latest[key] = steps
        steps = self._latest.get(key)
        rows = unit.rows, unit.first_rows
        run = Run(key, unit.kind, frozenset(unit.passes), steps, unit.method, *rows, slowed)
        if not self.runs or self.runs[-1] != run:
            self.runs.append(run)  # a long run keeps a few bytes per step
        self.runs[-1].walls_ns.append(time.perf_counter_ns() - unit.started_ns)
        return expected

    @property
    def units(self) -> int:
        """How many units were counted."""
        return sum(len(run.walls_ns) for run in self.runs)

    def finish(self) -> "Finished":
        """Analyse what waits and return the run."""
        self._build()
        steps: dict[Step, int] = {}
        numbers = [steps.setdefault(each.build(), len(steps)) for each in self._distinct]
        resolved, approximated = _resolve(self.runs)
        return Finished(self, tuple(steps), numbers, resolved, approximated + self.late)

    def _build(self) -> None:
        with paused_collector():  # nothing made here is garbage
            for distinct in self._distinct[self._built :]:
                distinct.build()
        self._built, self._unbuilt = len(self._distinct), 0


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is over: its distinct `steps`, the number in them of each that the catalogue
    kept apart, the steps of every run, and how many of these had only a similar one recorded.
    """

    catalogue: Catalogue
    steps: tuple[Step, ...]
    numbers: Sequence[int]
    resolved: Sequence[tuple[int, ...]]
    approximated: int

    @property
    def methods(self) -> tuple[Method, ...]:
        """The distinct methods of the run, in order."""
        return tuple(dict.fromkeys(run.method for run in self.catalogue.runs))

    def segments(self) -> tuple[Segment, ...]:
        """Return the run-length coded run."""
        return tuple(
            Segment(epoch, step, sum(count for *_, count in same), method)
            for (epoch, step, method), same in groupby(self._entries(), key=lambda e: e[:3])
        )

    def _entries(self) -> Iterator[tuple[int, int, int, int]]:
        methods = self.methods
        runs = self.catalogue.runs
        epochs = _epochs(runs, self.catalogue.passes)
        for epoch, steps, run in zip(epochs, self.resolved, runs, strict=True):
            method, count = methods.index(run.method), len(run.walls_ns)
            if len(steps) == 1:
                yield epoch, self.numbers[steps[0]], method, count
            else:
                for step in steps * count:
                    yield epoch, self.numbers[step], method, 1

    def timings(self) -> tuple[Timing, ...]:
        """Return how long each distinct step took: medians over its runs.

        Whole steps are those that nobody looked at, since looking takes time of its own.
        """
        whole: dict[int, list[int]] = {}
        for run, steps in zip(self.catalogue.runs, self.resolved, strict=True):
            if not run.slowed and len(steps) == 1:
                whole.setdefault(self.numbers[steps[0]], []).extend(run.walls_ns)
        measured: dict[int, list[Sequence[int]]] = {}
        for number, distinct in zip(self.numbers, self.catalogue._distinct, strict=True):
            measured.setdefault(number, []).extend(distinct.measured_ns)
        return tuple(
            Timing(
                _median_ps(whole.get(number, [0])), tuple(map(_median_ps, zip(*runs, strict=True)))
            )
            for number, runs in sorted(measured.items())
        )

    def unmodelled(self) -> Counter[str]:
        """Count the products of the run that no GEMM describes, by name."""
        counts: Counter[str] = Counter()
        for steps, run in zip(self.resolved, self.catalogue.runs, strict=True):
            for index in steps:
                for name, count in self.catalogue._distinct[index].unmodelled.items():
                    counts[name] += count * len(run.walls_ns)
        return counts


def _median_ps(times_ns: Iterable[int]) -> int:
    return round(1000 * median(times_ns))


def _resolve(runs: list[Run]) -> tuple[list[tuple[int, ...]], int]:
    """Map every run to distinct steps: its own, else the latest alike, else the most similar.

    A run of a kind that nobody ever looked at is left out.
    """
    latest: dict[Key, tuple[int, ...]] = {}
    for run in reversed(runs):
        if run.steps is not None:
            latest[run.key] = run.steps  # the earliest one, for runs before any was looked at
    resolved: list[tuple[int, ...]] = []
    approximated = 0
    for run in runs:
        steps = run.steps
        if steps is not None:
            latest[run.key] = steps
        else:
            steps = latest.get(run.key)
        if steps is None:
            approximated += len(run.walls_ns)
            steps = _similar(run, runs)
        resolved.append(steps)
    return resolved, approximated


def _similar(run: Run, runs: list[Run]) -> tuple[int, ...]:
    alike = [r for r in runs if r.steps is not None and r.kind is run.kind]
    best = max(reversed(alike), key=lambda r: _common(r.key, run.key), default=None)
    return best.steps if best is not None and best.steps is not None else ()


def _common(first: Key, second: Key) -> int:
    return sum(a == b for a, b in zip(first, second, strict=False))


def _epochs(runs: list[Run], passes: Sequence[Pass]) -> Iterator[int]:
    """Yield the epoch of each run.

    An epoch is a pass over a loader in which an optimizer stepped; without a loader, training
    after an evaluation begins one, unless that has smaller batches: an agent acts between two
    steps. Evaluation belongs to the epoch before it.
    """
    epoch = 0
    last: frozenset[int] | None = None
    rows: int | None = None
    evaluated = False
    for run in runs:
        if run.kind is StepKind.TRAIN:
            # A unit of several steps begins with evaluations.
            evaluated |= len(run.steps or ()) > 1 and not _acts(run.first_rows, run.rows)
            used = last is not None and (not last or any(passes[n].counts for n in last))
            new_pass = bool(run.passes) and not run.passes & (last or frozenset())
            if last is not None and ((new_pass and used) or (evaluated and not run.passes)):
                epoch += 1
            last, rows, evaluated = run.passes, run.rows, False
        elif run.kind is StepKind.EVAL:
            evaluated |= not _acts(run.rows, rows)
        yield epoch


def _acts(rows: int | None, learned: int | None) -> bool:
    """Tell whether an evaluation is an agent's action: fewer rows than are learned from."""
    return rows is not None and learned is not None and rows < learned
