"""The mapper's space: cuts of an operation that fit the array's memories, and what each moves.

Tiles are cut at powers of two and multiples of the array; reductions are innermost, so partial sums
never leave the accumulator. An array whose folds do not overlap takes a GEMM whose operands fit
the scratchpad in whole folds, and in one tile if its outputs fit too.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.errors import Infeasible
from simulator.hardware.soc import Accelerator
from simulator.lowering.convolution import ConvShape, ConvTile
from simulator.lowering.nest import For, Mapping, block, cut, rounds
from simulator.lowering.shape import GemmShape
from simulator.timing.systolic import AXES, Dims
from simulator.units import ceil_div

_LEAST = 8  # smallest tile dimension tried; half of the array's where that is more
_STREAM_LEVELS = 5  # halvings of the streamed dimension tried from the first that fits

Shape = GemmShape | ConvShape


def candidates(array: Accelerator, shape: Shape) -> Iterator[Mapping]:
    """Yield every mapping of the mapper's space that fits the memories.

    Raises Infeasible when not even the smallest tile fits.
    """
    held = _held(array, shape)
    if isinstance(shape, GemmShape):
        found = _of_gemm(array, shape, held)
    else:
        found = _of_conv(array, shape, held)
    empty = True
    for mapping in found:
        empty = False
        yield mapping
    if empty:
        raise _too_small(array, shape)


def demand(array: Accelerator, shape: Shape, mapping: Mapping) -> dict[str, int]:
    """Return the bytes that a mapping needs of each memory of `array`.

    Twice what is in use where the next block comes meanwhile. A weight buffer is filled once,
    tile by tile; it holds operand B, or the sums of a convolution's weight gradient, whose operand
    A then lies in the accumulator.
    """
    once = shape.repeats == 1  # else the next product of the batch is loaded meanwhile
    copies = [1 if once and not level else 2 for level in mapping.stays]
    if array.weight_buffer is not None:
        copies[2 if _gives_weights(shape) else 1] = 1
    blocks = [block(shape, mapping, level) for level in mapping.stays]
    a = 0 if "a" in mapping.held else copies[0] * shape.a_size(blocks[0])
    b = 0 if "b" in mapping.held else copies[1] * shape.b_size(blocks[1])
    sums = copies[2] * shape.sum_bytes(blocks[2])
    if array.weight_buffer is None:
        return {"scratchpad": a + b, "accumulator": sums}
    if _gives_weights(shape):
        return {"scratchpad": b, "accumulator": a, "weight_buffer": sums}
    return {"scratchpad": a, "accumulator": sums, "weight_buffer": b}


def _gives_weights(shape: Shape) -> bool:
    return isinstance(shape, ConvShape) and shape.taps.weight_gradient


def fits(array: Accelerator, shape: Shape, mapping: Mapping) -> bool:
    """Return whether the operands and the partial sums of `mapping` fit the memories."""
    needs = demand(array, shape, mapping)
    return all(size <= getattr(array, memory) for memory, size in needs.items())


class Totals(NamedTuple):
    """Cycles and bytes of one repeat of an operation under a mapping."""

    cycles: int
    read_bytes: int
    write_bytes: int


class Sums(NamedTuple):
    """What the order of the loops does not change: cycles, bytes of each operand loaded once, and
    of what is loaded before the first computation or stored after the last.
    """

    cycles: int
    a_bytes: int
    b_bytes: int
    write_bytes: int
    end_bytes: int


def totals(array: Accelerator, shape: Shape, mapping: Mapping, sums: Sums | None = None) -> Totals:
    """Return the sums over all tiles of a mapping that cuts every axis once and spills nothing.

    `sums` are those of its tile, if they are known.
    """
    cycles, a, b, write, _ = sums or tile_sums(array, shape, mapping)
    read = a if "a" in mapping.held else a * rounds(shape, mapping, shape.a_axes, mapping.a_from)
    read += b if "b" in mapping.held else b * rounds(shape, mapping, shape.b_axes, mapping.b_from)
    return Totals(cycles, read, write)


def tile_sums(array: Accelerator, shape: Shape, mapping: Mapping) -> Sums:
    """Return the sums that all mappings with the same tile and held operands share."""
    cuts, output = pieces(shape, mapping), shape.widths.output
    whole = tuple(shape.extents.values())
    first = block(shape, mapping, len(mapping.loops))
    last = tuple(found[-1][0] for found in cuts.values())
    sizes, ends = [], shape.c_size(last, output)
    for name, size, axes in (("a", shape.a_size, shape.a_axes), ("b", shape.b_size, shape.b_axes)):
        if name in mapping.held:
            sizes.append(size(whole))
            ends += sizes[-1]
        else:
            sizes.append(sum(count * size(tile) for tile, count in over(cuts, axes)))
            ends += size(first)
    write = sum(count * shape.c_size(tile, output) for tile, count in over(cuts, shape.c_axes))
    return Sums(shape.grid_cycles(array, cuts), sizes[0], sizes[1], write, ends)


def loads(shape: Shape, mapping: Mapping) -> Iterator[tuple[AccessPattern, int]]:
    """Yield each different load of a mapping that cuts every axis once, and how often it runs.

    Operands that are held are loaded before: see `held_loads`.
    """
    cuts = pieces(shape, mapping)
    operands = (
        ("a", shape.a, shape.a_axes, mapping.a_from),
        ("b", shape.b, shape.b_axes, mapping.b_from),
    )
    for name, pattern, axes, stays_from in operands:
        if name not in mapping.held:
            often = rounds(shape, mapping, axes, stays_from)
            for tile, count in over(cuts, axes):
                yield pattern(tile), often * count


def held_loads(shape: Shape, mapping: Mapping) -> list[AccessPattern]:
    """Return the loads of the operands that are held, whole, before the first tile."""
    whole = tuple(shape.extents.values())
    return [shape.a(whole) if name == "a" else shape.b(whole) for name in mapping.held]


Cuts = dict[str, list[tuple[int, int]]]


def pieces(shape: Shape, mapping: Mapping) -> Cuts:
    """Return (size, count) of the pieces along every axis, in the shape's order."""
    steps = {loop.axis: loop.step for loop in mapping.loops}
    return {axis: cut(size, steps.get(axis, size)) for axis, size in shape.extents.items()}


