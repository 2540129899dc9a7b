"""Worker processes on this machine, which end with this process."""

import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


def cores() -> int:
    """Return the cores that this process may use, which a queue or a container may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spawned(count: int, begin: Callable[..., None], *arguments: Any) -> ProcessPoolExecutor:
    """Return a pool of `count` processes, started at the first task; each calls `begin` first.

    Submit within `no_main_module`.
    """
    return ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), _begin, (begin, arguments)
    )


@contextmanager
def crew(count: int, begin: Callable[..., None], *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """Open a pool as `spawned` does; at the end stop its processes at once, whatever still runs."""
    others = set(multiprocessing.active_children())
    pool = spawned(count, begin, *arguments)
    try:
        yield pool
    finally:
        stop(pool, others)


def stop(pool: ProcessPoolExecutor, others: set[Any]) -> None:
    """Kill all child processes but the `others`, which are older than the pool."""
    for process in set(multiprocessing.active_children()) - others:
        process.kill()
    pool.shutdown(cancel_futures=True)


@contextmanager
def no_main_module() -> Iterator[None]:
    """Keep new processes from running the caller's script again, which they do not need."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _begin(begin: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Prepare a worker: ignore Ctrl-C, which the parent handles, and end with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.join,), daemon=True).start()
    begin(*arguments)


def _follow(gone: Callable[[], Any]) -> None:
    gone()
    os._exit(1)
