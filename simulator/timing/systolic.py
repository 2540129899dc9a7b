"""Cycles of a GEMM on a rows x cols array, fold by fold, under any dataflow."""

from collections.abc import Sequence
from itertools import product

from simulator.hardware.accelerator import Accelerator
from simulator.memo import Memo
from simulator.timing.dataflows import Dataflow, Dims
from simulator.units import ceil_div

Cuts = Sequence[tuple[int, int]]
GemmCuts = tuple[Cuts, Cuts, Cuts]


def in_commands(rows: int, most: int, least: int) -> int:
    """Return the cycles in which `rows` stream through a fold, by commands of up to `most` rows
    that take `least` cycles each, or more.
    """
    if not least:
        return rows
    full, rest = divmod(rows, most)
    return full * max(most, least) + (max(rest, least) if rest else 0)


def tile_cycles(array: Accelerator, tile: Dims, dataflow: Dataflow) -> int:
    """Return the cycles of all folds of `tile`, without the fill that an operation adds once."""
    axes, dims = dataflow.axes, _in_dot_products(array, tile)
    rows = ceil_div(getattr(dims, axes.row), array.rows)
    cols = ceil_div(getattr(dims, axes.col), array.cols)
    return _cycles(array, rows * cols, getattr(dims, axes.stream), dataflow)


def grid_cycles(array: Accelerator, cuts: GemmCuts, dataflow: Dataflow) -> int:
    """Return the cycles of all tiles of a GEMM cut into (size, count) along m, n and k."""
    return sum(
        p * q * r * tile_cycles(array, Dims(m, n, k), dataflow)
        for (m, p), (n, q), (k, r) in product(*cuts)
    )


_SIZES = 1024  # a guess: the sizes of tiles that a search tries along one axis


class Folds:
    """Cycles of all tiles of a GEMM on one array without dot products.

    They factor into one term per dimension: folds along the unrolled ones, cycles along the
    streamed one. Each term is computed once per tile size.
    """

    def __init__(
        self, array: Accelerator, dims: Dims, dataflow: Dataflow, command: tuple[int, int] = (0, 0)
    ) -> None:
        """Count for tiles of `dims`; what streams does so in commands, as `in_commands`."""
        self._array, self._dims, self._dataflow, self._command = array, dims, dataflow, command
        self._terms: tuple[Memo[int], ...] = tuple(
            Memo("folds along an axis", _SIZES) for _ in dims
        )

    def cycles(self, tile: tuple[int, ...]) -> int:
        """Return the cycles of all tiles, those at the ends of a dimension as small as they are."""
        m, n, k = tile
        by_m, by_n, by_k = self._terms
        return (
            (by_m.find(m) or self._count(0, m))
            * (by_n.find(n) or self._count(1, n))
            * (by_k.find(k) or self._count(2, k))
        )

    def _count(self, index: int, size: int) -> int:
        """Return the folds of all pieces of a dimension, or the cycles of the streamed one."""
        full, rest = divmod(self._dims[index], size)
        axis, axes, array = "mnk"[index], self._dataflow.axes, self._array
        if axis == axes.stream:
            term = full * self._fold_cycles(size) + (self._fold_cycles(rest) if rest else 0)
        else:
            side = array.rows if axis == axes.row else array.cols
            term = full * ceil_div(size, side) + ceil_div(rest, side)
        return self._terms[index].keep(size, term)

    def _fold_cycles(self, stream: int) -> int:
        return self._dataflow.fold_cycles(self._array, in_commands(stream, *self._command))


def _in_dot_products(array: Accelerator, tile: Dims) -> Dims:
    """Return the tile with k in dot products, as the array's elements see it."""
    return tile if array.dot_width == 1 else tile._replace(k=ceil_div(tile.k, array.dot_width))


def _cycles(array: Accelerator, folds: int, stream: int, dataflow: Dataflow) -> int:
    """Deal folds out among the arrays, or let each array stream its part through every fold."""
    whole = ceil_div(folds, array.arrays) * dataflow.fold_cycles(array, stream)
    if array.arrays == 1:
        return whole
    part = ceil_div(stream, array.arrays)
    return min(whole, folds * dataflow.fold_cycles(array, part))
