"""Building the units, connecting them, and running one step."""

from collections.abc import Sequence

from simpy import Environment

from simulator.activity import StepRun, Task, Unit
from simulator.machine.attribution import attribute
from simulator.machine.dram import SharedDram
from simulator.machine.probe import Probe, Recorder
from simulator.machine.scheduler import Scheduler, predecessors
from simulator.machine.unit import serve

FIDELITIES = ("flow", "tile")
"""An operation of many tiles is one activity, or every transfer and computation is an event."""


def run_step(
    tasks: Sequence[Task], issue: str, fidelity: str = "flow", *, record: bool = False
) -> StepRun:
    """Run `tasks` to completion under `issue` at a fidelity and return what happened.

    With `record` the memory traffic over time is kept too.
    """
    env = Environment()
    probe = Recorder(len(tasks)) if record else Probe(len(tasks))
    follows = predecessors(tasks, issue)
    scheduler = Scheduler(env, tasks, follows)
    memory = SharedDram(env, probe)
    for unit in Unit:
        by_tiles = fidelity == "tile"
        env.process(serve(env, unit, tasks, scheduler, memory, probe, by_tiles=by_tiles))
    env.run()
    spans = probe.spans
    duration = max((span.end_ps for span in spans), default=0)
    attributed = attribute(spans, [task.work.unit for task in tasks], follows)
    flows = tuple(probe.flows) if isinstance(probe, Recorder) else ()
    return StepRun(tuple(tasks), tuple(spans), tuple(attributed), duration, flows)
