"""Twins of the decoupled schedules: load, compute and store run ahead through double buffers."""

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


class _Decoupled:
    """The array between an operand and an output buffer, each double."""

    def __init__(self, env: Environment, work: Pipelined, move: StartTransfer) -> None:
        self._env, self._work, self._move = env, work, move
        self._loaded, self._stored = TileCount(env), TileCount(env)
        self._computed, self._freed = TileCount(env), TileCount(env)  # for stores, and for loads
        self._arrivals: deque[int] = deque()  # times of loads whose tiles have not been computed

    def computations(self) -> EventSteps:
        """Compute each tile once its operands are there and its output buffer is free."""
        env, loaded, stored, arrivals = self._env, self._loaded, self._stored, self._arrivals
        time, loading, storing = ComputeTime(self._work), 0, 0
        for tile in tiles_of(self._work.body):
            if tile.load.moves:
                loading += 1
                if loaded.value < loading:
                    yield loaded.reaches(loading)
                late = arrivals.popleft() - int(env.now)
                if late > 0:
                    yield env.timeout(late)
            if stored.value < storing - 1:
                yield stored.reaches(storing - 1)
            compute_ps = time.of(tile)
            if compute_ps:
                yield env.timeout(compute_ps)
            self._computed.add()
            self._freed.add()
            storing += tile.store.moves

    def _arrives(self, lag_ps: int) -> None:
        self._arrivals.append(int(self._env.now) + lag_ps)
        self._loaded.add()


class InTurnTwin(_Decoupled):
    """Twin of `InTurn`: one stream serves load(i), store(i-1), load(i+1)."""

    def movers(self) -> Sequence[EventSteps]:
        """Return the one stream."""
        return (self._loads_and_stores(),)

    def _loads_and_stores(self) -> EventSteps:
        move, computed, due, index = self._move, self._computed, None, 0
        for index, tile in enumerate(tiles_of(self._work.body)):
            load, store = tile.load, tile.store
            if load.moves:
                before = index if tile.waits else index - 1
                if computed.value < before:
                    yield computed.reaches(before)
                yield move(load)
                self._arrives(load.lag_ps)
            if due is not None:
                if computed.value < index:
                    yield computed.reaches(index)
                yield move(due)
                self._stored.add()
            due = store if store.moves else None
        if due is not None:
            if computed.value < index + 1:
                yield computed.reaches(index + 1)
            yield move(due)


class SideBySideTwin(_Decoupled):
    """Twin of `SideBySide`: loads and stores have streams of their own."""

    def __init__(self, env: Environment, work: Pipelined, move: StartTransfer) -> None:
        """Prepare to run the tiles of `work`."""
        super().__init__(env, work, move)
        self._channel = SharedChannel(env, move)

    def movers(self) -> Sequence[EventSteps]:
        """Return the stream of loads and that of stores."""
        return self._loads(), self._stores()

    def _loads(self) -> EventSteps:
        """Load each tile when the one two before it, or just before it, has been computed."""
        computed, freed = self._computed, self._freed
        for index, tile in enumerate(tiles_of(self._work.body)):
            if tile.load.moves:
                before = index if tile.waits else index - 1
                if freed.value < before:
                    yield freed.reaches(before)
                if computed.wakes:
                    yield self._env.timeout(0)  # at the same moment, outputs leave first
                yield from self._channel.carry(tile.load)
                self._arrives(tile.load.lag_ps)

    def _stores(self) -> EventSteps:
        """Store each tile when it has been computed."""
        computed = self._computed
        for index, tile in enumerate(tiles_of(self._work.body)):
            if computed.value <= index:
                yield computed.reaches(index + 1)
            if tile.store.moves:
                yield from self._channel.carry(tile.store)
                self._stored.add()
