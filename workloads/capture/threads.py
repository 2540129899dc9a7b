"""Follows every thread of a run with a listener of its own; logs one event at a time."""

import functools
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import process as processes
from concurrent.futures import thread as pools
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from workloads.capture.listener import ThreadListener
from workloads.capture.names import ModuleNames
from workloads.capture.optimizers import Optimizers
from workloads.capture.policy import RecordingPolicy
from workloads.capture.segments import Catalogue


class Threads:
    """The listeners of the thread that started a recording and of threads started since.

    All their steps go to one `catalogue`, in the order in which they end.
    """

    def __init__(
        self,
        names: ModuleNames,
        optimizers: Iterable[torch.optim.Optimizer],
        patience: int,
        *,
        timed: bool = False,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Record every step until `patience` in a row are alike; new optimizers are added as they
        step. With `timed`, ops are timed, and no step is recorded after that.

        `around` makes the context in which a new thread runs.
        """
        self.catalogue = Catalogue(patience)
        self.faults = 0
        self.lock = threading.RLock()
        self._abandoned = False
        self._names = names
        self._optimizers = Optimizers(optimizers)
        self._patience = patience
        self._timed = timed
        self._around = around
        self._listeners: list[ThreadListener] = []
        self._current: dict[int, ThreadListener] = {}
        self._started: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        _following.add(self)

    def current(self) -> ThreadListener | None:
        """Return the listener of the calling thread; None if it started before the recording."""
        return self._current.get(threading.get_ident())

    @property
    def forced_eager(self) -> bool:
        """Whether code that torch.compile wrapped ran eagerly."""
        return any(listener.forced_eager for listener in self._listeners)

    @property
    def compiled(self) -> bool:
        """Whether torch.compile had wrapped a network."""
        return any(listener.compiled for listener in self._listeners)

    @property
    def lost(self) -> int:
        """How many ops could not be logged."""
        return sum(listener.recorder.lost for listener in self._listeners)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the calling thread and those that start inside the block."""
        original = threading.Thread.start

        @functools.wraps(original)
        def start(thread: threading.Thread) -> None:
            if not self._abandoned:
                self._wrap(thread)
            original(thread)

        self._begin()
        threading.Thread.start = start  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            threading.Thread.start = original  # type: ignore[method-assign]

    def close(self, failed: bool) -> None:
        """End the last step of every thread; in one that still runs it counts only if complete."""
        with self.lock:
            mine = self.current()
            for listener in list(self._current.values()):
                if listener is not mine:
                    listener.recorder.settle()
                listener.close(failed or listener is not mine)
            self._current.clear()

    @property
    def at_work(self) -> bool:
        """Whether the calling thread holds the lock, or logs an op."""
        listener = self.current()
        logging = listener is not None and listener.recorder.logging
        return logging or bool(self.lock._is_owned())  # type: ignore[attr-defined]

    def wait(self) -> None:
        """Wait for the threads that Python waits for at the end of a program."""
        with _pools_end(self._started):
            while running := [t for t in list(self._started) if t.is_alive() and not t.daemon]:
                for thread in running:
                    thread.join()

    def _wrap(self, thread: threading.Thread) -> None:
        run = thread.run
        self._started.add(thread)

        def run_and_follow() -> None:
            del thread.run  # breaks a reference cycle
            with self._around(), self._listening():
                run()

        thread.run = run_and_follow  # type: ignore[method-assign]

    @contextmanager
    def _listening(self) -> Iterator[None]:
        listener = self._begin()
        failed = True
        try:
            yield
            failed = False
        finally:
            self._end(listener, failed)

    def _begin(self) -> ThreadListener:
        policy = RecordingPolicy(self._patience, resting=self._timed)
        listener = ThreadListener(
            self._names, self._optimizers, self.catalogue, policy, self._timed
        )
        with self.lock:
            self._listeners.append(listener)
            self._current[threading.get_ident()] = listener
            listener.recorder.start()
        return listener

    def _end(self, listener: ThreadListener, failed: bool) -> None:
        with self.lock:
            if self.current() is listener:
                listener.close(failed)
                del self._current[threading.get_ident()]

    def abandon(self) -> None:
        """Stop recording in a fork, where the lock may be held for ever."""
        self._abandoned = True
        self.lock = threading.RLock()
        self._current.clear()
        for listener in self._listeners:
            listener.recorder.abandon()


@contextmanager
def _pools_end(threads: Iterable[threading.Thread]) -> Iterator[None]:
    """Let the pools among `threads` end once their work is done, as Python does at its end."""
    queues, wakeups = getattr(pools, "_threads_queues", {}), processes._threads_wakeups
    before = pools._shutdown, processes._global_shutdown
    pools._shutdown = processes._global_shutdown = True
    try:
        for thread in list(threads):
            if thread in queues:
                queues[thread].put(None)
            if thread in wakeups:
                wakeups[thread].wakeup()
        yield
    finally:
        pools._shutdown, processes._global_shutdown = before


_following: weakref.WeakSet[Threads] = weakref.WeakSet()


def _leave() -> None:
    for threads in _following:
        threads.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave)
