"""When the cyclic garbage collector looks at objects: seldom, as most that are made stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_USUAL = gc.get_threshold()
_RARE = (100_000, 20, 20)  # new objects, then collections, before it looks at older ones too


def collect_rarely() -> None:
    """Let the collector look every 100,000 new objects, not every 700.

    Most that a command makes, modules and results, stay to its end.
    """
    gc.set_threshold(*_RARE)


def collect_as_usual() -> None:
    """Let the collector look when it would without us, as a script that is captured expects it."""
    gc.set_threshold(*_USUAL)


@contextmanager
def paused_collector() -> Iterator[None]:
    """Disable the cyclic garbage collector for the body.

    It scans all objects as new ones are made, a sixth of the time of a replay and half of that of
    reading a long trace, and finds nothing: neither makes cycles.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


_BETWEEN_COLLECTIONS = 1000  # replays, which leave no cycles but where one fails


class RareCollector:
    """Collects garbage now and then in a process that replays many times.

    The memos that replays share are large and live on; scanning them at every collection takes a
    sixth to a third of the time.
    """

    def __init__(self) -> None:
        """Disable the collector."""
        gc.disable()
        self._since = 0

    def finished(self, count: int) -> None:
        """Note so many replays; collect now and then, and exempt what survives from the next."""
        self._since += count
        if self._since >= _BETWEEN_COLLECTIONS:
            self._since = 0
            gc.collect()
            gc.freeze()
