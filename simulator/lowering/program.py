"""A lowered step as columns: its distinct works, who follows whom, and tasks in groups.

All but the works is the same on all hardware of an outline, and computed once.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from simulator.activity import Task, Work
from simulator.timing.precedence import Precedence, Section, Waiting, precedence
from simulator.trace.op import Phase


class ProgramTask(Waiting, Protocol):
    """A task, or one before any hardware has sizes: what it does, and where it belongs."""

    @property
    def op(self) -> int:
        """The op of the step that it serves."""

    @property
    def phase(self) -> Phase:
        """The phase of the op."""

    @property
    def layer(self) -> str:
        """The layer of the op."""


Key = TypeVar("Key", bound=Hashable)


class TaskGroup(NamedTuple, Generic[Key]):
    """Tasks with the same key, of those that run alone: their works by number, and how often."""

    key: Key
    works: tuple[tuple[int, int], ...]


class TaskGroups(NamedTuple, Generic[Key]):
    """The tasks of a step by some key.

    `keys` in order of appearance. `shared`: the keys of the tasks of each section with several.
    """

    keys: tuple[Key, ...]
    alone: tuple[TaskGroup[Key], ...]
    shared: tuple[tuple[Key, ...], ...]


class Program:
    """The tasks of a step in program order. Works are numbered in order of appearance."""

    def __init__(self, tasks: Sequence[ProgramTask], order: Precedence) -> None:
        """Run `tasks` in this order; equal works are the same object."""
        numbers: dict[Any, int] = {}
        self.numbers = [numbers.setdefault(task.work, len(numbers)) for task in tasks]
        self.works = tuple(numbers)
        self.tasks, self.order = tuple(tasks), order

    @cached_property
    def undivided(self) -> "Program":
        """The same tasks as one section."""
        whole = Section(0, len(self.tasks), self.order.follows)
        return Program(self.tasks, self.order._replace(sections=(whole,)))

    @cached_property
    def shared(self) -> tuple[Section, ...]:
        """The sections with several tasks."""
        return tuple(each for each in self.order.sections if not each.alone)

    @cached_property
    def alone(self) -> tuple[tuple[int, int], ...]:
        """The works of tasks that run alone, by number, and how often they occur."""
        return tuple(Counter(self.numbers[index] for index in self._alone).items())

    @cached_property
    def by_phase(self) -> TaskGroups[Phase]:
        """The tasks of each phase."""
        return self._groups(lambda task: task.phase)

    @cached_property
    def by_layer(self) -> TaskGroups[tuple[str, Phase]]:
        """The tasks of each layer and phase."""
        return self._groups(lambda task: (task.layer, task.phase))

    @property
    def _alone(self) -> Iterator[int]:
        return (each.start for each in self.order.sections if each.alone)

    def _groups(self, key_of: Callable[[ProgramTask], Key]) -> TaskGroups[Key]:
        keys = [key_of(task) for task in self.tasks]
        alone: dict[Key, Counter[int]] = {}
        for index in self._alone:
            alone.setdefault(keys[index], Counter())[self.numbers[index]] += 1
        groups = (TaskGroup(key, tuple(works.items())) for key, works in alone.items())
        shared = (tuple(keys[each.start : each.stop]) for each in self.shared)
        return TaskGroups(tuple(dict.fromkeys(keys)), tuple(groups), tuple(shared))


class LoweredStep(NamedTuple):
    """A step on one SoC: its program, and the program's works by number."""

    program: Program
    works: tuple[Work, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks as objects."""
        works = self.works
        return tuple(
            [
                Task(works[number], task.op, task.phase, task.layer, task.waits)
                for number, task in zip(self.program.numbers, self.program.tasks, strict=True)
            ]
        )


def lowered_step(tasks: Sequence[Task], issue: str) -> LoweredStep:
    """Return tasks under `issue` as a lowered step."""
    program = Program(tasks, precedence(tasks, issue))
    return LoweredStep(program, program.works)
