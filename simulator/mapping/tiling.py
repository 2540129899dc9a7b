"""The mapper's space: cuts of an operation that fit the array's memories.

Tiles are cut at powers of two and multiples of the array; reductions are innermost, so partial sums
never leave the accumulator. An array whose folds do not overlap takes a GEMM whose operands fit
the scratchpad in whole folds, and in one tile if its outputs fit too.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from simulator.errors import Infeasible
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.convolution import ConvShape, ConvTile
from simulator.mapping.nest import For, Mapping
from simulator.mapping.shape import GemmShape
from simulator.mapping.sums import Order, Shape, Sizes, kept_bytes, moves_of
from simulator.timing.systolic import AXES, Dims
from simulator.units import ceil_div

_LEAST = 8  # smallest tile dimension tried; half of the array's where that is more
_STREAM_LEVELS = 5  # halvings of the streamed dimension tried from the first that fits


class Space:
    """The mappings of an operation that fit the memories of an array, tile by tile."""

    def __init__(self, array: Accelerator, shape: Shape) -> None:
        """Span the space of `shape` on `array`."""
        self.held = _held(array, shape)
        self._moves = moves_of(shape, self.held)
        self._array, self._shape = array, self._moves.shape  # whose sizes are known from before
        self._orders: dict[Sizes, list[Order]] = {}

    def tiles(self) -> Iterable[Sizes]:
        """Return tiles, of which some mapping may fit."""
        if isinstance(self._shape, GemmShape):
            return self._gemm_tiles(self._shape)
        return list(_conv_tiles(self._array, self._shape))

    def mappings(self, tile: Sizes) -> Iterator[Mapping]:
        """Yield the mappings with this tile that fit."""
        return (order.mapping for order in self.orders(tile))

    def orders(self, tile: Sizes) -> list[Order]:
        """Return the mappings with this tile that fit, with what they move."""
        found = self._orders.get(tile)
        if found is None:
            array, shape = self._array, self._shape
            tried = self._moves.orders(tile, lambda: _orders(shape, tile, self.held))
            found = [order for order in tried if _fits(array, shape, order.mapping, order.kept)]
            self._orders[tile] = found
        return found

    def too_small(self) -> Infeasible:
        """Return why not even the smallest tile fits."""
        array, shape = self._array, self._shape
        needs = [demand(array, shape, mapping)._asdict() for mapping in _least(array, shape)]
        least = {memory: min(need[memory] for need in needs) for memory in needs[0]}
        memory = next(name for name, size in least.items() if size > (getattr(array, name) or 0))
        needed, bound = least[memory], getattr(array, memory)
        return Infeasible(
            f"accelerator.{memory}",
            needed,
            bound,
            f"accelerator.{memory} of {bound} B is too small for any tile of {shape.text}: "
            f"it needs {needed} B or more",
        )

    def _gemm_tiles(self, shape: GemmShape) -> list[Sizes]:
        """Return the tiles of the first halvings of the streamed dimension that fit."""
        array = self._array
        plain = array.overlap == "none" and _operands_fit(array, shape)
        if plain and self.orders(shape.dims):
            return [shape.dims]
        found: list[Sizes] = []
        levels = 0
        sides = _sides(array, shape, whole_folds=plain)
        for stream in _halves(getattr(shape.dims, AXES[shape.dataflow].stream)):
            tiles = _that_may_fit(array, shape, _with_stream(shape, sides, stream))
            if not any(self.orders(tile) for tile in reversed(tiles)):
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


class Demand(NamedTuple):
    """Bytes that a mapping needs of each memory; none of a weight buffer that is not there."""

    scratchpad: int
    accumulator: int
    weight_buffer: int = 0


def demand(
    array: Accelerator, shape: Shape, mapping: Mapping, kept: tuple[int, int, int] | None = None
) -> Demand:
    """Return the bytes that a mapping needs of each memory of `array`.

    Twice what is in use where the next block comes meanwhile; in lockstep, what moves in one piece
    has nothing beside it. A weight buffer is filled once,
    tile by tile; it holds operand B, or the sums of a convolution's weight gradient, whose operand
    A then lies in the accumulator. `kept` are its `kept_bytes`, where they are known.
    """
    once = shape.repeats == 1  # else the next product of the batch is loaded meanwhile
    copies = [1 if once and not level else 2 for level in mapping.stays]
    if array.weight_buffer is not None:
        copies[2 if _gives_weights(shape) else 1] = 1
    if array.schedule == "lockstep":
        copies = [
            1 if mapping.in_one_piece(name) else n for name, n in zip("abc", copies, strict=True)
        ]
    a, b, sums = kept or kept_bytes(shape, mapping)
    a, b, sums = copies[0] * a, copies[1] * b, copies[2] * sums
    if array.weight_buffer is None:
        return Demand(a + b, sums)
    if _gives_weights(shape):
        return Demand(b, a, sums)
    return Demand(a, sums, b)


def _gives_weights(shape: Shape) -> bool:
    return isinstance(shape, ConvShape) and shape.taps.weight_gradient


def fits(array: Accelerator, shape: Shape, mapping: Mapping) -> bool:
    """Return whether the operands and the partial sums of `mapping` fit the memories."""
    return _fits(array, shape, mapping, kept_bytes(shape, mapping))


def _fits(array: Accelerator, shape: Shape, mapping: Mapping, kept: tuple[int, int, int]) -> bool:
    scratchpad, accumulator, weight_buffer = demand(array, shape, mapping, kept)
    return (
        scratchpad <= array.scratchpad
        and accumulator <= array.accumulator
        and weight_buffer <= (array.weight_buffer or 0)
    )


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


def _sides(array: Accelerator, shape: GemmShape, *, whole_folds: bool) -> dict[str, list[int]]:
    """Return the sizes of tiles along the two dimensions that lie on the array, largest first.

    Parts of the array may stay unused for a better overlap of transfers, unless tiles are to be
    made of `whole_folds`.
    """
    axes, found = AXES[shape.dataflow], {}
    for axis, size in ((axes.row, array.rows), (axes.col, array.cols)):
        fold = size * (array.dot_width if axis == "k" else 1)
        least = fold if whole_folds else max(_LEAST, fold // 2)
        found[axis] = _sizes(getattr(shape.dims, axis), {fold, least})
    return found


def _with_stream(
    shape: GemmShape, sides: dict[str, list[int]], stream: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the tiles with that much of the streamed dimension, the largest first."""
    axes = AXES[shape.dataflow]
    nested = axes.row, axes.col, axes.stream
    m, n, k = (nested.index(axis) for axis in "mnk")
    for sizes in product(sides[axes.row], sides[axes.col], (stream,)):
        yield sizes[m], sizes[n], sizes[k]


