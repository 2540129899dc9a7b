"""How Gemmini's library cuts a GEMM or a convolution (ucb-bar/gemmini-rocc-tests, gemmini.h).

`tiled_matmul_auto` grows square tiles until the memories are full; `tiled_conv_auto` shrinks the
largest dimension until a tile fits half of each memory, then grows what still can. The search of
a convolution runs on the host before every call.
"""

from collections.abc import Iterable
from math import isqrt

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.convolution import ConvShape
from simulator.mapping.loops import For, Mapping, reloading
from simulator.mapping.shape import GemmShape
from simulator.units import ceil_div


class Gemmini:
    """The one mapping that the library would use; both operands are loaded for every tile."""

    def gemm(self, array: Accelerator, shape: GemmShape) -> Iterable[Mapping]:
        """Return the mapping of `tiled_matmul_auto`."""
        m, n, k = matmul_tile(array, shape)
        return (reloading((For("m", m), For("n", n), For("k", k)), shape),)

    def convolution(self, array: Accelerator, shape: ConvShape) -> Iterable[Mapping]:
        """Return the mapping of `tiled_conv_auto`, with how many tiles its search evaluates."""
        search = ConvSearch(array, shape)
        tile = search.tile()
        loops = tuple(For(axis, tile[axis]) for axis in ORDER)
        return (reloading(loops, shape)._replace(evaluated=search.evaluated),)


def matmul_tile(array: Accelerator, shape: GemmShape) -> tuple[int, int, int]:
    """Return tile sizes m, n, k, in whole blocks of the array."""
    side = array.rows
    blocks = [ceil_div(size, side) for size in shape.dims]
    scratchpad = array.scratchpad // 2 // (side * side * shape.widths.operand // 8)
    sums = array.accumulator // 2 // (side * side * shape.widths.sum // 8)
    square = max(1, isqrt(sums))
    deep = max(1, scratchpad // 2 // square)
    m, n, k = (min(size, most) for size, most in zip(blocks, (square, square, deep), strict=True))

    def fit(m: int, n: int, k: int) -> bool:
        return m * k + k * n <= scratchpad and m * n <= sums

    grown = True
    while grown:
        grown = False
        for step in ((0, 1, 0), (1, 0, 0), (0, 0, 1)):
            more = m + step[0], n + step[1], k + step[2]
            if fit(*more) and all(a <= b for a, b in zip(more, blocks, strict=True)):
                (m, n, k), grown = more, True
    return m * side, n * side, k * side


ORDER = ("image", "row", "col", "filter", "tap_row", "tap_col", "channel")
"""The order of a search's arguments, and of the loops from the outermost."""


class ConvSearch:
    """The search of `tiled_conv_auto`, which counts the tiles that it evaluates."""

    def __init__(self, array: Accelerator, shape: ConvShape) -> None:
        """Search for `shape` in halves of the memories of `array`."""
        self._array, self._shape = array, shape
        self._most = [shape.extents[axis] for axis in ORDER]
        self.evaluated = 0

    def tile(self) -> dict[str, int]:
        """Return the tile's size along every axis."""
        sizes = self._most[:]
        while not self._fits(sizes):
            largest = max(self._shrinkable(sizes), key=lambda i: (sizes[i], -i))
            sizes[largest] = self._less(largest, sizes[largest])
        while self._grow(sizes, 2):
            pass
        grown = True
        while grown:
            grown = sum(self._grow(sizes, index) for index in range(len(sizes))) > 0
        return dict(zip(ORDER, sizes, strict=True))

    def _shrinkable(self, sizes: list[int]) -> list[int]:
        """Columns within the array do not shrink while there are rows to give up."""
        _, row, col, *_ = sizes
        keeps_cols = col <= self._array.rows and row > 1
        return [i for i in range(len(sizes)) if not (i == 2 and keeps_cols)]

    def _less(self, index: int, size: int) -> int:
        if ORDER[index] not in ("filter", "channel"):
            return size - 1
        side = self._array.rows
        return (size // side * side if size % side else size - side) or 1

    def _grow(self, sizes: list[int], index: int) -> bool:
        if sizes[index] >= self._most[index]:
            return False
        sizes[index] += 1
        if self._fits(sizes):
            return True
        sizes[index] -= 1
        return False

    def _fits(self, sizes: list[int]) -> bool:
        self.evaluated += 1
        return conv_tile_fits(self._array, self._shape, sizes)


def conv_tile_fits(array: Accelerator, shape: ConvShape, sizes: list[int]) -> bool:
    """Return whether a tile of `sizes`, in `ORDER`, fits half of each memory."""
    image, row, col, filters, tap_row, tap_col, channel = sizes
    side, widths, taps = array.rows, shape.widths, shape.taps
    rows = row * taps.rows.stride + tap_row - 1
    cols = col * taps.cols.stride + tap_col - 1
    wide = ceil_div(filters, side)
    operands = ceil_div(channel, side) * image * rows * cols + wide * tap_row * tap_col * channel
    operand_rows = array.scratchpad // 2 // (side * widths.operand // 8)
    sum_rows = array.accumulator // 2 // (side * widths.sum // 8)
    return operands <= operand_rows and wide * image * row * col <= sum_rows
