"""Twin of `Lockstep`: all stages advance together, beat by beat."""

from collections.abc import Sequence

from simpy import Environment

from simulator.machine.schedules.twin import EventSteps, StartTransfer, tiles_of
from simulator.timing.pipeline import Pipelined


class LockstepTwin:
    """One process: what moves beside a computation starts with it and is awaited with it."""

    def __init__(self, env: Environment, work: Pipelined, move: StartTransfer) -> None:
        """Prepare to run the tiles of `work`."""
        self._env, self._work, self._move = env, work, move

    def movers(self) -> Sequence[EventSteps]:
        """Return nothing: transfers keep the beat."""
        return ()

    def computations(self) -> EventSteps:
        """Run the beats; a region's last one has the store of the region before beside it."""
        env, move, work = self._env, self._move, self._work
        computing, due, storing, inside = env.timeout(0), None, None, False
        clock, first = work.clock, work.fill_cycles
        for tile in tiles_of(work.body):
            load, store = tile.load, tile.store
            cycles_ps = 0
            if tile.cycles:
                cycles_ps, first = clock.cycles_to_ps(tile.cycles + first), 0
            if load.moves:
                if tile.waits:
                    yield computing
                yield move(load)
                if load.lag_ps:
                    yield env.timeout(load.lag_ps)
            if inside:
                yield computing
            if storing is not None:
                yield move(storing)
            stores = store if store.moves else None
            computing, storing, inside = env.timeout(cycles_ps), None, not tile.ends
            if inside:
                storing = stores
                continue
            if due is not None:
                yield move(due)
            yield computing
            due = stores
            if due is not None and (tile.drains or tile.serial):
                yield move(due)
                due = None
        yield computing
        for last in (storing, due):
            if last is not None:
                yield move(last)
