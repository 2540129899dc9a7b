"""Cycles and operand accesses of a GEMM tile on a rows x cols array, per dataflow.

Formulas without overlap are those of SCALE-Sim (Samajdar et al., ISPASS 2020), checked against
SCALE-Sim 2 and 3: per fold 2R + C + S - 2 cycles for ws and is, R + C + S - 2 for os, where S is
the streamed dimension; the sum is one less, since cycles count from 0.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator
from simulator.memo import Memo
from simulator.units import ceil_div


class Dims(NamedTuple):
    """Sizes of a GEMM or of a tile of one."""

    m: int
    n: int
    k: int


class Axes(NamedTuple):
    """Which dimension lies on the rows, which on the columns, and which streams through."""

    row: str
    col: str
    stream: str


Cuts = Sequence[tuple[int, int]]
GemmCuts = tuple[Cuts, Cuts, Cuts]

AXES = {
    "ws": Axes("k", "n", "m"),
    "os": Axes("m", "n", "k"),
    "is": Axes("k", "m", "n"),
}


def tile_cycles(array: Accelerator, tile: Dims, dataflow: str) -> int:
    """Return the cycles of all folds of `tile`, without what `fill_cycles` adds once."""
    axes, dims = AXES[dataflow], _in_elements(array, tile)
    rows = ceil_div(getattr(dims, axes.row), array.rows)
    cols = ceil_div(getattr(dims, axes.col), array.cols)
    return _cycles(array, rows * cols, getattr(dims, axes.stream), dataflow)


def grid_cycles(array: Accelerator, cuts: GemmCuts, dataflow: str) -> int:
    """Return the cycles of all tiles of a GEMM cut into (size, count) along m, n and k."""
    return sum(
        p * q * r * tile_cycles(array, Dims(m, n, k), dataflow)
        for (m, p), (n, q), (k, r) in product(*cuts)
    )


_SIZES = 1024  # a guess: the sizes of tiles that a search tries along one axis


class Folds:
    """Cycles of all tiles of a GEMM on one array without dot products: a product of what each
    dimension contributes, which is counted once for each size of its tiles.
    """

    def __init__(self, array: Accelerator, dims: Dims, dataflow: str) -> None:
        """Count for tiles of `dims`."""
        self._array, self._dims, self._dataflow = array, dims, dataflow
        self._along: tuple[Memo[int], ...] = tuple(
            Memo("folds along an axis", _SIZES) for _ in dims
        )

    def cycles(self, tile: tuple[int, ...]) -> int:
        """Return the cycles of all tiles, those at the ends of a dimension as small as they are."""
        m, n, k = tile
        by_m, by_n, by_k = self._along
        return (
            (by_m.find(m) or self._count(0, m))
            * (by_n.find(n) or self._count(1, n))
            * (by_k.find(k) or self._count(2, k))
        )

    def _count(self, index: int, size: int) -> int:
        """Return the folds of all pieces of a dimension, or the cycles of the streamed one."""
        full, rest = divmod(self._dims[index], size)
        axis, axes, array = "mnk"[index], AXES[self._dataflow], self._array
        if axis == axes.stream:
            cycles = full * _fold_cycles(array, size, self._dataflow)
            found = cycles + (_fold_cycles(array, rest, self._dataflow) if rest else 0)
        else:
            side = array.rows if axis == axes.row else array.cols
            found = full * ceil_div(size, side) + ceil_div(rest, side)
        return self._along[index].keep(size, found)


def _in_elements(array: Accelerator, tile: Dims) -> Dims:
    """Return the tile with k in dot products, as the array's elements see it."""
    return tile if array.dot_width == 1 else tile._replace(k=ceil_div(tile.k, array.dot_width))


def _cycles(array: Accelerator, folds: int, stream: int, dataflow: str) -> int:
    """Deal folds out among the arrays, or let each array stream its part through every fold."""
    whole = ceil_div(folds, array.arrays) * _fold_cycles(array, stream, dataflow)
    if array.arrays == 1:
        return whole
    part = ceil_div(stream, array.arrays)
    return min(whole, folds * _fold_cycles(array, part, dataflow))


def fill_cycles(array: Accelerator, dataflow: str) -> int:
    """Return the cycles that an operation adds once: the first fill of an array that overlaps.

    Without overlap (os has nothing to preload) it is -1, because SCALE-Sim, whose formula that is,
    counts cycles from 0.
    """
    load = array.rows if dataflow != "os" else 0
    first = {"none": -1, "preload": load or -1, "drain": _skew(array), "full": load + _skew(array)}
    return first[array.overlap]


def _skew(array: Accelerator) -> int:
    """Return the cycles from the first operand in to the first result out of the last element."""
    neighbours = array.rows + array.cols - 2 if array.structure == "systolic" else 0
    return neighbours + array.pipeline_depth


def _fold_cycles(array: Accelerator, stream: int, dataflow: str) -> int:
    # ws and is load the stationary operand row by row; os drains its outputs within the skew,
    # and without skew row by row.
    edge = array.rows if dataflow != "os" or array.structure == "broadcast" else 0
    steps = stream * array.steps_per_mac
    if array.overlap == "none":
        return edge + _skew(array) + steps
    if array.overlap == "preload":
        return max(edge, _skew(array) + steps)
    if array.overlap == "drain":
        return edge + steps
    return max(array.rows, steps)


class Accesses(NamedTuple):
    """Words moved between the array and its memories by one GEMM."""

    a_reads: int
    b_reads: int
    partial_sums: int


def accesses(array: Accelerator, dims: Dims, dataflow: str) -> Accesses:
    """Return operand reads and partial sums in words (SCALE-Sim's SRAM counts).

    Each partial sum is written once and read once: to be added to, or on its way to memory.
    """
    m, n, k = dims
    rows, cols = array.rows * (array.dot_width if dataflow != "os" else 1), array.cols
    a_reads, b_reads, rounds = {
        "ws": (m * k * ceil_div(n, cols), k * n, ceil_div(k, rows)),
        "os": (m * k * ceil_div(n, cols), k * n * ceil_div(m, rows), 1),
        "is": (m * k, k * n * ceil_div(m, cols), ceil_div(k, rows)),
    }[dataflow]
    return Accesses(a_reads, b_reads, m * n * rounds)
