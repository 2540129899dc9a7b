"""What a mapping needs of an array's memories, and whether it fits them."""

from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping, block
from simulator.mapping.problem import ProblemShape
from simulator.timing.schedules import SCHEDULES


class Demand(NamedTuple):
    """Bytes that a mapping needs of each memory; none of a weight buffer that is not there."""

    scratchpad: int
    accumulator: int
    weight_buffer: int = 0


def demand(
    shape: ProblemShape, mapping: Mapping, *, weight_buffer: bool, bulk_buffers: int = 2
) -> Demand:
    """Return the bytes that a mapping needs of each memory of an array, with or without a
    `weight_buffer`.

    What is preloaded lies in a memory of its own, and a resident operand in the part of the
    scratchpad that keeps tensors, from where the array reads it. What moves in bulk has at most
    `bulk_buffers`. A weight buffer holds operand B, or the sums of a convolution's weight gradient,
    whose operand A then lies in the accumulator.
    """
    often = copies(shape, mapping, weight_buffer=weight_buffer)
    if mapping.bulk:
        often = [
            min(n, bulk_buffers) if mapping.moves_in_bulk(name) else n
            for name, n in zip("abc", often, strict=True)
        ]
    blocks = [block(shape, mapping, level) for level in mapping.reuse_levels]
    in_scratchpad = ("b" if shape.sums_weights else "a") if weight_buffer else "ab"
    elsewhere = {*mapping.preloaded, *shape.resident.intersection(in_scratchpad)}
    a = 0 if "a" in elsewhere else often[0] * shape.a_size(blocks[0])
    b = 0 if "b" in elsewhere else often[1] * shape.b_size(blocks[1])
    sums = often[2] * shape.sum_bytes(blocks[2])
    if not weight_buffer:
        return Demand(a + b, sums)
    if shape.sums_weights:
        return Demand(b, a, sums)
    return Demand(a, sums, b)


def copies(shape: ProblemShape, mapping: Mapping, *, weight_buffer: bool) -> list[int]:
    """Return how many copies of their blocks A, B and the sums have on chip.

    What is in use is double-buffered where the next block arrives meanwhile. A weight buffer is
    not: it is filled once, tile by tile. Nor is an operand that is to stay in one buffer.
    """
    once = shape.repeats == 1  # else the next product of the batch is loaded meanwhile
    often = [1 if once and not level else 2 for level in mapping.reuse_levels]
    if weight_buffer:
        often[2 if shape.sums_weights else 1] = 1
    for name in mapping.single:
        often["ab".index(name)] = 1
    return often


def demand_on(array: Accelerator, shape: ProblemShape, mapping: Mapping) -> Demand:
    """Return the bytes that a mapping needs of each memory of `array`."""
    return demand(
        shape,
        mapping,
        weight_buffer=array.weight_buffer is not None,
        bulk_buffers=SCHEDULES[array.schedule].bulk_buffers,
    )


def capacity(array: Accelerator) -> Demand:
    """Return the bytes that the memories of `array` have."""
    return Demand(array.scratchpad, array.accumulator, array.weight_buffer or 0)


def fits(array: Accelerator, shape: ProblemShape, mapping: Mapping) -> bool:
    """Return whether the operands and the partial sums of `mapping` fit the memories."""
    needs, has = demand_on(array, shape, mapping), capacity(array)
    return all(needed <= size for needed, size in zip(needs, has, strict=True))
