"""A master that executes the tasks it is given, one after the other."""

from collections.abc import Generator, Sequence

from simpy import Environment, Event

from simulator.activity import Task, Unit
from simulator.machine.dram import SharedDram
from simulator.machine.probe import Probe
from simulator.machine.scheduler import Scheduler


def serve(
    env: Environment,
    unit: Unit,
    tasks: Sequence[Task],
    scheduler: Scheduler,
    memory: SharedDram,
    probe: Probe,
) -> Generator[Event, None, None]:
    """Run `unit`: take the next ready task, perform it, report it; wait when there is none."""
    while True:
        index = scheduler.take(unit)
        if index is None:
            yield scheduler.wait(unit)
            continue
        start = int(env.now)
        yield memory.perform(unit, index, tasks[index].work.progress)
        probe.ran(index, start, int(env.now))
        scheduler.complete(index)
