"""The accelerator tile by tile: transfers and computations as events."""

from simpy import Environment

from simulator.machine.schedules import TWINS, EventSteps, StartTransfer
from simulator.timing.pipeline import Pipelined


def run_tiles(env: Environment, work: Pipelined, move: StartTransfer) -> EventSteps:
    """Execute `work`; `move` starts a transfer and returns the event of its end."""
    yield env.timeout(work.latency_ps)
    twin = TWINS[type(work.schedule)](env, work, move)
    movers = [env.process(steps) for steps in twin.movers()]
    yield from twin.computations()
    yield from movers
