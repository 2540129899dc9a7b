"""Replaying the points of a study wherever there are workers, and keeping each as it finishes."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError, Stopped
from simulator.hardware import Hardware
from simulator.sweeps.axis import Axis, read_axes
from simulator.sweeps.executors import Cluster, Here, Processes, WorkerLost, Workers
from simulator.sweeps.folder import begin, finish
from simulator.sweeps.job import Done, Job, Row, infeasible
from simulator.sweeps.space import Point, Space
from simulator.sweeps.store import Folder, Memory, Store
from simulator.sweeps.study import DEFAULT_HARDWARE, Source, Study, read_request, study, study_of
from simulator.sweeps.table import table_of
from simulator.sweeps.watch import Display, Silent, Watcher

if TYPE_CHECKING:
    import polars

_DEATHS = 2  # of workers that had one suspect and no other point, before it is given up
"""A space in Python: axes by setting, in any form that a file takes; or the path of a file."""
Axes = Mapping[str, Any] | Sequence[Axis]


def sweep(
    space: Axes | str | Path,
    trace: Source | Mapping[str, Source] | None = None,
    out: str | Path | None = None,
    *,
    hardware: Hardware | str | Path = DEFAULT_HARDWARE,
    constraints: Sequence[str] = (),
    methods: Sequence[str] = (),
    baselines: Mapping[str, Hardware | str | Path] | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    full: bool = False,
    quiet: bool = False,
) -> "polars.DataFrame":
    """Replay `trace` on every point of `space` over `hardware` and return the table of points.

    `space` maps settings to their values, {"accelerator.rows": [8, 16]}, or is the path of a
    sweep.yaml that says all; `trace` is one trace, or several by name. `out` is a folder in which
    every finished point is kept: the same call goes on from them. `workers` are processes, all
    cores by default, or those of a dask scheduler at `cluster`. An infeasible point is a row with
    its reason. Raises InputError before anything runs for what is wrong in the space.
    """
    if isinstance(space, str | Path):
        asked = study_of(read_request(Path(space)))
    elif trace is None:
        raise InputError('sweep() needs a trace: sweep({"accelerator.rows": [8, 16]}, "run.trace")')
    else:
        asked = study(
            hardware,
            read_axes(space) if isinstance(space, Mapping) else space,
            trace,
            methods=methods,
            conditions=constraints,
            baselines=baselines,
        )
    watch = Silent() if quiet else Display()
    with workers_for(asked, workers, cluster) as crew:
        return run_study(asked, crew, Path(out) if out is not None else None, watch, full=full)


def workers_for(asked: Study, count: int | None = None, cluster: str | None = None) -> Workers:
    """Return who replays the points of a study: a dask scheduler's workers, or processes."""
    import os  # noqa: PLC0415

    if cluster is not None:
        return Cluster(asked.training, cluster)
    count = count or os.cpu_count() or 1
    return Here(asked.training) if count == 1 else Processes(asked.training, count)


def run_study(
    asked: Study, crew: Workers, out: Path | None, watch: Watcher, *, full: bool = False
) -> "polars.DataFrame":
    """Replay what folder `out` has not of the points of a study, and return the table of all.

    Whatever stops it, finished points stay in `out`. Raises InputError as `sweep` does.
    """
    points = list(asked.points())
    store: Store = Memory()
    if out is not None:
        begin(out, asked)
        store = Folder(out, full=full)
    told, runner = Points(asked, store, full=full), Runner(crew, store, watch)
    watch.begin(len(points))
    try:
        runner.run(told.missing(points, watch))
    except KeyboardInterrupt:
        kept = "they are kept, and the same command goes on" if out else "nothing is kept"
        raise Stopped(f"stopped at {runner.finished} new points: {kept}") from None
    finally:
        watch.end()
        store.close()
    told.give_up(runner.given_up)
    table = table_of(told.rows, store.frame(), asked.knobs)
    if out is not None:
        finish(out, asked, table, store)
    return table


