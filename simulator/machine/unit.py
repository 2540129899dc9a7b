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

    `by_tiles`: work that is made of tiles is performed tile by tile, not as a whole.
    """
    while True:
        ready = scheduler.take(unit)
        if ready is None:
            yield scheduler.wait(unit)
            continue
        program, index = ready
        start = int(env.now)
        work, probe = program.tasks[index].work, program.probe
        traffic = sharing.traffic(work)
        if by_tiles and isinstance(work.progress, Pipelined):
            move = partial(memory.perform, unit, index, traffic, probe)
            yield from run_tiles(env, work.progress, move)
        else:
            yield memory.perform(unit, index, traffic, probe, work.progress)
        probe.ran(index, start, int(env.now))
        scheduler.complete(program, index)
