"""Cycles and operand accesses of a GEMM tile on a rows x cols array, per dataflow.

Formulas without overlap are those of SCALE-Sim (Samajdar et al., ISPASS 2020), checked against
SCALE-Sim 2 and 3: per fold 2R + C + S - 2 cycles for ws and is, R + C + S - 2 for os, where S is
the streamed dimension; the sum is one less, since cycles count from 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

from simulator.hardware.soc import Accelerator
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


AXES = {
    "ws": Axes("k", "n", "m"),
    "os": Axes("m", "n", "k"),
    "is": Axes("k", "m", "n"),
}


def folds(array: Accelerator, tile: Dims) -> int:
    """Return how often the array is filled to cover `tile`."""
    axes = AXES[array.dataflow]
    rows = ceil_div(getattr(tile, axes.row), array.rows)
    return rows * ceil_div(getattr(tile, axes.col), array.cols)


def tile_cycles(array: Accelerator, tile: Dims) -> int:
    """Return the cycles of all folds of `tile`, without what `fill_cycles` adds once."""
    return folds(array, tile) * _fold_cycles(array, getattr(tile, AXES[array.dataflow].stream))


def total_cycles(
    array: Accelerator,
    m: Sequence[tuple[int, int]],
    n: Sequence[tuple[int, int]],
    k: Sequence[tuple[int, int]],
) -> int:
    """Return the cycles of all tiles of a GEMM cut into (size, count) along each dimension."""
    cuts, axes = {"m": m, "n": n, "k": k}, AXES[array.dataflow]
    rows = sum(count * ceil_div(size, array.rows) for size, count in cuts[axes.row])
    cols = sum(count * ceil_div(size, array.cols) for size, count in cuts[axes.col])
    stream = sum(count * _fold_cycles(array, size) for size, count in cuts[axes.stream])
    return rows * cols * stream


def fill_cycles(array: Accelerator) -> int:
    """Return the cycles that an operation adds once: the first fill of an array that overlaps.

    Without overlap (os has nothing to preload) it is -1, because SCALE-Sim, whose formula that is,
    counts cycles from 0.
    """
    skew = array.rows + array.cols - 2 if array.structure == "systolic" else 0
    load = array.rows if array.dataflow != "os" else 0
    return {"none": -1, "preload": load or -1, "full": load + skew}[array.overlap]


def _fold_cycles(array: Accelerator, stream: int) -> int:
    skew = array.rows + array.cols - 2 if array.structure == "systolic" else 0
    # ws and is load the stationary operand row by row; os drains its outputs within the skew,
    # and without skew row by row.
    edge = array.rows if array.dataflow != "os" or array.structure == "broadcast" else 0
    if array.overlap == "none":
        return edge + skew + stream
    if array.overlap == "preload":
        return max(edge, skew + stream)
    return max(array.rows, stream)


class Accesses(NamedTuple):
    """Words moved between the array and its memories by one GEMM."""

    a_reads: int
    b_reads: int
    partial_sums: int


def accesses(array: Accelerator, dims: Dims) -> Accesses:
    """Return operand reads and partial sums in words (SCALE-Sim's SRAM counts).

    Each partial sum is written once and read once: to be added to, or on its way to memory.
    """
    m, n, k = dims
    rows, cols = array.rows, array.cols
    a_reads, b_reads, rounds = {
        "ws": (m * k * ceil_div(n, cols), k * n, ceil_div(k, rows)),
        "os": (m * k * ceil_div(n, cols), k * n * ceil_div(m, rows), 1),
        "is": (m * k, k * n * ceil_div(m, cols), ceil_div(k, rows)),
    }[array.dataflow]
    return Accesses(a_reads, b_reads, m * n * rounds)
