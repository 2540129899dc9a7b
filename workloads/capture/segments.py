"""Where steps and epochs begin and end, which of them are alike, and how often each ran."""

import time
from array import array
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from statistics import median

from simulator.trace.method.treatment import AS_TRACED, Method
from simulator.trace.trace import Segment, Step, StepKind, Timing
from workloads.capture.tape import Tape

Fingerprint = tuple[Hashable, ...]


@dataclass(slots=True, eq=False)
class Unit:
    """The step under way, or what might become one.

    `begun` is how it began (start, next, stop, after); `tape` is None once it is only counted.
    `source` is its data set with how many batches were left, `fingerprints` lists its network
    calls and optimizer steps; `available` is how many batches
    the loader could still give when it began, if that is known, and `started_ns` is when.
    """

    begun: str
    tape: Tape | None
    fingerprints: list[Fingerprint] = field(default_factory=list)
    passes: set[int] = field(default_factory=set)
    root: int = 0
    source: tuple[int, int | None] = (0, None)
    batches: int = 0
    available: int | None = None
    optimizer_steps: int = 0
    backward: bool = False
    trains: bool = False
    pending: bool = False
    ending: bool = False
    method: Method = AS_TRACED
    started_ns: int = field(default_factory=time.perf_counter_ns)

    @property
    def first(self) -> Fingerprint:
        """Its first network call, empty if there was none yet."""
        return self.fingerprints[0] if self.fingerprints else ()

    @property
    def busy(self) -> bool:
        """Whether a network ran in it, forward or backward, or an optimizer."""
        return bool(self.fingerprints) or self.backward

    @property
    def evaluates(self) -> bool:
        """Whether networks ran in it, but none so that it could learn."""
        return bool(self.fingerprints) and not (self.trains or self.backward)

    @property
    def kind(self) -> StepKind:
        """What kind of step it is, as far as it has come."""
        if self.optimizer_steps:
            return StepKind.TRAIN
        return StepKind.EVAL if self.evaluates else StepKind.OTHER

    @property
    def key(self) -> Fingerprint:
        """What steps that count as alike have in common."""
        return (self.kind, self.batches, self.backward, *self.fingerprints)


@dataclass(frozen=True, slots=True)
class Run:
    """Finished steps in a row that are alike: their key, their recorded step if they were
    recorded, their loader pass, and how long each took.
    """

    key: Fingerprint
    kind: StepKind
    first: Fingerprint
    passes: frozenset[int]
    step: int | None
    method: Method
    walls_ns: "array[int]" = field(default_factory=lambda: array("q"), compare=False)


