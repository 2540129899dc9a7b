"""Building the units, connecting them, and running one step."""

from collections.abc import Sequence

from simpy import Environment

from simulator.activity import StepRun, Task, Unit
from simulator.errors import InputError
from simulator.machine.attribution import attribute
from simulator.machine.dram import SharedDram
from simulator.machine.interconnect import Interconnect
from simulator.machine.probe import Probe, Recorder
from simulator.machine.scheduler import Scheduler, predecessors
from simulator.machine.unit import serve
from simulator.timing.pipeline import Pipelined

FIDELITIES = ("flow", "tile")
"""An operation of many tiles is one activity, or every transfer and computation is an event."""

MOST_TILES = 1_000_000
"""Tiles that are simulated one by one without being asked for: about a minute."""


def run_step(
    tasks: Sequence[Task],
    issue: str,
    fidelity: str = "flow",
    interconnect: Interconnect | None = None,
    *,
    record: bool = False,
    most_tiles: int = MOST_TILES,
) -> StepRun:
    """Run `tasks` to completion under `issue` at a fidelity and return what happened.

    Masters share the memory as `interconnect` says, without one fairly and undisturbed. With
    `record` the memory traffic over time is kept too. Raises InputError where fidelity "tile"
    has more than `most_tiles` to simulate.
    """
    env = Environment()
    probe = Recorder(len(tasks)) if record else Probe(len(tasks))
    follows = predecessors(tasks, issue)
    scheduler = Scheduler(env, tasks, follows)
    fabric = interconnect or Interconnect()
    memory, by_tiles = SharedDram(env, probe, fabric), fidelity == "tile"
    if by_tiles:
        _check_tiles(tasks, most_tiles)
    for unit in Unit:
        env.process(serve(env, unit, tasks, scheduler, memory, fabric, probe, by_tiles=by_tiles))
    env.run()
    spans = probe.spans
    duration = max((span.end_ps for span in spans), default=0)
    attributed = attribute(spans, [task.work.unit for task in tasks], follows)
    flows = tuple(probe.flows) if isinstance(probe, Recorder) else ()
    return StepRun(tuple(tasks), tuple(spans), tuple(attributed), duration, flows)


def _check_tiles(tasks: Sequence[Task], most: int) -> None:
    works = (task.work.progress for task in tasks)
    tiles = sum(progress.tiles for progress in works if isinstance(progress, Pipelined))
    if tiles > most:
        raise InputError(
            f"--fidelity tile would simulate {tiles:,} tiles in one step, and {most:,} is the "
            f"limit: use --fidelity flow, or lift it with --max-tiles {tiles}"
        )
