"""The schedule of an HLS dataflow region, whose stages advance together."""

from typing import NamedTuple

from simulator.timing.schedules.schedule import Ticks


class Lockstep(NamedTuple):
    """Stages advance together, as in an HLS dataflow region: each beat lasts as its longest part.

    A region's first load is exposed, every other load is beside a computation, and the last
    computation is beside the store of the region before. Fields: time so far; the computation, the
    store of the region before and the serial store that the next beats hold; inside a region.
    """

    now: int = 0
    computing: int = 0
    due: int = 0
    storing: int = 0
    inside: bool = False

    def step(self, tile: Ticks) -> "Lockstep":
        """Return the state after one more tile."""
        load = tile.load + tile.lag
        now = self.now + (max(load, self.computing) if self.inside else load) + self.storing
        if not tile.ends:
            return Lockstep(now, tile.compute, self.due, tile.store, inside=True)
        now += max(tile.compute, self.due)
        if tile.drains or tile.serial:
            return Lockstep(now + tile.store)
        return Lockstep(now, due=tile.store)

    def shape(self) -> tuple[int, ...]:
        """Return what the next beats hold."""
        return self.computing, self.due, self.storing, self.inside

    def time(self) -> int:
        """Return the time so far."""
        return self.now

    def later(self, ticks: int) -> "Lockstep":
        """Return the same state `ticks` later."""
        return self._replace(now=self.now + ticks)

    def end(self) -> int:
        """Return when the last byte is stored."""
        return self.now + self.computing + self.storing + self.due
