"""Cutting a GEMM to fit the array and the scratchpads, in the order that takes least time.

Tiles are cut at powers of two and multiples of the array; k is innermost, so partial sums never
leave the accumulator. An array whose folds do not overlap takes a GEMM whose operands fit the
scratchpad in whole folds, and in one tile if its outputs fit too. The mapper tries candidates in
the order of a lower bound of their time and ends when no bound can beat the best time found: the
mapping is the best of its space.
"""

from collections.abc import Iterator
from typing import NamedTuple

from simulator.activity import Repeat, TileRun
from simulator.errors import Infeasible
from simulator.hardware.soc import Accelerator
from simulator.lowering.shape import GemmShape
from simulator.timing.systolic import AXES, Dims, tile_cycles
from simulator.units import ceil_div

_LEAST = 8  # smallest tile dimension tried, whatever the size of the array
_STREAM_LEVELS = 5  # halvings of the streamed dimension tried from the first that fits


class Tiling(NamedTuple):
    """Tile sizes and which of m and n is the outer loop; k is innermost.

    `resident`: all of the inner loop's operand stays in the scratchpad once it has been loaded.
    """

    tile: Dims
    outer: str
    resident: bool = False


def candidates(array: Accelerator, shape: GemmShape) -> Iterator[Tiling]:
    """Yield every tiling of the mapper's space that fits the memories.

    Raises Infeasible when not even the smallest tile fits.
    """
    plain = array.overlap == "none" and _operands_fit(array, shape)
    if plain and fits(array, shape, Tiling(shape.dims, "m")):
        yield Tiling(shape.dims, "m")
        return
    levels = 0
    for stream in _halves(getattr(shape.dims, AXES[array.dataflow].stream)):
        fitting = [t for t in _tilings(array, shape, stream, plain) if fits(array, shape, t)]
        if plain and fitting:
            yield from fitting
            return
        yield from fitting
        levels += bool(fitting)
        if levels == _STREAM_LEVELS or (fitting and stream <= _LEAST):
            return
    if not levels:
        raise _too_small(array, shape)


def _operands_fit(array: Accelerator, shape: GemmShape) -> bool:
    m, n, k = shape.dims
    return shape.a_bytes(m, k) + shape.b_bytes(k, n) <= array.scratchpad


def _halves(dim: int) -> Iterator[int]:
    """Yield the whole dimension, then its halves down to 1."""
    yield dim
    while dim > 1:
        dim = ceil_div(dim, 2)
        yield dim


def _tilings(
    array: Accelerator, shape: GemmShape, stream: int, whole_folds: bool
) -> Iterator[Tiling]:
    """Yield the tilings with that much of the streamed dimension.

    Parts of the array may stay unused for a better overlap of transfers, unless tiles are to be
    made of `whole_folds`.
    """
    axes = AXES[array.dataflow]
    least = (array.rows, array.cols) if whole_folds else (_LEAST, _LEAST)
    rows = _sizes(getattr(shape.dims, axes.row), {array.rows, least[0]})
    cols = _sizes(getattr(shape.dims, axes.col), {array.cols, least[1]})
    for row in rows:
        for col in cols:
            tile = Dims(**{axes.row: row, axes.col: col, axes.stream: stream})
            yield from _orders(shape.dims, tile)


def _orders(dims: Dims, tile: Dims) -> Iterator[Tiling]:
    """Yield the loop orders of a tile that differ in what they load."""
    yield Tiling(tile, "m")
    cuts_m, cuts_n = tile.m < dims.m, tile.n < dims.n
    if tile.k >= dims.k and cuts_m and cuts_n:
        yield Tiling(tile, "n")
    inner_is_cut = tile.k < dims.k or cuts_n
    if cuts_m and inner_is_cut:
        yield Tiling(tile, "m", resident=True)
    if cuts_n and (tile.k < dims.k or cuts_m):
        yield Tiling(tile, "n", resident=True)


def fits(array: Accelerator, shape: GemmShape, tiling: Tiling) -> bool:
    """Return whether operands (twice, where they change) and outputs fit the memories."""
    operands, outputs = _demand(shape, tiling)
    return operands <= array.scratchpad and outputs <= array.accumulator


def tiles(array: Accelerator, shape: GemmShape, tiling: Tiling) -> tuple[TileRun | Repeat, ...]:
    """Return the sequence of tiles of one GEMM of the batch, as nested repeats."""
    return tuple(_Nest(array, shape, tiling).outer_loop())


