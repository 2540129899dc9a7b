"""The schedule of an HLS dataflow region, whose stages advance together."""

from typing import NamedTuple

from simulator.timing.schedules.schedule import Ticks


class Lockstep(NamedTuple):
    """Stages advance together, as in an HLS dataflow region: a beat takes as long as its slowest.

    A region's first load is exposed, every other load overlaps a computation, and the last
    computation overlaps the store of the region before. Fields: time so far; lengths of the
    computation, of the store of the region before and of the serial store in the next beats;
    whether a region is open.
    """

    now: int = 0
    computing: int = 0
    due: int = 0
    storing: int = 0
    inside: bool = False

    def step(self, tile: Ticks) -> "Lockstep":
        """Return the state after one more tile."""
        load = tile.load + tile.lag
        beside = self.inside and not tile.waits
        now = self.now + (max(load, self.computing) if beside else load + self.computing)
        now += self.storing
        if not tile.ends:
            return Lockstep(now, tile.compute, self.due, tile.store, inside=True)
        now += max(tile.compute, self.due)
        if tile.drains or tile.serial:
            return Lockstep(now + tile.store)
        return Lockstep(now, due=tile.store)

    def relative(self) -> tuple[int, ...]:
        """Return the contents of the next beats."""
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
