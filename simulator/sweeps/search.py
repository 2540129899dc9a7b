"""Search of a space too large to list: a model proposes points, and so does the front so far.

The model is optuna's multi-objective tree-structured Parzen estimator (Ozaki et al., JAIR 2022);
every second proposal moves one axis of a point on the front instead (Pareto local search, Paquete,
Chiarandini and Stuetzle 2004), as most axes act smoothly. On 245,760 designs 200 such points
beat 200 random ones at nine seeds of ten or more: tests/system/test_sweep_search.py measures it.

Proposals depend on the seed and the results alone, not on who computed them or when. A search
that was stopped is made again from its start, where finished points cost nothing.
"""

import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError
from simulator.results.metrics import OBJECTIVES, column_of
from simulator.sweeps.answers import objectives_of
from simulator.sweeps.axis import Axis
from simulator.sweeps.executors import Workers
from simulator.sweeps.exploration import Exploration
from simulator.sweeps.grid import Grid
from simulator.sweeps.pruning import Courses
from simulator.sweeps.run import run_study, session
from simulator.sweeps.watch import Watcher
from simulator.views.design_space import PointRow
from simulator.views.pareto import pareto_front

if TYPE_CHECKING:
    import polars

GENERATION = 20
_IDLE = 50  # proposals in a row without a new point, until one is drawn at random
_ATTEMPTS = 10_000  # random draws, until a large space counts as exhausted
_ENUMERABLE = 100_000  # most points of a space that is listed to draw from the rest


def answered(
    study: Exploration, crew: Workers, out: Path | None, watch: Watcher, *, full: bool = False
) -> "polars.DataFrame":
    """Replay what a study asks for, all of its points or a search, and return the table."""
    request = study.request
    goals = objectives_of(request.minimize, study.measures)
    if request.search is not None:
        return search_study(study, crew, out, watch, request.search, goals, request.seed)
    return run_study(study, crew, out, watch, goals, full=full)


def search_study(
    study: Exploration,
    crew: Workers,
    out: Path | None,
    watch: Watcher,
    count: int,
    objectives: Sequence[str] = OBJECTIVES,
    seed: int = 0,
) -> "polars.DataFrame":
    """Replay `count` points of a study that are likely to have the least of all `objectives`.

    `objectives` are columns of the table, such as latency_s. Returns the table of these points,
    in the order in which they were proposed, after the baselines. Points that were replayed
    before count and cost nothing. Raises InputError as `run_study` does, without optuna, and
    where no point meets the conditions.
    """
    proposals = Proposals(study.space, len(objectives), seed)
    generations = proposals.generations(count)
    first = next(generations, None)
    if first is None:
        raise study.space.empty()
    baselines, values, courses = list(study.baselines()), Values(objectives), Courses()

    def note(row: PointRow) -> None:
        values.note(row)
        courses.note(row)

    with session(study, crew, out, watch, note=note) as work:
        finished = work.store.frame()
        values.read(finished)
        courses.read(finished)
        watch.begin(min(count, study.space.size) + len(baselines))
        work.replay(baselines)
        for numbers in chain([first], generations):
            points = [*map(study.space.point, numbers)]
            rows = work.replay(points, courses.peers if study.prunes else None)
            proposals.tell([values.of(row) for row in rows])
            courses.settle([*map(study.network, points)], [str(row["point"]) for row in rows])
        return work.table(objectives)


class Values:
    """The objectives of finished points, by address."""

    def __init__(self, objectives: Sequence[str]) -> None:
        """Start without points."""
        self._objectives = objectives
        self._of: dict[str, dict[str, float | None]] = {}

    def read(self, finished: "polars.DataFrame") -> None:
        """Read the objectives of the points in a table."""
        if finished.height:
            present = [name for name in self._objectives if name in finished.columns]
            for row in finished.select("point", "feasible", *present).iter_rows(named=True):
                self.note(row)

    def note(self, row: PointRow) -> None:
        """Note the objectives of one more point, unless it cannot run."""
        if row["feasible"]:
            values = {name: column_of(name).get(row) for name in self._objectives}
            self._of[str(row["point"])] = values

    def of(self, row: PointRow) -> tuple[float, ...] | None:
        """Return the objectives of a point, as its row knows them or it ran; None if it cannot."""
        ran = self._of.get(str(row["point"]))
        if ran is None:
            return None
        every = [column_of(name).get({**ran, **row}) for name in self._objectives]
        values = tuple(value for value in every if value is not None)
        return values if len(values) == len(every) else None


