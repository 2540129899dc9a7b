"""Loop orders whose partial sums leave the accumulator and return: reductions outermost.

They need room for the sums of one tile, however long the reduction is, and load each operand once
where a slice of it fits. Each further slice of the reduction stores all sums and loads them back.
"""

from collections.abc import Iterator
from math import prod

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import For, IterationSpace, Mapping, iterations, reloads, reusing

_LEAST_BETWEEN = 4
"""Tiles from a store of sums to their load. Double buffers let a load start once the tile two
before is computed, which waits for the store two before it: sums have arrived by then.
"""


def may_spill(array: Accelerator) -> bool:
    """Return whether sums of `array` may leave before they are complete.

    The weight buffer, which may hold sums, has no second half for those that come and go.
    """
    return array.spill and array.weight_buffer is None


def spills(shape: IterationSpace, mapping: Mapping) -> int:
    """Return how often all partial sums move to memory and back."""
    return reloads(shape, mapping, shape.c_axes, mapping.c_from) - 1


def spilling(
    shape: IterationSpace, sums: tuple[For, ...], rows: tuple[For, ...], cols: tuple[For, ...]
) -> Iterator[Mapping]:
    """Yield the mappings with the loops of `sums` outside those over `rows` and `cols` of outputs.

    Each in both orders; an operand that would be loaded again stays for a slice of the reduction.
    """
    orders = (reusing((*sums, *each), shape) for each in ((*rows, *cols), (*cols, *rows)))
    for mapping in dict.fromkeys(orders):
        slices = sum(loop.axis not in shape.c_axes for loop in mapping.loops)
        inner = range(slices, len(mapping.loops))
        if not slices or prod(iterations(mapping.loops, i, shape) for i in inner) < _LEAST_BETWEEN:
            continue
        yield mapping
        if reloads(shape, mapping, shape.a_axes, mapping.a_from) > 1:
            yield mapping._replace(a_from=slices)
        if reloads(shape, mapping, shape.b_axes, mapping.b_from) > 1:
            yield mapping._replace(b_from=slices)
