"""Hands points to workers and keeps their results, whichever workers die."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice

from simulator.sweeps.executors import WorkerLost, Workers, gone
from simulator.sweeps.job import Delivery, Job
from simulator.sweeps.store import Store
from simulator.sweeps.watch import Watcher
from simulator.views.design_space import PointRow

_PATIENCE = 2  # seconds without a result, until the workers are checked
_TOGETHER_S = 0.1  # of the points that are handed over at once: no worker waits longer at the end
_DEATHS = 2  # of workers that had one suspect and no other point, before it is given up

Note = Callable[[PointRow], None]


def forget(_row: PointRow) -> None:
    """Keep no rows in memory: a sweep has many."""


class Runner:
    """Hands points to workers and keeps what comes back.

    Points that take little are handed over several at a time. A worker that dies takes down the
    points beside it too; each of them is then tried alone.
    """

    def __init__(self, workers: Workers, store: Store, watch: Watcher, note: Note = forget) -> None:
        """Start without points; `note` takes each row that is new."""
        self._workers, self._store, self._watch, self._note = workers, store, watch, note
        self._running: dict[Future[Delivery], tuple[Job, ...]] = {}
        self._together = 1  # points of the next submission
        self._suspects: deque[Job] = deque()
        self._alone: Job | None = None
        self._deaths: dict[str, int] = {}
        self.given_up: dict[str, str] = {}
        self.finished = 0

    def run(self, jobs: Iterable[Job]) -> None:
        """Replay `jobs`, in any order; raises what a point raised, with the point named."""
        source = iter(jobs)
        while self._fill(source):
            done, _ = wait(self._running, _PATIENCE, return_when=FIRST_COMPLETED)
            if not done:
                self._workers.check()
            for future in done:
                self._finish(self._running.pop(future), future)

    def _fill(self, source: Iterator[Job]) -> bool:
        """Give the workers what they have room for, suspects alone; return whether any runs."""
        if self._suspects:
            if not self._running:
                self._alone = self._suspects.popleft()
                self._submit((self._alone,))
            return True
        while len(self._running) < self._workers.room:
            jobs = tuple(islice(source, self._together))
            if not jobs:
                break
            self._submit(jobs)
        return bool(self._running)

    def _submit(self, jobs: tuple[Job, ...]) -> None:
        self._running[self._workers.submit(jobs)] = jobs

    def _finish(self, jobs: tuple[Job, ...], future: Future[Delivery]) -> None:
        if future.cancelled():
            raise gone()
        error = future.exception()
        if isinstance(error, WorkerLost):
            for job in jobs:
                self._lost(job)
        elif error is not None:
            point = ", ".join(f"{key}={value}" for key, value in jobs[0].columns.items())
            error.add_note(f"in the point {point}")
            raise error
        else:
            self._keep(jobs, future.result())

    def _keep(self, jobs: tuple[Job, ...], delivery: Delivery) -> None:
        """Keep what is done, and ask again for what is not."""
        self._store.add(delivery.done)
        self.finished += len(delivery.done)
        for done in delivery.done:
            self._note(done.row)
            self._watch.finished(done.row)
        if len(delivery.done) < len(jobs):
            self._submit(jobs[len(delivery.done) :])
        fitting = int(len(delivery.done) * _TOGETHER_S / max(delivery.seconds, 1e-6))
        self._together = max(1, min(self._workers.most, fitting))

    def _lost(self, job: Job) -> None:
        self._deaths[job.address] = self._deaths.get(job.address, 0) + (job is self._alone)
        if self._deaths[job.address] >= _DEATHS:
            self.given_up[job.address] = "its worker died each time, as when memory is short"
            self._watch.finished()
        else:
            self._suspects.append(job)