def over(
    cuts: Cuts, axes: "frozenset[str] | dict[str, int]"
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield each different tile along `axes`, and how many there are; 1 along other axes."""
    choices = [found if axis in axes else [(1, 1)] for axis, found in cuts.items()]
    for chosen in product(*choices):
        count = 1
        for _, times in chosen:
            count *= times
        yield tuple(size for size, _ in chosen), count


def _held(array: Accelerator, shape: Shape) -> tuple[str, ...]:
    """Return the operands that fit the prefetch memory whole, the larger one first.

    An operand that no other dimension uses again is streamed.
    """
    whole, left, held = tuple(shape.extents.values()), array.prefetch, []
    operands = [
        ("a", shape.a(whole).bytes, shape.a_axes),
        ("b", shape.b(whole).bytes, shape.b_axes),
    ]
    for name, size, axes in sorted(operands, key=lambda operand: -operand[1]):
        again = any(count > 1 for axis, count in shape.extents.items() if axis not in axes)
        if again and size <= left:
            held.append(name)
            left -= size
    return tuple(held)


def _of_gemm(array: Accelerator, shape: GemmShape, held: tuple[str, ...]) -> Iterator[Mapping]:
    plain = array.overlap == "none" and _operands_fit(array, shape)
    whole = Mapping((), 0, 0, 0)
    if plain and fits(array, shape, whole):
        yield whole
        return
    levels = 0
    for stream in _halves(getattr(shape.dims, AXES[shape.dataflow].stream)):
        tried = _with_stream(array, shape, stream, whole_folds=plain)
        fitting = [m for m in (t._replace(held=held) for t in tried) if fits(array, shape, m)]
        if plain and fitting:
            yield from fitting
            return
        yield from fitting
        levels += bool(fitting)
        if levels == _STREAM_LEVELS or (fitting and stream <= _LEAST):
            return


def _operands_fit(array: Accelerator, shape: GemmShape) -> bool:
    m, n, k = shape.dims
    return shape.a_bytes(m, k) + shape.b_bytes(k, n) <= array.scratchpad


def _halves(dim: int) -> Iterator[int]:
    """Yield the whole dimension, then its halves down to 1."""
    yield dim
    while dim > 1:
        dim = ceil_div(dim, 2)
        yield dim


def _with_stream(
    array: Accelerator, shape: GemmShape, stream: int, whole_folds: bool
) -> Iterator[Mapping]:
    """Yield the mappings with that much of the streamed dimension.

    Parts of the array may stay unused for a better overlap of transfers, unless tiles are to be
    made of `whole_folds`.
    """
    axes = AXES[shape.dataflow]
    deep = array.dot_width
    sizes = {axes.row: array.rows, axes.col: array.cols}
    tried = {}
    for axis, size in sizes.items():
        fold = size * (deep if axis == "k" else 1)
        least = fold if whole_folds else max(_LEAST, fold // 2)
        tried[axis] = _sizes(getattr(shape.dims, axis), {fold, least})
    for row, col in product(tried[axes.row], tried[axes.col]):
        tile = Dims(**{axes.row: row, axes.col: col, axes.stream: stream})
        yield from _orders(shape, tile)


def _orders(shape: GemmShape, tile: Dims) -> Iterator[Mapping]:
    """Yield the loop orders of a tile that differ in what they load."""
    dims = shape.dims
    m, n, k = For("m", tile.m), For("n", tile.n), For("k", tile.k)
    cuts_m, cuts_n, cuts_k = (t < d for t, d in zip(tile, dims, strict=True))
    by_m, by_n = kept((m, n, k), shape), kept((n, m, k), shape)
    yield by_m
    if not cuts_k and cuts_m and cuts_n:
        yield by_n
    if cuts_m and (cuts_k or cuts_n):
        yield by_m._replace(b_from=0)
    if cuts_n and (cuts_k or cuts_m):
        yield by_n._replace(a_from=0)


def kept(loops: Sequence[For], shape: Shape) -> Mapping:
    """Return the mapping with these loops (those that cut nothing left out), in which each operand
    stays as long as that takes no more memory than its tile.
    """
    cuts = cutting(shape, loops)
    inside = len(cuts)
    return Mapping(cuts, inside, inside, inside).outwards(shape)


def cutting(shape: Shape, loops: Sequence[For]) -> tuple[For, ...]:
    """Return those of `loops` that cut something."""
    found, sizes = [], dict(shape.extents)
    for loop in loops:
        if loop.step < sizes[loop.axis]:
            found.append(loop)
            sizes[loop.axis] = loop.step
    return tuple(found)


def _of_conv(array: Accelerator, shape: ConvShape, held: tuple[str, ...]) -> Iterator[Mapping]:
    """Yield cuts along filters, channels and rows (then images, then columns) in two orders."""
    for tile in _conv_tiles(array, shape):
        image, row, col, filters, channel, *_ = (
            For(axis, size) for axis, size in tile._asdict().items()
        )
        sums = (image, row, col) if shape.taps.weight_gradient else (channel,)
        maps = (channel,) if shape.taps.weight_gradient else (image, row, col)
        for loops in ((filters, *maps, *sums), (*maps, filters, *sums)):
            mapping = kept(loops, shape)._replace(held=held)
            for choice in (mapping, mapping._replace(a_from=0), mapping._replace(b_from=0)):
                if fits(array, shape, choice):
                    yield choice


def _conv_tiles(array: Accelerator, shape: ConvShape) -> Iterator[ConvTile]:
    whole = shape.whole
    filters = _sizes(whole.filter, {array.cols})
    channels = _sizes(whole.channel, {array.rows * array.dot_width})
    for filter_, channel in product(filters, channels):
        for image, row, col in _pixel_blocks(whole):
            yield whole._replace(image=image, row=row, col=col, filter=filter_, channel=channel)


def _pixel_blocks(whole: ConvTile) -> Iterator[tuple[int, int, int]]:
    """Yield blocks of whole images, then of whole rows of one, then of parts of one row."""
    images, rows, cols = whole.image, whole.row, whole.col
    for image in _halves(images):
        yield image, rows, cols
    for row in _halves(rows):
        if row < rows:
            yield 1, row, cols
    for col in _halves(cols):
        if col < cols:
            yield 1, 1, col


def _sizes(dim: int, units: set[int]) -> list[int]:
    """Return `dim` itself and the unit x 2^j below it, largest first."""
    sizes = {dim}
    for unit in units:
        size = unit
        while size < dim:
            sizes.add(size)
            size *= 2
    return sorted(sizes, reverse=True)


def _too_small(array: Accelerator, shape: Shape) -> Infeasible:
    needs = [demand(array, shape, mapping) for mapping in _least(array, shape)]
    least = {memory: min(need[memory] for need in needs) for memory in needs[0]}
    memory = next(name for name, size in least.items() if size > getattr(array, name))
    needed, bound = least[memory], getattr(array, memory)
    return Infeasible(
        f"accelerator.{memory}",
        needed,
        bound,
        f"accelerator.{memory} of {bound} B is too small for any tile of {shape.text}: "
        f"it needs {needed} B or more",
    )


def _least(array: Accelerator, shape: Shape) -> list[Mapping]:
    """Return the mappings of the space's smallest tiles."""
    if isinstance(shape, GemmShape):
        return list(_with_stream(array, shape, 1, whole_folds=False))
    whole = shape.whole
    tile = whole._replace(
        image=1, row=1, col=1, filter=min(array.cols, whole.filter),
        channel=min(array.rows * array.dot_width, whole.channel),
    )  # fmt: skip
    return [kept(tuple(For(axis, size) for axis, size in tile._asdict().items()), shape)]
