"""The mapper's space: cuts of an operation that fit the array's memories.

Tiles are cut at powers of two and multiples of the array; reductions are innermost, so partial sums
never leave the accumulator. An array whose folds do not overlap takes a GEMM whose operands fit
the scratchpad in whole folds, and in one tile if its outputs fit too.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import product

from simulator.errors import Infeasible
from simulator.hardware.accelerator import Accelerator
from simulator.lowering.convolution import ConvShape, ConvTile
from simulator.lowering.nest import For, Mapping, block
from simulator.lowering.shape import GemmShape
from simulator.lowering.sums import Shape, Sizes
from simulator.timing.systolic import AXES, Dims
from simulator.units import ceil_div

_LEAST = 8  # smallest tile dimension tried; half of the array's where that is more
_STREAM_LEVELS = 5  # halvings of the streamed dimension tried from the first that fits


class Space:
    """The mappings of an operation that fit the memories of an array, tile by tile."""

    def __init__(self, array: Accelerator, shape: Shape) -> None:
        """Span the space of `shape` on `array`."""
        self._array, self._shape = array, shape
        self.held = _held(array, shape)
        self._mappings: dict[Sizes, tuple[Mapping, ...]] = {}

    def tiles(self) -> Iterable[Sizes]:
        """Return tiles, of which some mapping may fit."""
        if isinstance(self._shape, GemmShape):
            return self._gemm_tiles(self._shape)
        return list(_conv_tiles(self._array, self._shape))

    def mappings(self, tile: Sizes) -> tuple[Mapping, ...]:
        """Return the mappings with this tile that fit."""
        found = self._mappings.get(tile)
        if found is None:
            array, shape = self._array, self._shape
            orders = (
                _gemm_orders(shape, Dims(*tile))
                if isinstance(shape, GemmShape)
                else _conv_orders(shape, ConvTile(*tile))
            )
            tried = (order._replace(held=self.held) for order in orders) if self.held else orders
            found = tuple(mapping for mapping in tried if fits(array, shape, mapping))
            self._mappings[tile] = found
        return found

    def too_small(self) -> Infeasible:
        """Return why not even the smallest tile fits."""
        array, shape = self._array, self._shape
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

    def _may_fit(self, shape: GemmShape, tile: Sizes) -> bool:
        """Return whether a tile's operands and sums fit all memories together, once each."""
        array = self._array
        room = array.scratchpad + (array.weight_buffer or 0) + array.prefetch
        operands = shape.a_size(tile) + shape.b_size(tile)
        return operands <= room and shape.sum_bytes(tile) <= array.accumulator

    def _gemm_tiles(self, shape: GemmShape) -> list[Sizes]:
        """Return the tiles of the first halvings of the streamed dimension that fit."""
        array = self._array
        plain = array.overlap == "none" and _operands_fit(array, shape)
        if plain and self.mappings(shape.dims):
            return [shape.dims]
        found: list[Sizes] = []
        levels = 0
        for stream in _halves(getattr(shape.dims, AXES[shape.dataflow].stream)):
            tried = _with_stream(array, shape, stream, whole_folds=plain)
            tiles: list[Sizes] = [tile for tile in tried if self._may_fit(shape, tile)]
            if not any(self.mappings(tile) for tile in reversed(tiles)):
                continue
            if plain:
                return tiles
            found += tiles
            levels += 1
            if levels == _STREAM_LEVELS or stream <= _LEAST:
                break
        return found


def candidates(array: Accelerator, shape: Shape) -> Iterator[Mapping]:
    """Yield every mapping of the mapper's space."""
    space = Space(array, shape)
    for tile in space.tiles():
        yield from space.mappings(tile)


def demand(array: Accelerator, shape: Shape, mapping: Mapping) -> dict[str, int]:
    """Return the bytes that a mapping needs of each memory of `array`.

    Twice what is in use where the next block comes meanwhile; in lockstep, what moves in one piece
    has nothing beside it. A weight buffer is filled once,
    tile by tile; it holds operand B, or the sums of a convolution's weight gradient, whose operand
    A then lies in the accumulator.
    """
    once = shape.repeats == 1  # else the next product of the batch is loaded meanwhile
    copies = [1 if once and not level else 2 for level in mapping.stays]
    if array.weight_buffer is not None:
        copies[2 if _gives_weights(shape) else 1] = 1
    if array.schedule == "lockstep":
        copies = [
            1 if mapping.in_one_piece(name) else n for name, n in zip("abc", copies, strict=True)
        ]
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
) -> Iterator[Dims]:
    """Yield the tiles with that much of the streamed dimension, the largest first.

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
        yield Dims(**{axes.row: row, axes.col: col, axes.stream: stream})


def _gemm_orders(shape: GemmShape, tile: Dims) -> Iterator[Mapping]:
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


def _conv_orders(shape: ConvShape, tile: ConvTile) -> Iterator[Mapping]:
    """Yield two orders of the loops over filters, channels and pixels, and what may stay."""
    image, row, col, filters, channel, *_ = (
        For(axis, size) for axis, size in tile._asdict().items()
    )
    sums = (image, row, col) if shape.taps.weight_gradient else (channel,)
    maps = (channel,) if shape.taps.weight_gradient else (image, row, col)
    for loops in ((filters, *maps, *sums), (*maps, filters, *sums)):
        mapping = kept(loops, shape)
        yield from (mapping, mapping._replace(a_from=0), mapping._replace(b_from=0))


def kept(loops: Sequence[For], shape: Shape) -> Mapping:
    """Return the mapping with these loops (those that cut nothing left out), in which each operand
    stays as long as that takes no more memory than its tile.
    """
    cuts = cutting(shape, loops)
    axes = tuple(loop.axis for loop in cuts)
    return Mapping(
        cuts, _stays(axes, shape.a_axes), _stays(axes, shape.b_axes), _stays(axes, shape.c_axes)
    )


@lru_cache(maxsize=4096)
def _stays(loops: tuple[str, ...], axes: frozenset[str]) -> int:
    """Walk outwards over loops that change nothing for an operand with these axes."""
    level = len(loops)
    while level and loops[level - 1] not in axes:
        level -= 1
    return level


def cutting(shape: Shape, loops: Sequence[For]) -> tuple[For, ...]:
    """Return those of `loops` that cut something."""
    found, sizes = [], dict(shape.extents)
    for loop in loops:
        if loop.step < sizes[loop.axis]:
            found.append(loop)
            sizes[loop.axis] = loop.step
    return tuple(found)


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


def _least(array: Accelerator, shape: Shape) -> list[Mapping]:
    """Return the mappings of the space's smallest tiles."""
    if isinstance(shape, GemmShape):
        tiles = _with_stream(array, shape, 1, whole_folds=False)
        return [order for tile in tiles for order in _gemm_orders(shape, tile)]
    whole = shape.whole
    tile = whole._replace(
        image=1, row=1, col=1, filter=min(array.cols, whole.filter),
        channel=min(array.rows * array.dot_width, whole.channel),
    )  # fmt: skip
    return [kept(tuple(For(axis, size) for axis, size in tile._asdict().items()), shape)]
