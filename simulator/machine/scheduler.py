"""Which ready task goes to which unit, and when: the three ways in which a runtime issues work."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from simpy import Environment, Event

from simulator.activity import Task, Unit

Order = Callable[[Sequence[Task]], list[int]]


def _synchronous(tasks: Sequence[Task]) -> list[int]:
    return list(range(-1, len(tasks) - 1))


def _in_order(tasks: Sequence[Task]) -> list[int]:
    last: dict[Unit, int] = {}
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


class Scheduler:
    """Holds each task back until all it must follow is done, then queues it at its unit."""

    def __init__(
        self, env: Environment, tasks: Sequence[Task], follows: Sequence[tuple[int, ...]]
    ) -> None:
        """Schedule `tasks`; task i follows all of `follows[i]`."""
        self._env = env
        self._tasks = tasks
        self._missing = [len(before) for before in follows]
        self._next: list[list[int]] = [[] for _ in tasks]
        self._ready: dict[Unit, list[int]] = {unit: [] for unit in Unit}
        self._idle: dict[Unit, Event] = {}
        for index, before in enumerate(follows):
            for earlier in before:
                self._next[earlier].append(index)
            if not before:
                self._ready[tasks[index].work.unit].append(index)

    def take(self, unit: Unit) -> int | None:
        """Return the ready task of `unit` that comes first in program order, if there is one."""
        ready = self._ready[unit]
        return heappop(ready) if ready else None

    def wait(self, unit: Unit) -> Event:
        """Return an event that fires when `unit` has a ready task again."""
        event = self._idle[unit] = self._env.event()
        return event

    def complete(self, index: int) -> None:
        """Release what waited for task `index`."""
        for later in self._next[index]:
            self._missing[later] -= 1
            if not self._missing[later]:
                self._release(later)

    def _release(self, index: int) -> None:
        unit = self._tasks[index].work.unit
        heappush(self._ready[unit], index)
        idle = self._idle.pop(unit, None)
        if idle is not None:
            idle.succeed()
