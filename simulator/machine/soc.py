"""A SoC as components in a SimPy environment, which runs tasks of any program."""

from collections.abc import Sequence

from simpy import Environment, Event

from simulator.activity import StepRun, Task
from simulator.errors import InputError
from simulator.hardware.soc import Hardware
from simulator.machine.dram import SharedDram
from simulator.machine.probe import Probe, Recorder
from simulator.machine.scheduler import ProgramRun, Scheduler, predecessors
from simulator.machine.unit import serve
from simulator.timing.attribution import attribute
from simulator.timing.pipeline import Pipelined
from simulator.timing.sharing import Sharing

FIDELITIES = ("flow", "tile")
"""An operation of many tiles is one activity, or every transfer and computation is an event."""

MOST_TILES = 1_000_000
"""The most tiles that are simulated one by one by default: about a minute."""


class Soc:
    """Units that serve tasks, first come first served by program, and share a memory."""

    def __init__(
        self,
        env: Environment,
        hardware: Hardware | None = None,
        fidelity: str = "flow",
        sharing: Sharing | None = None,
    ) -> None:
        """Build `hardware` in `env`; units appear with their first task.

        Masters share the memory as `sharing` says, by default that of `hardware`; without either
        fairly and undisturbed.
        """
        self._env = env
        self._sharing = sharing or Sharing(hardware)
        self._memory = SharedDram(env, self._sharing)
        self._scheduler = Scheduler(env)
        self._by_tiles = fidelity == "tile"
        self._units: set[str] = set()

    def submit(self, tasks: Sequence[Task], issue: str, probe: Probe) -> Event:
        """Start a program's tasks now, under `issue`; return the event of the last one's end.

        `probe` learns when each of them ran and what it moved, times counted from the start of the
        environment.
        """
        program = ProgramRun(tasks, predecessors(tasks, issue), probe, self._env.event())
        for unit in dict.fromkeys([task.work.unit for task in tasks]):
            self._open(unit)
        self._scheduler.add(program)
        return program.done

    def _open(self, unit: str) -> None:
        if unit in self._units:
            return
        self._units.add(unit)
        serving = serve(
            self._env, unit, self._scheduler, self._memory, self._sharing, by_tiles=self._by_tiles
        )
        self._env.process(serving)


def run_step(
    tasks: Sequence[Task],
    issue: str,
    fidelity: str = "flow",
    sharing: Sharing | None = None,
    *,
    record: bool = False,
    most_tiles: int = MOST_TILES,
) -> StepRun:
    """Run `tasks` alone on a SoC to completion under `issue` and return what happened.

    Masters share the memory as `sharing` says, without it fairly and undisturbed. With `record` the
    memory traffic over time is kept too. Raises InputError where fidelity "tile" has more than
    `most_tiles` to simulate.
    """
    if fidelity == "tile":
        _check_tiles(tasks, most_tiles)
    env = Environment()
    probe = Recorder(tasks) if record else Probe(tasks)
    Soc(env, fidelity=fidelity, sharing=sharing).submit(tasks, issue, probe)
    env.run()
    spans = probe.spans
    duration = max((span.end_ps for span in spans), default=0)
    units = [task.work.unit for task in tasks]
    attributed = attribute(spans, units, predecessors(tasks, issue))
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
