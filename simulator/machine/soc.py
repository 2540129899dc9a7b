"""A SoC as components in a SimPy environment, which runs tasks of any program."""

from collections.abc import Sequence

from simpy import Environment, Event

from simulator.activity import Task, Work
from simulator.hardware.soc import Hardware
from simulator.machine.dram import SharedDram
from simulator.machine.probe import Probe
from simulator.machine.scheduler import ProgramRun, Scheduler
from simulator.machine.unit import serve
from simulator.timing.precedence import Follows, precedence
from simulator.timing.sharing import Sharing, sharing_of

FIDELITIES = ("flow", "tile")
"""An operation of many tiles is one activity, or every transfer and computation is an event."""


class Soc:
    """Units that serve tasks, the most urgent program first, and share a memory."""

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
        self._sharing = sharing or (sharing_of(hardware) if hardware else Sharing())
        self._memory = SharedDram(env, self._sharing)
        self._scheduler = Scheduler(env)
        self._by_tiles = fidelity == "tile"
        self._units: set[str] = set()

    def submit(self, tasks: Sequence[Task], issue: str, probe: Probe, priority: int = 0) -> Event:
        """Start a program's tasks now, under `issue`; return the event of the last one's end.

        `probe` learns when each of them ran and what it moved, times counted from the start of the
        environment. Among several programs the highest `priority` goes first, task by task.
        """
        works, waits = [task.work for task in tasks], [task.waits for task in tasks]
        order = precedence((work.unit for work in works), waits, issue)
        return self.start(works, order.follows, probe, priority)

    def start(
        self, works: Sequence[Work], follows: Follows, probe: Probe, priority: int = 0
    ) -> Event:
        """Start the work of a program's tasks now, as `submit` does; i follows all of
        `follows[i]`.
        """
        program = ProgramRun(works, follows, probe, self._env.event(), priority)
        for unit in dict.fromkeys([work.unit for work in works]):
            self._open(unit)
        self._scheduler.add(program)
        return program.done

    def close(self) -> None:
        """Stop the units, which know those who wait for them: nothing of the SoC is kept alive."""
        self._scheduler.close()

    def _open(self, unit: str) -> None:
        if unit in self._units:
            return
        self._units.add(unit)
        serving = serve(
            self._env, unit, self._scheduler, self._memory, self._sharing, by_tiles=self._by_tiles
        )
        self._env.process(serving)
