"""Replay of the points of a study on its workers; points are stored as they come back."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import Stopped
from simulator.results.metrics import OBJECTIVES
from simulator.sweeps.executors import Workers
from simulator.sweeps.exploration import Exploration
from simulator.sweeps.folder import begin, finish
from simulator.sweeps.grid import Point
from simulator.sweeps.job import Job
from simulator.sweeps.points import Points
from simulator.sweeps.pruning import Peers
from simulator.sweeps.runner import Note, Runner, forget
from simulator.sweeps.store import FolderStore, MemoryStore, Store
from simulator.sweeps.table import table_of
from simulator.sweeps.watch import Watcher
from simulator.views.design_space import PointRow

if TYPE_CHECKING:
    import polars


def run_study(
    study: Exploration,
    crew: Workers,
    out: Path | None,
    watch: Watcher,
    objectives: Sequence[str] = OBJECTIVES,
    *,
    full: bool = False,
) -> "polars.DataFrame":
    """Replay the points of a study that folder `out` lacks, close `crew`, and return the table.

    `objectives` are columns of the table, whose front it marks. Whatever stops it,
    finished points stay in `out`. Raises InputError as `sweep` does.
    """
    points = list(study.points())
    with session(study, crew, out, watch, full=full) as work:
        watch.begin(len(points))
        work.replay(points)
        crew.close()  # the table of a large sweep takes the memory that its workers have
        return work.table(objectives)


@contextmanager
def session(
    study: Exploration,
    crew: Workers,
    out: Path | None,
    watch: Watcher,
    *,
    full: bool = False,
    note: Note | None = None,
) -> "Iterator[Session]":
    """Open folder `out`, or a store in memory, for the points of a study, and close it again.

    `note` takes the row of each new point. Raises InputError where the folder cannot be used,
    and Stopped when the user interrupts.
    """
    store: Store = MemoryStore()
    if out is not None:
        begin(out, study)
        store = FolderStore(out, full=full)
    for sentence in store.set_aside:
        watch.say(sentence)
    runner = Runner(crew, store, watch, note or forget)
    work = Session(study, store, runner, watch, out, full=full)
    try:
        yield work
    except KeyboardInterrupt:
        count = f"{work.runner.finished} new points finished"
        state = "they are kept. Rerun the same command to resume" if out else "nothing is kept"
        raise Stopped(f"stopped; {count}: {state}") from None
    finally:
        watch.end()
        store.close()


class Session:
    """Points of a study on their way through workers into a store."""

    def __init__(
        self,
        study: Exploration,
        store: Store,
        runner: Runner,
        watch: Watcher,
        out: Path | None,
        *,
        full: bool,
    ) -> None:
        """Start without points."""
        self._study, self._watch, self._out = study, watch, out
        self._points = Points(study, store, full=full)
        self.store, self.runner = store, runner

    def replay(self, points: Iterable[Point], peers: Peers | None = None) -> Sequence[PointRow]:
        """Replay the `points` that the store lacks; return the knobs and address of each point.

        With `peers` the training of networks may be pruned.
        """
        before = len(self._points.rows)
        jobs: Iterable[Job] = self._points.missing(points, self._watch)
        if peers is not None:
            jobs = (replace(job, peers=peers) for job in jobs)
        self.runner.run(self._study.arranged(jobs))
        return self._points.rows[before:]

    def table(self, objectives: Sequence[str] = OBJECTIVES) -> "polars.DataFrame":
        """Return the table of all points, and write it into the folder."""
        self.store.close()
        self._points.give_up(self.runner.given_up)
        finished = self.store.frame()
        table = table_of(self._points.rows, finished, self._study.knobs, objectives)
        if self._out is not None:
            finish(self._out, table)
        return table
