"""Where points are replayed: in this process, in others on this machine, or on a dask cluster."""

import multiprocessing
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from simulator.collector import RareCollector
from simulator.errors import InputError
from simulator.processes import cores, no_main_module, spawned, stop
from simulator.sweeps.exploration import Exploration, replayed
from simulator.sweeps.job import Delivery, Job

SECONDS_TO_CONNECT = 6
_MOST = 64  # points of a submission: of those that take a millisecond, 10 % more than their time
_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://.+:\d+")  # what dask would wait for is refused


class WorkerLost(Exception):
    """A worker died while it had this point, or beside the one that had it."""


class Workers(ABC):
    """Those who replay points; as a context they stop at its end, whatever still runs."""

    @abstractmethod
    def submit(self, jobs: Sequence[Job]) -> "Future[Delivery]":
        """Return the future of some points; its exception is WorkerLost where their worker died."""

    @property
    @abstractmethod
    def room(self) -> int:
        """How many submissions to have with the workers at a time."""

    @property
    def most(self) -> int:
        """The most points of one submission."""
        return 1

    def check(self) -> None:
        """Raise InputError where nobody is there any more to replay points."""
        return

    @abstractmethod
    def close(self) -> None:
        """Stop at once, whatever still runs."""

    def __enter__(self) -> Self:
        """Return the workers."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop them."""
        self.close()


def gone() -> InputError:
    """Return the error for workers that leave in the middle of a sweep."""
    return InputError(
        "the scheduler has ended, or cannot be reached any more; finished points are kept, and the "
        "same command resumes"
    )


class Here(Workers):
    """This process, one point at a time."""

    @property
    def room(self) -> int:
        """One, which is finished when it has been submitted."""
        return 1

    def __init__(self, study: Exploration) -> None:
        """Replay points of `study`."""
        self._study = study

    def submit(self, jobs: Sequence[Job]) -> "Future[Delivery]":
        """Return the future of some points, which are finished."""
        future: Future[Delivery] = Future()
        try:
            future.set_result(replayed(jobs, self._study))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Do nothing: nothing runs."""


class Processes(Workers):
    """Processes on this machine. When one of them dies, all are started anew."""

    def __init__(self, study: Exploration, workers: int) -> None:
        """Start so many `workers` at the first point."""
        self._study, self._workers = study, workers
        self._others = set(multiprocessing.active_children())
        self._pool = spawned(workers, _begin, study)

    @property
    def room(self) -> int:
        """Twice the workers, so that none of them waits for this process."""
        return 2 * self._workers

    @property
    def most(self) -> int:
        """So many that handing them over takes little of their time."""
        return _MOST

    def submit(self, jobs: Sequence[Job]) -> "Future[Delivery]":
        """Return the future of some points."""
        try:
            with no_main_module():
                future = self._pool.submit(_replay, jobs)
        except BrokenExecutor:
            self._pool = spawned(self._workers, _begin, self._study)
            return self.submit(jobs)
        return _separated(future, (BrokenExecutor,))

    def close(self) -> None:
        """Stop at once."""
        stop(self._pool, self._others)


class Cluster(Workers):
    """The workers of a dask scheduler, wherever they are."""

    def __init__(self, study: Exploration, address: str) -> None:
        """Connect to a scheduler at an address, or to that which wrote a file with its address.

        Raises InputError where none answers, or dask is missing.
        """
        try:
            import distributed  # noqa: PLC0415 - an extra
            from distributed.comm.core import CommClosedError  # noqa: PLC0415
        except ModuleNotFoundError:
            raise InputError("--cluster needs dask: pip install 'trainsoc[cluster]'") from None
        _hush()
        self._lost = (distributed.scheduler.KilledWorker,)
        self._closed = (CommClosedError,)
        connect: Any = distributed.Client
        is_file = Path(address).is_file()
        if not is_file and not _ADDRESS.fullmatch(address):
            raise _no_scheduler(address, "no such file, and no address")
        where = {"scheduler_file" if is_file else "address": address}
        try:
            self._client = connect(**where, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError, KeyError) as error:
            raise _no_scheduler(address, " ".join(str(error).split())[:80]) from None
        # A result of a task, not scattered data: when its holders die, it is made again.
        self._study = self._client.submit(_same, study, pure=False)
        self._executor = self._client.get_executor(pure=False)
        self._room, self._ask_again = 2, 0.0

    @property
    def room(self) -> int:
        """Twice the threads that the cluster has, asked for every few seconds."""
        if time.monotonic() > self._ask_again:
            try:
                threads: int = sum(self._client.nthreads().values())
            except OSError:
                raise gone() from None
            self._room, self._ask_again = max(2, 2 * threads), time.monotonic() + 2
        return self._room

    @property
    def most(self) -> int:
        """So many that handing them over takes little of their time."""
        return _MOST

    def submit(self, jobs: Sequence[Job]) -> "Future[Delivery]":
        """Return the future of some points."""
        try:
            future = self._executor.submit(_replay_alone, jobs, self._study)
        except RuntimeError:  # the client has closed itself
            raise gone() from None
        return _separated(future, self._lost, self._closed)

    def check(self) -> None:
        """Raise InputError where the scheduler has been away for longer than it may take."""
        if self._client.status not in ("running", "connecting"):
            raise gone()

    def close(self) -> None:
        """Leave; what this sweep has not got back is cancelled."""
        with suppress(Exception):
            self._executor.shutdown(wait=False)
        with suppress(Exception):
            self._client.close(timeout=2)


def _no_scheduler(address: str, why: str) -> InputError:
    return InputError(
        f"--cluster {address}: no dask scheduler answers ({why}): start one with "
        "`dask scheduler`, and give its address such as tcp://127.0.0.1:8786, or the file that "
        "it wrote for --scheduler-file"
    )


def workers_for(
    study: Exploration, count: int | None = None, cluster: str | None = None
) -> Workers:
    """Return who replays points: a dask scheduler's workers, or processes."""
    if cluster is not None:
        return Cluster(study, cluster)
    count = count or cores()
    return Here(study) if count == 1 else Processes(study, count)


