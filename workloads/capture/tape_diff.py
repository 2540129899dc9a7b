"""How two tapes of the same calls differ: which calls have tensors of another size."""

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from itertools import compress, count
from operator import eq, itemgetter, ne
from typing import Any

from workloads.capture.layout import HEAD, Places, end_of, places_of
from workloads.capture.tape import Tape

_STRUCTURE = ("starts", "offset_starts", "keyword_names", "gradients", "updated")
_IDENTITY = itemgetter(0, 1)  # of a tensor window: its storage and element type


def outline(tape: Tape) -> Hashable:
    """Return what tapes of the same calls have in common: their length and signatures."""
    return len(tape.flat), *map(tape.flat.__getitem__, tape.starts)


def resized(tape: Tape, other: Tape) -> Sequence[int] | None:
    """Return the calls whose tensors have another shape, strides or offset than in `other`.

    None if the tapes differ in anything else: calls, places, numbers, storages, names.
    """
    if any(getattr(tape, name) != getattr(other, name) for name in _STRUCTURE):
        return None
    places = list(_differing(tape.flat, other.flat))
    own, its = (list(map(each.flat.__getitem__, places)) for each in (tape, other))
    if not {*map(type, own), *map(type, its)} <= {tuple}:
        return None
    if not all(map(eq, map(_IDENTITY, own), map(_IDENTITY, its))):
        return None
    calls = {bisect_right(tape.starts, place) for place in places}
    calls.update(
        bisect_right(tape.offset_starts, place) for place in _differing(tape.offsets, other.offsets)
    )
    return [call - 1 for call in calls]


def window_places(tape: Tape, call: int) -> tuple[Places | None, Places | None]:
    """Return where the plain tensors among a call's arguments lie, and those among its results.

    None instead if there are other tensors, or several on one storage.
    """
    first, place = tape.starts[call], tape.offset_starts[call]
    keywords = len(tape.keyword_names.get(call, ()))
    end = end_of(tape.flat, first + HEAD, tape.flat[first + HEAD - 1] + keywords)
    last = tape.starts[call + 1] if call + 1 < len(tape) else len(tape.flat)
    arguments = sum(item.__class__ is tuple for item in tape.flat[first:end])
    return (
        places_of(tape.flat[first:end], first, place),
        places_of(tape.flat[end:last], end, place + arguments),
    )


def _differing(own: Sequence[Any], other: Sequence[Any]) -> Iterator[int]:
    return compress(count(), map(ne, own, other))
