"""Which tasks a task follows, by how work is issued, and the sections that a step falls into."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, compress, pairwise
from typing import NamedTuple

from simulator.timing.index_lists import IndexLists


def _synchronous(units: Iterable[str]) -> Iterator[int]:
    return (index - 1 for index, _ in enumerate(units))


def _in_order(units: Iterable[str]) -> Iterator[int]:
    last: dict[str, int] = {}
    for index, unit in enumerate(units):
        yield last.get(unit, -1)
        last[unit] = index


def _dataflow(units: Iterable[str]) -> Iterator[int]:
    return (-1 for _ in units)


ISSUE: dict[str, Callable[[Iterable[str]], Iterator[int]]] = {
    "synchronous": _synchronous,
    "in_order": _in_order,
    "dataflow": _dataflow,
}
"""For each way of issuing: the task that each task must follow besides its dependences, or -1."""

Follows = Sequence[tuple[int, ...]]
"""For each task, all tasks that it must follow, sorted."""


class Section(NamedTuple):
    """Tasks from `start` to before `stop`: all follow every earlier task, and every later task
    follows them. So what runs in a section depends on nothing outside of it.

    `follows` has positions within the section.
    """

    start: int
    stop: int
    follows: Follows


class Precedence(NamedTuple):
    """The partial order of a step's tasks, and the sections that they fall into, in program order.

    `alone`: tasks that are a section each, and so take what their work takes alone. `shared`: the
    sections of several tasks.
    """

    follows: Follows
    alone: Sequence[int]
    shared: tuple[Section, ...]


def precedence(units: Iterable[str], waits: Follows, issue: str) -> Precedence:
    """Return the order of tasks under `issue`, from the unit of each in program order, and the
    earlier tasks whose results or buffers it needs, sorted.
    """
    follows = IndexLists()
    for waited, extra in zip(waits, ISSUE[issue](units), strict=True):
        complete = extra < 0 or extra in waited
        follows.append(waited if complete else sorted((*waited, extra)))
    alone, shared = array("i"), []
    for start, stop in pairwise(chain(_starts(follows), [len(follows)])):
        if stop - start == 1:
            alone.append(start)
        else:
            shared.append(_section(follows, start, stop))
    return Precedence(follows, alone, tuple(shared))


def _section(follows: Follows, start: int, stop: int) -> Section:
    within = [
        tuple([earlier - start for earlier in before if earlier >= start])
        for before in follows[start:stop]
    ]
    return Section(start, stop, tuple(within))


def _starts(follows: Follows) -> Iterator[int]:
    """Return where sections start: there all later tasks follow all earlier ones.

    They do if every task that follows nothing from there on follows all that nothing before
    follows. The last task before is one of these, so it is the last that the first ones follow.
    """
    count = len(follows)
    latest = array("i", [-1]) * count
    follower = array("i", [count]) * count  # the first one of each task
    loose = array("i", [0])  # how many of the tasks before each one nothing before follows
    for index, before in enumerate(follows):
        ended = 0
        for earlier in before:
            latest[index] = earlier
            if follower[earlier] == count:
                follower[earlier] = index
                ended += 1
        loose.append(loose[-1] + 1 - ended)
    starts = _after_latest(latest)
    for index, last in enumerate(latest):
        start = last + 1  # from there on the task follows nothing
        if loose[start] > 1:
            followed = sum(follower[earlier] >= start for earlier in follows[index])
            if followed < loose[start]:
                starts[start] = False
    return compress(range(count), starts)


def _after_latest(latest: Sequence[int]) -> bytearray:
    """Tell where no task from there on follows only earlier ones than the last one before."""
    places, least = bytearray(len(latest)), len(latest)
    for index in range(len(latest) - 1, -1, -1):
        least = min(least, latest[index])
        places[index] = least == index - 1
    return places
