"""Which ready task goes to which unit, and when: the three ways in which a runtime issues work."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count

from simpy import Environment, Event

from simulator.activity import Task
from simulator.machine.probe import Probe

Order = Callable[[Sequence[Task]], list[int]]


def _synchronous(tasks: Sequence[Task]) -> list[int]:
    return list(range(-1, len(tasks) - 1))


def _in_order(tasks: Sequence[Task]) -> list[int]:
    last: dict[str, int] = {}
    before = []
    for index, task in enumerate(tasks):
        before.append(last.get(task.work.unit, -1))
        last[task.work.unit] = index
    return before


def _dataflow(tasks: Sequence[Task]) -> list[int]:
    return [-1] * len(tasks)


ISSUE: dict[str, Order] = {
    "synchronous": _synchronous,
    "in_order": _in_order,
    "dataflow": _dataflow,
}
"""For each way of issuing: the task that each task must follow besides its dependences, or -1."""


def predecessors(tasks: Sequence[Task], issue: str) -> list[tuple[int, ...]]:
    """Return, for each task, all tasks that it must follow under `issue`, sorted."""
    before = ISSUE[issue](tasks)
    return [
        task.waits if extra < 0 or extra in task.waits else tuple(sorted((*task.waits, extra)))
        for task, extra in zip(tasks, before, strict=True)
    ]


class ProgramRun:
    """Tasks in program order under way: who waits for whom, how many are left."""

    def __init__(
        self, tasks: Sequence[Task], follows: Sequence[tuple[int, ...]], probe: Probe, done: Event
    ) -> None:
        """Run `tasks`, observed by `probe`; task i follows all of `follows[i]`.

        `done` is triggered when the last of them ends.
        """
        self.tasks, self.probe, self.done = tasks, probe, done
        self.left, self.number = len(tasks), -1
        self.missing = [len(before) for before in follows]
        self.next: list[list[int]] = [[] for _ in tasks]
        for index, before in enumerate(follows):
            for earlier in before:
                self.next[earlier].append(index)


class Scheduler:
    """Queues a task at its unit as soon as all that it follows is done.

    A unit takes the tasks of the program that came first, in program order.
    """

    def __init__(self, env: Environment) -> None:
        """Schedule in `env`."""
        self._env = env
        self._programs: dict[int, ProgramRun] = {}
        self._numbers = count()
        self._ready: dict[str, list[tuple[int, int]]] = {}
        self._idle: dict[str, Event] = {}

    def add(self, program: ProgramRun) -> None:
        """Queue the tasks of `program` that follow nothing, at once."""
        program.number = next(self._numbers)
        self._programs[program.number] = program
        if not program.left:
            self._finish(program)
        for index, missing in enumerate(program.missing):
            if not missing:
                self._release(program, index)

    def take(self, unit: str) -> tuple[ProgramRun, int] | None:
        """Return the next ready task of `unit`, its program and index, if there is one."""
        ready = self._ready.get(unit)
        if not ready:
            return None
        number, index = heappop(ready)
        return self._programs[number], index

    def wait(self, unit: str) -> Event:
        """Return an event that fires when `unit` has a ready task again."""
        event = self._idle[unit] = self._env.event()
        return event

    def complete(self, program: ProgramRun, index: int) -> None:
        """Release the tasks that waited for task `index` of `program`."""
        for later in program.next[index]:
            program.missing[later] -= 1
            if not program.missing[later]:
                self._release(program, later)
        program.left -= 1
        if not program.left:
            self._finish(program)

    def _finish(self, program: ProgramRun) -> None:
        del self._programs[program.number]
        program.done.succeed()

    def _release(self, program: ProgramRun, index: int) -> None:
        unit = program.tasks[index].work.unit
        heappush(self._ready.setdefault(unit, []), (program.number, index))
        idle = self._idle.pop(unit, None)
        if idle is not None:
            idle.succeed()
