"""Pausing Python's search for garbage in cycles, where many objects are made that stay."""

import gc
import itertools
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Disable the cyclic garbage collector for the body.

    It looks through all objects again and again as they are made: a sixth of the time of a replay,
    half of that of reading a long trace, and neither makes cycles.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


_BETWEEN_COLLECTIONS = 20  # replays, each of which leaves some 3 MB of cycles


class RareCollector:
    """The garbage collector of a process that replays again and again.

    What replays remember for each other is large and lives on: a collector that walks it again
    and again takes a sixth to a third of the time.
    """

    def __init__(self) -> None:
        """Disable the collector."""
        gc.disable()
        self._finished = itertools.count(1)

    def finished_one(self) -> None:
        """Collect now and then; what is remembered need not be walked through the next time."""
        if next(self._finished) % _BETWEEN_COLLECTIONS == 0:
            gc.collect()
            gc.freeze()
