"""Searching a space too large to list: NSGA-II or TPE of optuna proposes, workers replay.

Proposals hang on the seed and on the results alone, not on who computed them or when. A search
that was stopped is made again from its start, where finished points cost nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError
from simulator.sweeps.answers import objectives_of
from simulator.sweeps.axis import Axis
from simulator.sweeps.executors import Workers
from simulator.sweeps.job import Row
from simulator.sweeps.run import run_study, session
from simulator.sweeps.space import Space
from simulator.sweeps.study import Study
from simulator.sweeps.table import OBJECTIVES
from simulator.sweeps.watch import Watcher

if TYPE_CHECKING:
    import polars

GENERATION = 20
_IDLE = 500  # proposals in a row without a new point, until points are drawn at random


def answered(
    asked: Study, crew: Workers, out: Path | None, watch: Watcher, *, full: bool = False
) -> "polars.DataFrame":
    """Replay what a study asks for, all of its points or a search, and return the table."""
    told = asked.asked
    goals = objectives_of(told.minimize)
    if told.search is not None:
        return search_study(asked, crew, out, watch, told.search, goals, told.seed)
    return run_study(asked, crew, out, watch, goals, full=full)


def search_study(
    asked: Study,
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
    before count and cost nothing. Raises InputError as `run_study` does, and without optuna.
    """
    proposals = Proposals(asked.space, len(objectives), seed)
    baselines, values = list(asked.baselines()), Values(objectives)
    with session(asked, crew, out, watch, note=values.note) as work:
        values.read(work.store.frame())
        watch.begin(min(count, asked.space.size) + len(baselines))
        work.replay(baselines)
        for numbers in proposals.generations(count):
            rows = work.replay(map(asked.space.point, numbers))
            proposals.tell([values.of(row["point"]) for row in rows])
        return work.table(objectives)


class Values:
    """The objectives of finished points, by address."""

    def __init__(self, objectives: Sequence[str]) -> None:
        """Start without points."""
        self._objectives = objectives
        self._of: dict[str, tuple[float | None, ...]] = {}

    def read(self, finished: "polars.DataFrame") -> None:
        """Take those of the points in a table."""
        if all(name in finished.columns for name in self._objectives):
            rows = finished.select("point", *self._objectives).rows()
            self._of.update((address, tuple(values)) for address, *values in rows)

    def note(self, row: Row) -> None:
        """Take those of one more point."""
        self._of[row["point"]] = tuple(row.get(name) for name in self._objectives)

    def of(self, address: str) -> tuple[float, ...] | None:
        """Return the objectives of a point; None where it cannot run."""
        told = tuple(value for value in self._of.get(address, ()) if value is not None)
        return told if len(told) == len(self._objectives) else None


class Proposals:
    """Which points to replay next, a generation at a time, each point once."""

    def __init__(self, space: Space, objectives: int, seed: int) -> None:
        """Propose points of `space` for so many objectives; raises InputError without optuna."""
        try:
            import optuna  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            raise InputError("--search needs optuna: pip install 'trainsoc[search]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._failed = optuna.trial.TrialState.FAIL
        sampler = optuna.samplers.NSGAIISampler(population_size=GENERATION, seed=seed)
        self._study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
        self._values: dict[int, tuple[float, ...] | None] = {}
        self._asked: list[tuple[Any, int]] = []

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
        for (trial, number), told in zip(self._asked, values, strict=True):
            self._values[number] = told
            self._tell(trial, told)

    def _generation(self, count: int) -> list[int]:
        self._asked = []
        for _ in range(_IDLE * count):
            trial = self._study.ask()
            number = self._space.number([_index(trial, axis) for axis in self._space.axes])
            if number in self._values:
                self._tell(trial, self._values[number])
            elif number in {asked for _, asked in self._asked} or not self._space.meeting([number]):
                self._tell(trial, None)
            else:
                self._asked.append((trial, number))
            if len(self._asked) == count:
                break
        return [number for _, number in self._asked]

    def _tell(self, trial: Any, values: tuple[float, ...] | None) -> None:
        if values is None:
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, values)


def _index(trial: Any, axis: Axis) -> int:
    return int(trial.suggest_int(axis.name, 0, len(axis.choices) - 1))
