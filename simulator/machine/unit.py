"""A unit: a master that executes tasks one after the other."""

from collections.abc import Generator
from functools import partial

from simpy import Environment, Event

from simulator.machine.accelerator import run_tiles
from simulator.machine.dram import SharedDram
from simulator.machine.scheduler import Scheduler
from simulator.timing.pipeline import Pipelined
from simulator.timing.sharing import Sharing


def serve(
    env: Environment,
    unit: str,
    scheduler: Scheduler,
    memory: SharedDram,
    sharing: Sharing,
    *,
    by_tiles: bool = False,
) -> Generator[Event, None, None]:
    """Run `unit`: take the next ready task, perform it, report it; wait when there is none.

    The unit runs ahead of `env` through work that ends before anything else can happen, until
    someone else acts on what it has done: such work needs no event, unless someone watches the
    memory. `by_tiles`: work that is made of tiles is performed tile by tile, not as a whole.
    """
    now = int(env.now)
    while True:
        ready = scheduler.take(unit)
        if ready is None:
            yield scheduler.wait(unit)
            now = int(env.now)
            continue
        program, index = ready
        start, work, probe = now, program.works[index], program.probe
        progress = work.progress
        tiles = progress if by_tiles and isinstance(progress, Pipelined) else None
        apart = tiles or probe.keeps_flows
        end = None if apart else memory.end_undisturbed(start, progress)
        if end is not None:
            now = end
            if scheduler.is_awaited(program, index):
                yield env.timeout(now - int(env.now))
        else:
            if start > env.now:
                yield env.timeout(start - int(env.now))
            traffic = sharing.traffic(work)
            if tiles:
                move = partial(memory.perform, unit, index, traffic, probe)
                yield from run_tiles(env, tiles, move)
            else:
                yield memory.perform(unit, index, traffic, probe, progress)
            now = int(env.now)
        probe.ran(index, start, now)
        scheduler.complete(program, index)
