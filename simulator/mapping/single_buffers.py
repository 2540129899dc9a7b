"""Operands that stay for several tiles in one buffer, which takes half the room of two.

Blocks of such an operand follow each other in the same place: the next one cannot arrive before the
last tile of the present one is computed. An operand that is loaded once waits for nothing.
"""

from collections.abc import Iterable, Iterator
from itertools import product

from simulator.mapping.loops import Mapping
from simulator.mapping.memories import copies
from simulator.mapping.problem import ProblemShape

_Buffering = tuple[int, bool]
"""The loop from which inwards an operand stays, and whether in one buffer."""


def with_single_buffers(
    shape: ProblemShape, mappings: Iterable[Mapping], *, weight_buffer: bool
) -> Iterator[Mapping]:
    """Yield `mappings`, then each with "a", "b" or both in one buffer, where two would take more.

    There, an operand stays as long as it does or over more of the loops that do not change it.
    """
    plain = list(dict.fromkeys(mappings))
    yield from plain
    singles = (
        each for mapping in plain for each in _variants(shape, mapping, weight_buffer=weight_buffer)
    )
    yield from dict.fromkeys(singles)


def _variants(shape: ProblemShape, mapping: Mapping, *, weight_buffer: bool) -> Iterator[Mapping]:
    a = _stays(shape, mapping, "a", weight_buffer=weight_buffer)
    b = _stays(shape, mapping, "b", weight_buffer=weight_buffer)
    for (a_from, a_single), (b_from, b_single) in product(a, b):
        names = "a" * a_single + "b" * b_single
        if names:
            yield mapping._replace(a_from=a_from, b_from=b_from, single=tuple(names))


def _stays(
    shape: ProblemShape, mapping: Mapping, name: str, *, weight_buffer: bool
) -> Iterator[_Buffering]:
    """Yield how an operand stays in `mapping`, then how it may stay in one buffer."""
    index = "ab".index(name)
    level, axes = mapping.reuse_levels[index], (shape.a_axes, shape.b_axes)[index]
    yield level, False
    if name in mapping.preloaded or name in shape.resident:
        return
    for start in _starts(mapping, axes, level):
        longer = mapping._replace(a_from=start) if name == "a" else mapping._replace(b_from=start)
        if copies(shape, longer, weight_buffer=weight_buffer)[index] > 1:
            yield start, True


def _starts(mapping: Mapping, axes: frozenset[str], level: int) -> Iterator[int]:
    """Yield the loops from which inwards an operand with these axes is worth keeping: the outermost
    of neighbours that do not change it, and the `level` from which it stays for several tiles.
    """
    loops = mapping.loops
    for start in range(level):
        if loops[start].axis not in axes and (start == 0 or loops[start - 1].axis in axes):
            yield start
    if level < len(loops) or not loops:
        yield level
