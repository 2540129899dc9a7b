"""A master that executes the tasks it is given, one after the other."""

from collections.abc import Generator, Sequence
from functools import partial

from simpy import Environment, Event

from simulator.activity import Task, Unit
from simulator.machine.accelerator import run_tiles
from simulator.machine.dram import SharedDram
from simulator.machine.interconnect import Interconnect
from simulator.machine.probe import Probe
from simulator.machine.scheduler import Scheduler
from simulator.timing.pipeline import Pipelined


def serve(
    env: Environment,
    unit: Unit,
    tasks: Sequence[Task],
    scheduler: Scheduler,
    memory: SharedDram,
    interconnect: Interconnect,
    probe: Probe,
    *,
    by_tiles: bool = False,
) -> Generator[Event, None, None]:
    """Run `unit`: take the next ready task, perform it, report it; wait when there is none.

    `by_tiles`: work that is made of tiles is performed tile by tile, not as a whole.
    """
    while True:
        index = scheduler.take(unit)
        if index is None:
            yield scheduler.wait(unit)
            continue
        start = int(env.now)
        work = tasks[index].work
        traffic = interconnect.traffic(work)
        if by_tiles and isinstance(work.progress, Pipelined):
            move = partial(memory.perform, unit, index, traffic)
            yield from run_tiles(env, work.progress, move)
        else:
            yield memory.perform(unit, index, traffic, work.progress)
        probe.ran(index, start, int(env.now))
        scheduler.complete(index)
