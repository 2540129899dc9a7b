"""A finished run: its steps and epochs in order, and their times."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from simulator.trace.inference import evaluation, generation
from simulator.trace.passes.treatment import Method
from simulator.trace.trace import Segment, Step, StepKind, Timing
from workloads.capture.open_step import Key, LoaderPass
from workloads.capture.segments import Catalogue, RepeatedSteps


def finish(catalogue: Catalogue) -> "FinishedRun":
    """Return the run in a catalogue; analyses what is not analysed yet."""
    catalogue.build()
    recorded = [catalogue.step(i) for i in range(len(catalogue.distinct))]
    if not catalogue.learns:
        pairs = zip(recorded, catalogue.distinct, strict=True)
        recorded = [generation(evaluation(step), each.passed_on) for step, each in pairs]
    steps, numbers = _distinct(recorded)
    resolved, approximated = _resolve(catalogue.runs)
    return FinishedRun(catalogue, steps, numbers, resolved, approximated + catalogue.late)


def _distinct(steps: Sequence[Step]) -> tuple[tuple[Step, ...], list[int]]:
    """Return the distinct steps in order, and the number of each step among them.

    Hashing a step takes as long as making it, so sizes of storages replace it where they suffice.
    """
    sizes = [tuple([storage.bytes for storage in step.storages]) for step in steps]
    often = Counter(sizes)
    first: dict[Hashable, Step] = {}
    keys = [key if often[key] == 1 else step for key, step in zip(sizes, steps, strict=True)]
    for key, step in zip(keys, steps, strict=True):
        first.setdefault(key, step)
    order = {key: number for number, key in enumerate(first)}
    return tuple(first.values()), [order[key] for key in keys]


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A finished run: its distinct `steps`, the index in them of each step of the catalogue, the
    steps of every run, and how many of these are approximated by a similar one.
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

        Whole steps are timed where no op was recorded, as recording takes time.
        """
        whole: dict[int, list[int]] = {}
        for run, steps in zip(self.catalogue.runs, self.resolved, strict=True):
            if not run.slowed and len(steps) == 1:
                whole.setdefault(self.numbers[steps[0]], []).extend(run.walls_ns)
        measured: dict[int, list[Sequence[int]]] = {}
        for number, distinct in zip(self.numbers, self.catalogue.distinct, strict=True):
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
                for name, count in self.catalogue.distinct[index].unmodelled.items():
                    counts[name] += count * len(run.walls_ns)
        return counts


def _median_ps(times_ns: Iterable[int]) -> int:
    return round(1000 * median(times_ns))


def _resolve(runs: list[RepeatedSteps]) -> tuple[list[tuple[int, ...]], int]:
    """Map each run to distinct steps: its own, else the latest alike, else the most similar.

    A run of a kind that was never recorded is left out.
    """
    latest: dict[Key, tuple[int, ...]] = {}
    for run in reversed(runs):
        if run.steps is not None:
            latest[run.key] = run.steps  # the earliest, for runs before the first recorded one
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


def _similar(run: RepeatedSteps, runs: list[RepeatedSteps]) -> tuple[int, ...]:
    alike = [r for r in runs if r.steps is not None and r.kind is run.kind]
    best = max(reversed(alike), key=lambda r: _common(r.key, run.key), default=None)
    return best.steps if best is not None and best.steps is not None else ()


def _common(first: Key, second: Key) -> int:
    return sum(a == b for a, b in zip(first, second, strict=False))


def _epochs(runs: list[RepeatedSteps], passes: Sequence[LoaderPass]) -> Iterator[int]:
    """Yield the epoch of each run.

    An epoch is a pass over a loader in which an optimizer stepped. Without a loader, training after
    an evaluation starts one, unless the evaluation has smaller batches: an agent acts between
    steps. An evaluation belongs to the epoch before it.
    """
    epoch = 0
    last: frozenset[int] | None = None
    rows: int | None = None
    evaluated = False
    for run in runs:
        if run.kind is StepKind.TRAIN:
            # Several steps in one: it starts with evaluations.
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
    """Return whether an evaluation is an agent acting: on fewer rows than it learns from."""
    return rows is not None and learned is not None and rows < learned
