"""A lowered step as columns: its distinct works, who follows whom, and tasks in groups.

All but the works is the same on all hardware of an outline, and computed once.
"""

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from simulator.activity import Task, Work
from simulator.timing.index_lists import IndexLists
from simulator.timing.precedence import Precedence, Section, precedence
from simulator.trace.op import Phase

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


class TaskColumns:
    """The tasks of a step in program order, a column for each of their facts.

    Works, or requests for them, are numbered in order of appearance, and so are pairs of layer and
    phase. `waits` has the tasks that each one waits for, sorted.
    """

    def __init__(self) -> None:
        """Start with no tasks."""
        self.numbers, self.ops, self.places = array("i"), array("i"), array("i")
        self.waits = IndexLists()
        self._works: dict[Any, int] = {}
        self._places: dict[tuple[str, Phase], int] = {}

    def __len__(self) -> int:
        """Return how many tasks there are."""
        return len(self.numbers)

    def append(self, work: Any, op: int, phase: Phase, layer: str, waits: Sequence[int]) -> None:
        """Append a task; equal works are the same object."""
        works, places = self._works, self._places
        self.numbers.append(works.setdefault(work, len(works)))
        self.places.append(places.setdefault((layer, phase), len(places)))
        self.ops.append(op)
        self.waits.append(waits)

    @property
    def works(self) -> tuple[Any, ...]:
        """The works by number."""
        return tuple(self._works)

    @property
    def layers(self) -> tuple[tuple[str, Phase], ...]:
        """The layers and phases by number."""
        return tuple(self._places)

    @property
    def units(self) -> Iterator[str]:
        """The unit of each task."""
        units = [work.unit for work in self._works]
        return (units[number] for number in self.numbers)

    def bound_to(self, works: Sequence[Work]) -> Iterator[Task]:
        """Yield the tasks as objects, with these works."""
        layers = self.layers
        columns = zip(self.numbers, self.ops, self.places, self.waits, strict=True)
        for number, op, place, waits in columns:
            layer, phase = layers[place]
            yield Task(works[number], op, phase, layer, waits)


class Program:
    """The tasks of a step in program order."""

    def __init__(self, tasks: TaskColumns, order: Precedence) -> None:
        """Run `tasks` in this order."""
        self.tasks, self.order = tasks, order
        self.numbers, self.works = tasks.numbers, tasks.works

    @cached_property
    def undivided(self) -> "Program":
        """The same tasks as one section."""
        whole = Section(0, len(self.tasks), self.order.follows)
        return Program(self.tasks, self.order._replace(alone=(), shared=(whole,)))

    @property
    def shared(self) -> tuple[Section, ...]:
        """The sections with several tasks."""
        return self.order.shared

    @cached_property
    def alone(self) -> tuple[tuple[int, int], ...]:
        """The works of tasks that run alone, by number, and how often they occur."""
        return tuple(Counter([self.numbers[index] for index in self.order.alone]).items())

    @cached_property
    def by_phase(self) -> TaskGroups[Phase]:
        """The tasks of each phase."""
        return self._groups([phase for _, phase in self.tasks.layers])

    @cached_property
    def by_layer(self) -> TaskGroups[tuple[str, Phase]]:
        """The tasks of each layer and phase."""
        return self._groups(self.tasks.layers)

    def _groups(self, keys: Sequence[Key]) -> TaskGroups[Key]:
        """Group by `keys` of the pairs of layer and phase."""
        numbers, places = self.numbers, self.tasks.places
        alone: dict[Key, Counter[int]] = {}
        for index in self.order.alone:
            alone.setdefault(keys[places[index]], Counter())[numbers[index]] += 1
        groups = (TaskGroup(key, tuple(works.items())) for key, works in alone.items())
        shared = (
            tuple([keys[place] for place in places[each.start : each.stop]]) for each in self.shared
        )
        return TaskGroups(tuple(dict.fromkeys(keys)), tuple(groups), tuple(shared))


class LoweredStep(NamedTuple):
    """A step on one SoC: its program, and its works by number."""

    program: Program
    works: tuple[Work, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks as objects."""
        return tuple(self.program.tasks.bound_to(self.works))


def program_of(tasks: TaskColumns, issue: str) -> Program:
    """Return the program of tasks that are issued so."""
    return Program(tasks, precedence(tasks.units, tasks.waits, issue))


def lowered_step(tasks: Iterable[Task], issue: str) -> LoweredStep:
    """Return tasks under `issue` as a lowered step."""
    columns = TaskColumns()
    for task in tasks:
        columns.append(task.work, task.op, task.phase, task.layer, task.waits)
    program = program_of(columns, issue)
    return LoweredStep(program, program.works)