class Proposals:
    """Which points to replay next, a generation at a time, each point once."""

    def __init__(self, space: Grid, objectives: int, seed: int) -> None:
        """Propose points of `space` for so many objectives; raises InputError without optuna."""
        try:
            import optuna  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            raise InputError("--search needs optuna: pip install 'trainsoc[search]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._failed = optuna.trial.TrialState.FAIL
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, constant_liar=True, n_startup_trials=2 * GENERATION
            )
        self._study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
        self._random = Random(seed)
        self._steps = [_has_steps(values) for values in space.values]
        self._values: dict[int, tuple[float, ...] | None] = {}
        self._pending: list[tuple[Any, int]] = []

    def generations(self, count: int) -> Iterator[list[int]]:
        """Yield new combinations until there were `count`; `tell` of each list before the next."""
        count = min(count, self._space.size)
        while len(self._values) < count:
            numbers = self._generation(min(GENERATION, count - len(self._values)))
            if not numbers:
                return
            yield numbers

    def tell(self, values: Sequence[tuple[float, ...] | None]) -> None:
        """Take the objectives of the last combinations; None for those that cannot run."""
        for (trial, number), objectives in zip(self._pending, values, strict=True):
            self._values[number] = objectives
            self._tell(trial, objectives)

    def _generation(self, count: int) -> list[int]:
        """Return new combinations, of the model and beside the front in turn."""
        self._pending = []
        front = self._front()
        turn = idle = 0
        while len(self._pending) < count:
            before, turn = len(self._pending), turn + 1
            if idle == _IDLE:
                number = self._any_new()
                if number is None:
                    break
                self._study.enqueue_trial(self._suggestion(self._space.indices(number)))
            elif front and turn % 2:
                self._study.enqueue_trial(self._beside(self._random.choice(front)))
            self._consider(self._study.ask())
            idle = idle + 1 if len(self._pending) == before else 0
        return [number for _, number in self._pending]

    def _any_new(self) -> int | None:
        """Return a new allowed combination at random; None where none turns up."""
        size = self._space.size
        history = {number for _, number in self._pending} | self._values.keys()
        if size <= _ENUMERABLE:
            left = [n for n in self._space.meeting(range(size)) if n not in history]
            self._random.shuffle(left)
            return next(filter(self._space.fits, left), None)
        attempts = (self._random.randrange(size) for _ in range(_ATTEMPTS))
        return next((n for n in attempts if n not in history and self._allowed(n)), None)

    def _consider(self, trial: Any) -> None:
        """Ask for a trial's combination, unless it is known, pending, or not allowed."""
        number = self._space.number([_index(trial, axis) for axis in self._space.axes])
        if number in self._values:
            self._tell(trial, self._values[number])
        elif any(number == other for _, other in self._pending) or not self._allowed(number):
            self._tell(trial, None)
        else:
            self._pending.append((trial, number))

    def _front(self) -> list[int]:
        """Return the combinations that no other one beats so far."""
        points = [(number, values) for number, values in self._values.items() if values is not None]
        mask = pareto_front([values for _, values in points])
        return [number for (number, _), on_front in zip(points, mask, strict=True) if on_front]

    def _beside(self, number: int) -> dict[str, int]:
        """Return a combination that differs from another in one axis, by a step if it has steps."""
        indices = list(self._space.indices(number))
        free = [at for at, axis in enumerate(self._space.axes) if len(axis.choices) > 1]
        at = self._random.choice(free)
        last = len(self._space.axes[at].choices) - 1
        near = [i for i in (indices[at] - 1, indices[at] + 1) if 0 <= i <= last]
        others = near if self._steps[at] else [i for i in range(last + 1) if i != indices[at]]
        indices[at] = self._random.choice(others)
        return self._suggestion(indices)

    def _suggestion(self, indices: Sequence[int]) -> dict[str, int]:
        return {axis.name: i for axis, i in zip(self._space.axes, indices, strict=True)}

    def _allowed(self, number: int) -> bool:
        meets = not self._space.conditions or bool(self._space.meeting([number]))
        return meets and self._space.fits(number)

    def _tell(self, trial: Any, values: tuple[float, ...] | None) -> None:
        if values is None:
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, values)


def _has_steps(choices: Sequence[tuple[Any, ...]]) -> bool:
    """Return whether the values of an axis are numbers, so that neighbours are alike."""
    return all(isinstance(value, int | float) for choice in choices for value in choice)


def _index(trial: Any, axis: Axis) -> int:
    return int(trial.suggest_int(axis.name, 0, len(axis.choices) - 1))