_ALONE = threading.Lock()  # threads of one worker share what models remember, and gain nothing


def _replay_alone(jobs: Sequence[Job], study: Exploration) -> Delivery:
    with _ALONE:
        return replayed(jobs, study)


def _same(study: Exploration) -> Exploration:
    return study


def _separated(
    future: "Future[Delivery]",
    lost: tuple[type[BaseException], ...],
    closed: tuple[type[BaseException], ...] = (),
) -> "Future[Delivery]":
    """Return a future with WorkerLost for its exception where that is one of `lost`, and with what
    `gone` says where it is one of `closed`.
    """
    ours: Future[Delivery] = Future()

    def pass_on(done: "Future[Delivery]") -> None:
        if done.cancelled():
            ours.cancel()
            return
        error = done.exception()
        if isinstance(error, lost):
            ours.set_exception(WorkerLost(str(error)))
        elif isinstance(error, closed):
            ours.set_exception(gone())
        elif error is not None:
            ours.set_exception(error)
        else:
            ours.set_result(done.result())

    future.add_done_callback(pass_on)
    return ours


_HERE: list[tuple[Exploration, RareCollector]] = []  # of a worker process: sent once, not each time


def _begin(study: Exploration) -> None:
    _HERE[:] = [(study, RareCollector())]


def _replay(jobs: Sequence[Job]) -> Delivery:
    study, collector = _HERE[0]
    delivery = replayed(jobs, study)
    collector.finished(len(jobs))
    return delivery


def _hush() -> None:
    """Keep what dask says about lost workers out of the terminal: the sweep tells it itself."""
    import logging  # noqa: PLC0415

    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
