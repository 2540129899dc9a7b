"""Layout of a call on a tape: a head, its arguments, its results."""

from collections.abc import Iterator, Sequence
from typing import Any

from workloads.capture.operands import Many, Ragged, Sparse, TensorWindow

HEAD = 6
"""Items before the arguments of a call."""
Places = dict[int, tuple[int, int]]
"""By storage, the position of its tensor among all items of a tape and among all offsets."""
_SPECIAL = frozenset({TensorWindow, Sparse, Ragged})


def end_of(flat: Sequence[Any], place: int, values: int) -> int:
    """Return where `values` arguments or results end that start at `place`."""
    while values:
        item = flat[place]
        place, values = place + 1, values - 1
        if item.__class__ is Many:
            values += item.items
    return place


def places_of(items: Sequence[Any], first: int, offset: int) -> Places | None:
    """Map storages to positions of their plain tensors, counted from `first` and `offset`."""
    if any(item.__class__ in _SPECIAL for item in items):
        return None
    windows = [
        (item[0], place) for place, item in enumerate(items, first) if item.__class__ is tuple
    ]
    places = {number: (place, at) for at, (number, place) in enumerate(windows, offset)}
    return places if len(places) == len(windows) else None


def values_of(items: Iterator[Any], offsets: Iterator[int]) -> Iterator[Any]:
    """Yield arguments as they were passed: windows with their offset, lists as lists."""
    for item in items:
        if item.__class__ is tuple:
            yield tuple.__new__(TensorWindow, (*item, next(offsets)))
        elif item.__class__ is Many:
            values = values_of(items, offsets)
            yield [next(values) for _ in range(item.items)]
        else:
            yield item