def _demand(shape: GemmShape, tiling: Tiling) -> tuple[int, int]:
    tile, dims = tiling.tile, shape.dims
    m_tiles, n_tiles, k_tiles = (ceil_div(d, t) for d, t in zip(dims, tile, strict=True))
    once = shape.repeats == 1  # else the next product of the batch is loaded meanwhile
    a_copies = 1 if once and m_tiles == k_tiles == 1 else 2
    b_copies = 1 if once and n_tiles == k_tiles == 1 else 2
    c_copies = 1 if once and m_tiles == n_tiles == 1 else 2
    a = a_copies * shape.a_bytes(tile.m, tile.k)
    b = b_copies * shape.b_bytes(tile.k, tile.n)
    if tiling.resident and tiling.outer == "m":
        b = (1 if once else 2) * shape.b_bytes(dims.k, dims.n)
    elif tiling.resident:
        a = (1 if once else 2) * shape.a_bytes(dims.m, dims.k)
    operands = a + b
    return operands, c_copies * shape.sum_bytes(tile.m, tile.n)


def _sizes(dim: int, units: set[int]) -> list[int]:
    """Return `dim` itself and the unit x 2^j below it, largest first."""
    sizes = {dim}
    for unit in units:
        size = unit
        while size < dim:
            sizes.add(size)
            size *= 2
    return sorted(sizes, reverse=True)


def _too_small(array: Accelerator, shape: GemmShape) -> Infeasible:
    demands = [_demand(shape, tiling) for tiling in _tilings(array, shape, 1, False)]
    operands, outputs = (min(sizes) for sizes in zip(*demands, strict=True))
    memory, demand, bound = "scratchpad", operands, array.scratchpad
    if operands <= array.scratchpad:
        memory, demand, bound = "accumulator", outputs, array.accumulator
    return Infeasible(
        f"accelerator.{memory}",
        demand,
        bound,
        f"accelerator.{memory} of {bound} B is too small for any tile of a "
        f"{shape.dims.m} x {shape.dims.n} x {shape.dims.k} GEMM: it needs {demand} B or more",
    )


class _Nest:
    """The loop nest of a tiling: outer (m or n), inner (the other), k."""

    def __init__(self, array: Accelerator, shape: GemmShape, tiling: Tiling) -> None:
        self._array, self._shape = array, shape
        self._outer_is_m = tiling.outer == "m"
        self._k_sizes = cut(shape.dims.k, tiling.tile.k)
        m_sizes, n_sizes = cut(shape.dims.m, tiling.tile.m), cut(shape.dims.n, tiling.tile.n)
        self._outer, self._inner = (m_sizes, n_sizes) if self._outer_is_m else (n_sizes, m_sizes)
        self._one_k = sum(count for _, count in self._k_sizes) == 1
        # With a single inner tile and a single k tile the inner operand never changes.
        single = self._one_k and sum(count for _, count in self._inner) == 1
        self._keep_inner = tiling.resident or single

    def outer_loop(self) -> Iterator[TileRun | Repeat]:
        """Yield the whole GEMM."""
        for position, (size, count) in enumerate(self._outer):
            alone = position == 0 and self._keep_inner
            if alone:
                yield from self._inner_loop(size, load_inner=True)
            body = tuple(self._inner_loop(size, not self._keep_inner))
            yield from _repeat(count - alone, body)

    def _inner_loop(self, outer: int, load_inner: bool) -> Iterator[TileRun | Repeat]:
        for position, (size, count) in enumerate(self._inner):
            first = position == 0
            if first:
                yield from self._k_loop(outer, size, True, load_inner)
            body = tuple(self._k_loop(outer, size, not self._one_k, load_inner))
            yield from _repeat(count - first, body)

    def _k_loop(
        self, outer: int, inner: int, load_outer: bool, load_inner: bool
    ) -> Iterator[TileRun | Repeat]:
        m, n = (outer, inner) if self._outer_is_m else (inner, outer)
        load_a, load_b = (load_outer, load_inner) if self._outer_is_m else (load_inner, load_outer)
        last = len(self._k_sizes) - 1
        for position, (k, count) in enumerate(self._k_sizes):
            silent = self._tile(Dims(m, n, k), load_a, load_b, store=False)
            storing = self._tile(Dims(m, n, k), load_a, load_b, store=True)
            yield from _repeat(count - (position == last), (silent,))
            if position == last:
                yield storing

    def _tile(self, tile: Dims, load_a: bool, load_b: bool, *, store: bool) -> TileRun:
        shape = self._shape
        loads = []
        if load_a:
            loads.append(shape.a_pattern(tile.m, tile.k))
        if load_b:
            loads.append(shape.b_pattern(tile.k, tile.n))
        stores = (shape.c_pattern(tile.m, tile.n),) if store else ()
        return TileRun(tuple(loads), tile_cycles(self._array, tile), stores)


def cut(dim: int, tile: int) -> list[tuple[int, int]]:
    """Return (size, count) of the full tiles and of the remainder."""
    full, rest = divmod(dim, tile)
    return ([(tile, full)] if full else []) + ([(rest, 1)] if rest else [])


def _repeat(count: int, body: tuple[TileRun | Repeat, ...]) -> Iterator[TileRun | Repeat]:
    if count > 1:
        yield Repeat(count, body)
    elif count == 1:
        yield from body