@dataclass(slots=True)
class Catalogue:
    """The distinct steps and the order in which they ran; records each kind `depth` times."""

    depth: int
    runs: list[Run] = field(default_factory=list)
    _steps: dict[Step, int] = field(default_factory=dict)
    _recorded: dict[Fingerprint, dict[int, int]] = field(default_factory=dict)
    _calls: dict[Fingerprint, int] = field(default_factory=dict)
    _keys: dict[Fingerprint, Fingerprint] = field(default_factory=dict)
    _updates: dict[Fingerprint, int] = field(default_factory=dict)
    _measured: dict[int, list[list[int]]] = field(default_factory=dict)

    def knows(self, first: Fingerprint, available: int | None) -> bool:
        """Tell whether a step that begins with the network call `first` need not be recorded.

        A step of several batches (gradient accumulation) that the loader has not enough left for
        will be shorter than those recorded, hence another step.
        """
        sizes = {size: n for size, n in self._recorded.get(first, {}).items() if n >= self.depth}
        if not sizes or (available is None and self._calls[first] > 1):
            return False  # without a loader nothing tells how many calls a step will have
        return available is None or max(sizes) <= available or available in sizes

    def updates(self, first: Fingerprint) -> int:
        """Return how many optimizers step in a step that begins with the network call `first`."""
        return self._updates.get(first, 0)

    def add(self, unit: Unit, step: Step | None) -> None:
        """Count a finished step, and keep it if it was recorded and is new."""
        first = unit.first
        calls = sum(fingerprint[0] != "step" for fingerprint in unit.fingerprints)
        self._calls[first] = max(calls, self._calls.get(first, 0))
        index = None
        wall_ns = time.perf_counter_ns() - unit.started_ns
        if step is not None:
            index = self._steps.setdefault(step, len(self._steps))
            if unit.tape is not None and len(self._measured.get(index, ())) < self.depth:
                measured = [draft.measured_ns for draft in unit.tape.drafts]
                self._measured.setdefault(index, []).append(measured)
            self._updates[first] = max(unit.optimizer_steps, self.updates(first))
            sizes = self._recorded.setdefault(first, {})
            sizes[unit.batches] = sizes.get(unit.batches, 0) + 1
        key = self._keys.setdefault(unit.key, unit.key)  # one object for all steps alike
        run = Run(key, unit.kind, first, frozenset(unit.passes), index, unit.method)
        if not self.runs or self.runs[-1] != run:
            self.runs.append(run)  # a long run keeps a few bytes per step
        self.runs[-1].walls_ns.append(wall_ns)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The distinct steps, in the order in which they were first recorded."""
        return tuple(self._steps)

    def segments(self) -> tuple[tuple[Segment, ...], int]:
        """Return the run-length coded run, and how many steps had only a similar one recorded."""
        steps, approximated = _resolve(self.runs)
        methods = [self.methods.index(run.method) for run in self.runs]
        counted = zip(_epochs(self.runs), steps, methods, self.runs, strict=True)
        segments = (
            Segment(epoch, step, sum(len(run.walls_ns) for *_, run in same), method)
            for (epoch, step, method), same in groupby(counted, key=lambda entry: entry[:3])
            if step is not None
        )
        return tuple(segments), approximated

    @property
    def methods(self) -> tuple[Method, ...]:
        """The distinct methods of the run, in order."""
        return tuple(dict.fromkeys(run.method for run in self.runs))

    def timings(self) -> tuple[Timing, ...]:
        """Return how long each distinct step took: medians over its runs.

        Whole steps are those that were only counted, since recording takes time of its own.
        """
        resolved, _ = _resolve(self.runs)
        whole: dict[int | None, list[int]] = {}
        for run, step in zip(self.runs, resolved, strict=True):
            if run.step is None:
                whole.setdefault(step, []).extend(run.walls_ns)
        return tuple(
            Timing(
                _median_ps(whole.get(index, [0])), tuple(map(_median_ps, zip(*runs, strict=True)))
            )
            for index, runs in sorted(self._measured.items())
        )


def _median_ps(times_ns: Iterable[int]) -> int:
    return round(1000 * median(times_ns))


def _resolve(runs: list[Run]) -> tuple[list[int | None], int]:
    """Map every run to a recorded step: its own, else the latest alike, else the most similar.

    A run of a kind that was never recorded is left out.
    """
    latest: dict[Fingerprint, int] = {}
    for run in reversed(runs):
        if run.step is not None:
            latest[run.key] = run.step  # the earliest one, for runs before any was recorded
    found: list[int | None] = []
    approximated = 0
    for run in runs:
        if run.step is not None:
            latest[run.key] = run.step
        step = latest.get(run.key)
        if step is None:
            approximated += len(run.walls_ns)
            step = _similar(run, runs)
        found.append(step)
    return found, approximated


def _similar(run: Run, runs: list[Run]) -> int | None:
    def distance(other: Run) -> int:
        return abs(len(other.key) - len(run.key))

    alike = [r for r in runs if r.step is not None and r.first == run.first and r.kind is run.kind]
    return min(reversed(alike), key=distance).step if alike else None


def _epochs(runs: list[Run]) -> Iterator[int]:
    """Yield the epoch of each run.

    An epoch is a pass over a loader in which an optimizer stepped; without a loader, training
    after an evaluation begins one. Evaluation belongs to the epoch before it.
    """
    epoch = 0
    last: frozenset[int] | None = None
    evaluated = False
    for run in runs:
        if run.kind is StepKind.TRAIN:
            new_pass = bool(run.passes) and not run.passes & (last or frozenset())
            if last is not None and (new_pass or (evaluated and not run.passes)):
                epoch += 1
            last, evaluated = run.passes, False
        elif run.kind is StepKind.EVAL:
            evaluated = True
        yield epoch
