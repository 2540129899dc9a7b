"""Twin of `TwoSlots`: a tile occupies a slot from its first load to the end of its store."""

from collections import deque
from collections.abc import Sequence

from simpy import Environment

from simulator.machine.schedules.channel import SharedChannel
from simulator.machine.schedules.twin import (
    ComputeTime,
    EventSteps,
    StartTransfer,
    TileCount,
    tiles_of,
)
from simulator.timing.pipeline import Pipelined


class TwoSlotsTwin:
    """Two slots; a tile that loads or stores nothing takes one all the same."""

    def __init__(self, env: Environment, work: Pipelined, move: StartTransfer) -> None:
        """Prepare to run the tiles of `work`."""
        self._env, self._work = env, work
        self._channel = SharedChannel(env, move)
        self._loaded, self._computed, self._freed = TileCount(env), TileCount(env), TileCount(env)
        self._read = TileCount(env)  # computed as well, for the loads that wait for it
        self._arrivals: deque[int] = deque()  # times of loads whose tiles have not been computed

    def movers(self) -> Sequence[EventSteps]:
        """Return the stream of loads and that of stores."""
        return self._loads(), self._stores()

    def computations(self) -> EventSteps:
        """Compute each tile once all of it is loaded."""
        env, loaded, computed, arrivals = self._env, self._loaded, self._computed, self._arrivals
        time = ComputeTime(self._work)
        for index, tile in enumerate(tiles_of(self._work.body)):
            if loaded.value <= index:
                yield loaded.reaches(index + 1)
            late = arrivals.popleft() - int(env.now)
            if late > 0:
                yield env.timeout(late)
            compute_ps = time.of(tile)
            if compute_ps:
                yield env.timeout(compute_ps)
            self._read.add()  # at the same moment, the next load goes first
            computed.add()

    def _loads(self) -> EventSteps:
        """Load each tile when a slot is free."""
        freed, read = self._freed, self._read
        for index, tile in enumerate(tiles_of(self._work.body)):
            if freed.value < index - 1:
                yield freed.reaches(index - 1)
            if tile.load.moves:
                if tile.waits and read.value < index:
                    yield read.reaches(index)
                yield from self._channel.carry(tile.load)
            self._arrivals.append(int(self._env.now) + tile.load.lag_ps)
            self._loaded.add()

    def _stores(self) -> EventSteps:
        """Store each tile when it has been computed, and free its slot."""
        computed, freed = self._computed, self._freed
        for index, tile in enumerate(tiles_of(self._work.body)):
            if computed.value <= index:
                yield computed.reaches(index + 1)
            if tile.store.moves:
                yield from self._channel.carry(tile.store)
            freed.add()
            if freed.wakes:
                yield self._env.timeout(0)  # at the same moment, the next load goes first
