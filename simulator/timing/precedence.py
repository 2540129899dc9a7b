"""Which tasks a task follows, by how work is issued, and the sections that a step falls into."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol


class _OnUnit(Protocol):
    """Work of some unit."""

    @property
    def unit(self) -> str:
        """The unit."""


class Waiting(Protocol):
    """A task: whose it is, and the earlier tasks whose results or buffers it needs."""

    @property
    def work(self) -> _OnUnit:
        """What it does."""

    @property
    def waits(self) -> tuple[int, ...]:
        """The tasks that it waits for, sorted."""


def _synchronous(tasks: Sequence[Waiting]) -> list[int]:
    return list(range(-1, len(tasks) - 1))


def _in_order(tasks: Sequence[Waiting]) -> list[int]:
    last: dict[str, int] = {}
    before = []
    for index, task in enumerate(tasks):
        before.append(last.get(task.work.unit, -1))
        last[task.work.unit] = index
    return before


def _dataflow(tasks: Sequence[Waiting]) -> list[int]:
    return [-1] * len(tasks)


ISSUE: dict[str, Callable[[Sequence[Waiting]], list[int]]] = {
    "synchronous": _synchronous,
    "in_order": _in_order,
    "dataflow": _dataflow,
}
"""For each way of issuing: the task that each task must follow besides its dependences, or -1."""

Follows = tuple[tuple[int, ...], ...]
"""For each task, all tasks that it must follow, sorted."""


class Section(NamedTuple):
    """Tasks from `start` to before `stop`: all follow every earlier task, and every later task
    follows them. So what runs in a section depends on nothing outside of it.

    `follows` has positions within the section. `alone`: it is one task, which takes what its work
    takes alone.
    """

    start: int
    stop: int
    follows: Follows
    alone: bool = False


class Precedence(NamedTuple):
    """The partial order of a step's tasks, and its sections in program order."""

    follows: Follows
    sections: tuple[Section, ...]


def precedence(tasks: Sequence[Waiting], issue: str) -> Precedence:
    """Return the order of `tasks`, which are in program order, under `issue`."""
    before = ISSUE[issue](tasks)
    follows = tuple(
        task.waits if extra < 0 or extra in task.waits else tuple(sorted((*task.waits, extra)))
        for task, extra in zip(tasks, before, strict=True)
    )
    ends = pairwise([*_starts(follows), len(follows)])
    return Precedence(follows, tuple(_section(follows, start, stop) for start, stop in ends))


def _section(follows: Follows, start: int, stop: int) -> Section:
    within = tuple(
        tuple(earlier - start for earlier in before if earlier >= start)
        for before in follows[start:stop]
    )
    return Section(start, stop, within, alone=stop - start == 1)


def _starts(follows: Follows) -> list[int]:
    """Return where sections start: there all later tasks follow all earlier ones.

    They do if every task that follows nothing from there on follows all that nothing before
    follows. The last task before is one of these, so it is the last that the first ones follow.
    """
    latest = [before[-1] if before else -1 for before in follows]
    earliest_of_rest = _minima_from(latest)
    followers: dict[int, list[int]] = {}
    for index, last in enumerate(latest):
        followers.setdefault(last, []).append(index)
    starts, ends = [0] if follows else [], {0}  # ends: what no task so far follows
    for index in range(1, len(follows)):
        if earliest_of_rest[index] == index - 1 and all(
            ends.issubset(follows[first]) for first in followers[index - 1]
        ):
            starts.append(index)
        ends.difference_update(follows[index])
        ends.add(index)
    return starts


def _minima_from(values: Sequence[int]) -> list[int]:
    """Return, for each position, the least of the values from there on."""
    minima, least = [0] * len(values), len(values)
    for index in range(len(values) - 1, -1, -1):
        least = minima[index] = min(least, values[index])
    return minima