class Points:
    """The points of a study as rows that await their results, which the store has by address."""

    def __init__(self, asked: Study, store: Store, *, full: bool = False) -> None:
        """Start without points; with `full`, whole results are asked for."""
        self._study, self._store, self._full = asked, store, full
        self.rows: list[Row] = []
        self._seen: set[str] = set()

    def missing(self, points: Iterable[Point], watch: Watcher) -> Iterator[Job]:
        """Yield a job for each of `points` that the store has not, and tell of all others."""
        for point in points:
            job = self.job(point)
            if job is None or job.address in self._seen or job.address in self._store:
                watch.found()
            else:
                yield job
            if job is not None:
                self._seen.add(job.address)

    def job(self, point: Point) -> Job | None:
        """Return the job of a point and note its row; None where its settings do not fit."""
        columns = self._columns(point)
        try:
            job = self._study.job(point, columns, full=self._full)
        except InputError as error:
            row = infeasible(self._identity(point) | columns, str(error))
            self.rows.append(_told(row))
            return None
        self.rows.append({**job.columns, "point": job.address})
        return job

    def give_up(self, reasons: Mapping[str, str]) -> None:
        """Note why points of these addresses have no result."""
        for row in self.rows:
            if row["point"] in reasons:
                row |= {"feasible_told": False, "reason_told": reasons[row["point"]]}

    def _identity(self, point: Point) -> Row:
        return {
            "trace": point.labels.get("trace", self._study.trace),
            "method": point.labels.get("method", self._study.method),
            "baseline": point.baseline,
        }

    def _columns(self, point: Point) -> Row:
        """Return the plain values of a point's knobs; none of a baseline, which has no knobs."""
        space = self._study.space
        if point.baseline:
            return {key: None for key in space.knobs if key not in ("trace", "method")}
        return plain_knobs(space, point)


def plain_knobs(space: Space, point: Point) -> Row:
    """Return the value of every knob at `point`, in inner units: 65536 for "64 KiB"."""
    told = {**point.settings, **point.labels}
    columns: Row = {}
    for axis, values in zip(space.axes, space.values, strict=True):
        index = axis.choices.index(tuple(told[key] for key in axis.keys))
        columns |= dict(zip(axis.keys, values[index], strict=True))
    return columns


def _told(row: Row) -> Row:
    told = {key: value for key, value in row.items() if key not in ("feasible", "reason")}
    return {**told, "point": "", "feasible_told": False, "reason_told": row["reason"]}


class Runner:
    """Hands points to workers and keeps what comes back.

    A worker that dies takes down the points beside it too; each of them is then tried alone.
    """

    def __init__(self, workers: Workers, store: Store, watch: Watcher) -> None:
        """Start without points."""
        self._workers, self._store, self._watch = workers, store, watch
        self._running: dict[Future[Done], Job] = {}
        self._suspects: deque[Job] = deque()
        self._alone: Job | None = None
        self._deaths: dict[str, int] = {}
        self.given_up: dict[str, str] = {}
        self.finished = 0

    def run(self, jobs: Iterable[Job]) -> None:
        """Replay `jobs`, in any order; raises what a point raised, with the point named."""
        source = iter(jobs)
        while self._fill(source):
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in done:
                self._finish(self._running.pop(future), future)

    def _fill(self, source: Iterator[Job]) -> bool:
        """Give the workers what they have room for, suspects alone; return whether any runs."""
        if self._suspects:
            if not self._running:
                self._alone = self._suspects.popleft()
                self._submit(self._alone)
            return True
        while len(self._running) < self._workers.room:
            job = next(source, None)
            if job is None:
                break
            self._submit(job)
        return bool(self._running)

    def _submit(self, job: Job) -> None:
        self._running[self._workers.submit(job)] = job

    def _finish(self, job: Job, future: Future[Done]) -> None:
        error = future.exception()
        if isinstance(error, WorkerLost):
            self._lost(job)
        elif error is not None:
            told = ", ".join(f"{key}={value}" for key, value in job.columns.items())
            error.add_note(f"in the point {told}")
            raise error
        else:
            done = future.result()
            self._store.add(done)
            self.finished += 1
            self._watch.found(done.row)

    def _lost(self, job: Job) -> None:
        self._deaths[job.address] = self._deaths.get(job.address, 0) + (job is self._alone)
        if self._deaths[job.address] >= _DEATHS:
            self.given_up[job.address] = "its worker died each time, as when memory is short"
            self._watch.found()
        else:
            self._suspects.append(job)
