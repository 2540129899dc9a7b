"""What the event-driven twins of schedules are made of: stages that wait for each other's tiles."""

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain, repeat
from typing import Protocol

from simpy import Environment, Event

from simulator.activity import Repeat
from simulator.timing.pipeline import Pipelined, Tile, TileBody, Transfer

StartTransfer = Callable[[Transfer], Event]
"""Starts a transfer and returns the event of its end."""

EventSteps = Generator[Event, None, None]


class Twin(Protocol):
    """A schedule as processes: one for the array, one for each stream of transfers."""

    def __init__(self, env: Environment, work: Pipelined, move: StartTransfer) -> None:
        """Prepare to run the tiles of `work`."""

    def movers(self) -> Sequence[EventSteps]:
        """Return what runs beside the computations."""

    def computations(self) -> EventSteps:
        """Compute all tiles."""


class TileCount:
    """How many tiles have passed a stage; one process may wait for more of them."""

    __slots__ = ("_env", "_event", "_least", "value")

    def __init__(self, env: Environment) -> None:
        """Begin with none."""
        self._env = env
        self.value = 0
        self._least = 0
        self._event: Event | None = None

    @property
    def wakes(self) -> bool:
        """Whether the waiting process resumes at this moment and has not done so yet."""
        event = self._event
        return event is not None and event.triggered and not event.processed

    def add(self) -> None:
        """Let one more tile pass."""
        self.value += 1
        if self._event is not None and self.value == self._least:
            self._event.succeed()

    def reaches(self, least: int) -> Event:
        """Return the event at which `least` tiles have passed; call it only before that."""
        event = self._event = self._env.event()
        self._least = least
        return event


class ComputeTime:
    """Time of computations in whole picoseconds; the rest of a cycle is carried to the next."""

    __slots__ = ("_fill", "_per_cycle", "_per_ps", "_ticks")

    def __init__(self, work: Pipelined) -> None:
        """Begin with the array's fill, which the first tile that computes pays."""
        self._per_cycle, self._per_ps = work.clock.ticks_per_cycle, work.clock.ticks_per_ps
        self._fill, self._ticks = work.fill_cycles * self._per_cycle, 0

    def of(self, tile: Tile) -> int:
        """Return the time of the next tile."""
        if tile.cycles:
            self._ticks += tile.cycles * self._per_cycle + self._fill
            self._fill = 0
        whole, self._ticks = divmod(self._ticks, self._per_ps)
        return whole


def tiles_of(body: TileBody) -> Iterator[Tile]:
    """Return the tiles one by one, without a frame of Python for each level of the nest."""
    return chain.from_iterable(
        _repeated(node) if isinstance(node, Repeat) else (node,) for node in body
    )


def _repeated(loop: Repeat[Tile]) -> Iterator[Tile]:
    return chain.from_iterable(map(tiles_of, repeat(loop.body, loop.times)))
