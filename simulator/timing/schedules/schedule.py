"""What a schedule is: the state of an operation on an accelerator, stepping from tile to tile."""

from typing import NamedTuple, Protocol, Self


class Ticks(NamedTuple):
    """A tile at a granted share, in ticks: its transfers, and the channel's part of each.

    Its load `waits` for the computation of the tile before.
    """

    load: int
    load_channel: int
    lag: int
    compute: int
    store: int
    store_channel: int
    ends: bool
    drains: bool
    serial: bool
    waits: bool = False


class Schedule(Protocol):
    """How load, compute and store overlap: where an operation is after some of its tiles."""

    def step(self, tile: Ticks) -> Self:
        """Return the state after one more tile."""

    def relative(self) -> tuple[int, ...]:
        """Return the state without its position in time; equal ones evolve equally."""

    def time(self) -> int:
        """Return the state's position in time."""

    def later(self, ticks: int) -> Self:
        """Return the same state `ticks` later."""

    def end(self) -> int:
        """Return when the last byte is stored."""
