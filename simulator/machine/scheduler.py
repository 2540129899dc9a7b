"""Which ready task goes to which unit, and when."""

from bisect import insort
from collections import defaultdict
from collections.abc import Sequence
from heapq import heappop, heappush

from simpy import Environment, Event

from simulator.activity import Work
from simulator.machine.probe import Probe


class ProgramRun:
    """Tasks in program order under way: who waits for whom, and which are ready at their unit."""

    def __init__(
        self,
        works: Sequence[Work],
        follows: Sequence[tuple[int, ...]],
        probe: Probe,
        done: Event,
        priority: int = 0,
    ) -> None:
        """Run tasks with these works, observed by `probe`; task i follows all of `follows[i]`.

        `done` is triggered when the last of them ends. Of programs that want a unit, that of the
        highest `priority` gets it.
        """
        self.works, self.probe, self.done, self.priority = works, probe, done, priority
        self.left = len(works)
        self.missing = [len(before) for before in follows]
        self.next: list[list[int]] = [[] for _ in works]
        self.ready: defaultdict[str, list[int]] = defaultdict(list)  # heaps
        for index, before in enumerate(follows):
            for earlier in before:
                self.next[earlier].append(index)
            if not before:
                self.ready[works[index].unit].append(index)


class Scheduler:
    """Queues a task at its unit as soon as all that it follows is done.

    A unit takes the tasks of the most urgent program, of equals of the one that came first, in
    program order. A task that runs is not interrupted.
    """

    def __init__(self, env: Environment) -> None:
        """Schedule in `env`."""
        self._env = env
        self._programs: list[ProgramRun] = []  # the most urgent first, of equals as they came
        self._idle: dict[str, Event] = {}

    def add(self, program: ProgramRun) -> None:
        """Take a program; its tasks that follow nothing are ready at once."""
        if not program.left:
            program.done.succeed()
            return
        insort(self._programs, program, key=lambda each: -each.priority)
        for unit in program.ready:
            self._wake(unit)

    def take(self, unit: str) -> tuple[ProgramRun, int] | None:
        """Return the next ready task of `unit`, its program and index, if there is one."""
        for program in self._programs:
            ready = program.ready[unit]
            if ready:
                return program, heappop(ready)
        return None

    def wait(self, unit: str) -> Event:
        """Return an event that fires when `unit` has a ready task again."""
        event = self._idle[unit] = self._env.event()
        return event

    def is_awaited(self, program: ProgramRun, index: int) -> bool:
        """Return whether the end of task `index` of `program` wakes another unit, or ends it."""
        if program.left == 1:
            return True
        missing, works, idle = program.missing, program.works, self._idle
        return any(
            missing[later] == 1 and works[later].unit in idle for later in program.next[index]
        )

    def complete(self, program: ProgramRun, index: int) -> None:
        """Release the tasks that waited for task `index` of `program`."""
        missing = program.missing
        for later in program.next[index]:
            missing[later] -= 1
            if not missing[later]:
                unit = program.works[later].unit
                heappush(program.ready[unit], later)
                self._wake(unit)
        program.left -= 1
        if not program.left:
            self._programs.remove(program)
            program.done.succeed()

    def close(self) -> None:
        """Let no unit wait any more."""
        for event in self._idle.values():
            event.callbacks.clear()
        self._idle.clear()

    def _wake(self, unit: str) -> None:
        idle = self._idle.pop(unit, None)
        if idle is not None:
            idle.succeed()
