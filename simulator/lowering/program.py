"""A lowered step as columns: its distinct works, who follows whom, and tasks in groups.

All but the works is the same on all hardware of an outline, and computed once.
"""

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from simulator.activity import Action, Task, Work
from simulator.hardware.unit import HOST
from simulator.memo import Memo
from simulator.timing.index_lists import IndexLists
from simulator.timing.precedence import Follows, Precedence, Section, precedence
from simulator.timing.shares import WHOLE
from simulator.trace.op import Phase

Key = TypeVar("Key", bound=Hashable)


class TaskGroup(NamedTuple, Generic[Key]):
    """Tasks with the same key, of those that run alone: their works by number, and how often."""

    key: Key
    works: tuple[tuple[int, int], ...]


class SharedSection(NamedTuple):
    """A section of several tasks: who follows whom in it, and their works by number."""

    follows: Follows
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TaskGroups(Generic[Key]):
    """The tasks of a step by some key.

    `keys` in order of appearance. Those that run alone are apart by who runs them: the host, or
    other units. `shared`: a distinct section by number, the keys of its tasks, and how often.
    """

    keys: tuple[Key, ...]
    on_host: tuple[TaskGroup[Key], ...]
    elsewhere: tuple[TaskGroup[Key], ...]
    shared: tuple[tuple[int, tuple[Key, ...], int], ...]


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
    """The tasks of a step in program order, the bytes of copies for units, op by op, and the fused
    ops whose parts run one by one.
    """

    def __init__(
        self,
        tasks: TaskColumns,
        order: Precedence,
        copies: Sequence[int] = (),
        unfused: Iterable[int] = (),
    ) -> None:
        """Run `tasks` in this order, with `copies` in memory beside the tensors of the trace."""
        self.tasks, self.order = tasks, order
        self.copies, self.unfused = tuple(copies), frozenset(unfused)
        self.numbers, self.works = tasks.numbers, tasks.works

    @cached_property
    def undivided(self) -> "Program":
        """The same tasks as one section."""
        whole = Section(0, len(self.tasks), self.order.follows)
        order = self.order._replace(alone=(), shared=(whole,))
        return Program(self.tasks, order, self.copies, self.unfused)

    @cached_property
    def shared(self) -> tuple[SharedSection, ...]:
        """The sections with several tasks, in order; equal ones are the same object."""
        different: dict[SharedSection, SharedSection] = {}
        sections = (
            SharedSection(each.follows, tuple(self.numbers[each.start : each.stop]))
            for each in self.order.shared
        )
        return tuple([different.setdefault(each, each) for each in sections])

    @cached_property
    def distinct(self) -> Mapping[SharedSection, int]:
        """The different sections with several tasks, numbered in order of appearance."""
        return {section: number for number, section in enumerate(dict.fromkeys(self.shared))}

    @cached_property
    def alone(self) -> tuple[tuple[int, int], ...]:
        """The works of tasks that run alone, by number, and how often they occur."""
        return tuple(Counter([self.numbers[index] for index in self.order.alone]).items())

    @cached_property
    def elsewhere(self) -> tuple[int, ...]:
        """The works of other units than the host, by number."""
        return tuple(n for n, work in enumerate(self.works) if work.unit != HOST)

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
        numbers, places, elsewhere = self.numbers, self.tasks.places, frozenset(self.elsewhere)
        alone = Counter((keys[places[index]], numbers[index]) for index in self.order.alone)
        shared = Counter(
            (self.distinct[section], tuple([keys[place] for place in places[start:stop]]))
            for section, (start, stop, _) in zip(self.shared, self.order.shared, strict=True)
        )
        return TaskGroups(
            tuple(dict.fromkeys(keys)),
            _grouped(item for item in alone.items() if item[0][1] not in elsewhere),
            _grouped(item for item in alone.items() if item[0][1] in elsewhere),
            tuple([(section, inside, times) for (section, inside), times in shared.items()]),
        )


def _grouped(counts: Iterable[tuple[tuple[Key, int], int]]) -> tuple[TaskGroup[Key], ...]:
    groups: dict[Key, list[tuple[int, int]]] = {}
    for (key, number), times in counts:
        groups.setdefault(key, []).append((number, times))
    return tuple([TaskGroup(key, tuple(works)) for key, works in groups.items()])


_SUMS = 64  # a guess: prices of a host and its memory that a sweep tries in turn


class HostPart:
    """The works of a program on the host, by number, None where another unit does the work.

    All machines whose CPU and memory path are equal share it, and what is summed of it: in a sweep
    over arrays most works of a step are the same at every point.
    """

    def __init__(self, works: Sequence[Work | None]) -> None:
        """Share these works."""
        self.works = works
        self.sums: Memo[Any] = Memo("sums on a host", _SUMS)
        """What others sum of these works, by what they sum and at which prices."""

    @cached_property
    def alone_ps(self) -> Sequence[int]:
        """How long each work takes with the memory to itself, 0 where another unit does it."""
        return [work.progress.duration_ps(WHOLE) if work else 0 for work in self.works]

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """The different actions of these works."""
        works = [work for work in self.works if work]
        return tuple(dict.fromkeys(action for work in works for action, _ in work.counts.items()))


class LoweredStep(NamedTuple):
    """A step on one SoC: its program, its works by number, and those of the host."""

    program: Program
    works: tuple[Work, ...]
    host: HostPart

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks as objects."""
        return tuple(self.program.tasks.bound_to(self.works))

    @property
    def undivided(self) -> "LoweredStep":
        """The same step as one section."""
        return self._replace(program=self.program.undivided)


def program_of(
    tasks: TaskColumns, issue: str, copies: Sequence[int] = (), unfused: Iterable[int] = ()
) -> Program:
    """Return the program of tasks that are issued so; for the rest see `Program`."""
    return Program(tasks, precedence(tasks.units, tasks.waits, issue), copies, unfused)


def lowered_step(tasks: Iterable[Task], issue: str) -> LoweredStep:
    """Return tasks under `issue` as a lowered step."""
    columns = TaskColumns()
    for task in tasks:
        columns.append(task.work, task.op, task.phase, task.layer, task.waits)
    program = program_of(columns, issue)
    host = HostPart([work if work.unit == HOST else None for work in program.works])
    return LoweredStep(program, program.works, host)
