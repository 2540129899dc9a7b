"""Searching a space too large to list: NSGA-II or TPE of optuna proposes, workers replay.

Proposals hang on the seed and on the results alone, not on who computed them or when. A search
that was stopped is made again from its start, where finished points cost nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError, Stopped
from simulator.sweeps.axis import Axis
from simulator.sweeps.executors import Workers
from simulator.sweeps.folder import begin, finish
from simulator.sweeps.job import Done
from simulator.sweeps.run import Points, Runner
from simulator.sweeps.store import Folder, Memory, Store
from simulator.sweeps.study import Study
from simulator.sweeps.table import OBJECTIVES, table_of
from simulator.sweeps.watch import Watcher

if TYPE_CHECKING:
    import polars

GENERATION = 20
_IDLE = 500  # proposals in a row without a new point, until points are drawn at random


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
    proposals = Proposals(asked, objectives, seed)
    store: Store = Memory()
    if out is not None:
        begin(out, asked)
        store = Folder(out)
    values = Remembering(store, objectives)
    told, runner = Points(asked, store), Runner(crew, values, watch)
    baselines = list(asked.baselines())
    watch.begin(count + len(baselines))
    try:
        runner.run(told.missing(baselines, watch))
        for numbers in proposals.generations(count):
            before = len(told.rows)
            runner.run(told.missing(map(asked.space.point, numbers), watch))
            rows = told.rows[before:]
            proposals.tell([values.of(row["point"]) for row in rows])
    except KeyboardInterrupt:
        kept = "they are kept, and the same command goes on" if out else "nothing is kept"
        raise Stopped(f"stopped at {runner.finished} new points: {kept}") from None
    finally:
        watch.end()
        store.close()
    told.give_up(runner.given_up)
    table = table_of(told.rows, store.frame(), asked.knobs, objectives)
    if out is not None:
        finish(out, asked, table, store)
    return table


class Remembering(Store):
    """A store that also remembers the objectives of its points."""

    def __init__(self, store: Store, objectives: Sequence[str]) -> None:
        """Read what `store` has."""
        self._store, self._objectives = store, objectives
        frame = store.frame()
        known = all(name in frame.columns for name in objectives)
        rows = frame.select("point", *objectives).rows() if known else []
        self._values: dict[str, tuple[float | None, ...]] = {row[0]: row[1:] for row in rows}

    def __contains__(self, address: str) -> bool:
        """Return whether the point with this address is finished."""
        return address in self._store

    def add(self, done: Done) -> None:
        """Keep a finished point."""
        self._store.add(done)
        values = tuple(done.row.get(name) for name in self._objectives)
        self._values[done.row["point"]] = values

    def frame(self) -> "polars.DataFrame":
        """Return the rows of all finished points."""
        return self._store.frame()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def of(self, address: str) -> tuple[float, ...] | None:
        """Return the objectives of a point; None where it cannot run."""
        values = self._values.get(address, ())
        told = tuple(value for value in values if value is not None)
        return told if len(told) == len(self._objectives) else None


class Proposals:
    """Which points to replay next, a generation at a time, each point once."""

    def __init__(self, asked: Study, objectives: Sequence[str], seed: int) -> None:
        """Propose points of a study; raises InputError without optuna."""
        try:
            import optuna  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            raise InputError("--search needs optuna: pip install 'trainsoc[search]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = asked.space
        self._failed = optuna.trial.TrialState.FAIL
        sampler = optuna.samplers.NSGAIISampler(population_size=GENERATION, seed=seed)
        self._study = optuna.create_study(
            sampler=sampler, directions=["minimize"] * len(objectives)
        )
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