def _that_may_fit(
    array: Accelerator, shape: GemmShape, tiles: Iterable[tuple[int, int, int]]
) -> list[Sizes]:
    """Return the tiles whose operands and sums fit all memories together, once each."""
    room = array.scratchpad + (array.weight_buffer or 0) + array.prefetch
    most = (array.accumulator * 8 + 7) // shape.widths.sum  # outputs, their bytes rounded down
    a_bytes, b_bytes = shape.a_bytes, shape.b_bytes
    return [
        (m, n, k) for m, n, k in tiles if m * n <= most and a_bytes(m, k) + b_bytes(k, n) <= room
    ]


def _orders(shape: Shape, tile: Sizes, held: tuple[str, ...]) -> Iterator[Mapping]:
    """Yield the mappings with this tile, whether they fit or not."""
    orders = (
        _gemm_orders(shape, Dims(*tile))
        if isinstance(shape, GemmShape)
        else _conv_orders(shape, ConvTile(*tile))
    )
    return (order._replace(held=held) for order in orders) if held else orders


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
        tiles = _with_stream(shape, _sides(array, shape, whole_folds=False), 1)
        return [order for tile in tiles for order in _gemm_orders(shape, Dims(*tile))]
    whole = shape.whole
    tile = whole._replace(
        image=1, row=1, col=1, filter=min(array.cols, whole.filter),
        channel=min(array.rows * array.dot_width, whole.channel),
    )  # fmt: skip
    return [kept(tuple(For(axis, size) for axis, size in tile._asdict().items()), shape)]
