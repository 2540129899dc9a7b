"""Lists of indices in one column."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import overload


class IndexLists(Sequence[tuple[int, ...]]):
    """Lists of indices in one column, since a step may have a million tasks: 4 bytes an index,
    where a tuple takes 40, and 56 by itself.
    """

    __slots__ = ("_ends", "_items")

    def __init__(self) -> None:
        """Start with no lists."""
        self._ends, self._items = array("i", [0]), array("i")

    def append(self, items: Sequence[int]) -> None:
        """Append a list."""
        self._items.extend(items)
        self._ends.append(len(self._items))

    def __len__(self) -> int:
        """Return how many lists there are."""
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> tuple[int, ...]: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[tuple[int, ...], ...]: ...

    def __getitem__(self, place: int | slice) -> tuple[int, ...] | tuple[tuple[int, ...], ...]:
        """Return the list at a place, or those of a slice."""
        at = range(len(self))[place]
        if isinstance(at, range):
            return tuple([self[each] for each in at])
        return tuple(self._items[self._ends[at] : self._ends[at + 1]])

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Yield the lists in order."""
        items = self._items
        return (tuple(items[start:end]) for start, end in pairwise(self._ends))
