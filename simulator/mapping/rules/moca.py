"""How MoCA's fork of Gemmini's library cuts a GEMM or a convolution.

ucb-bar/gemmini-rocc-tests, branch MOCA, gemmini.h: `tiling_factor_matmul_calculate_auto` is
`tiled_matmul_auto`; `tiling_factor_calculate` gives up rows of pixels and whole blocks of channels
instead of one step of the largest dimension, and grows by doubling. So it tries few tiles.
"""

from collections.abc import Iterable

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.convolution import ConvShape
from simulator.mapping.loops import For, Mapping, reloading
from simulator.mapping.rules.gemmini import ORDER, Gemmini, conv_tile_fits

_IMAGE, _ROW, _COL, _FILTER, _TAP_ROW, _TAP_COL, _CHANNEL = range(7)
_CHANNELS = (_FILTER, _CHANNEL)
_TAPS = (_TAP_ROW, _TAP_COL)
_BLOCKS = 4  # MAX_BLOCK_LEN: blocks of the array's width in one load


class Moca(Gemmini):
    """The mapping of MoCA's library; products are cut as by Gemmini's own."""

    def convolution(self, array: Accelerator, shape: ConvShape) -> Iterable[Mapping]:
        """Return the mapping of `tiling_factor_calculate`, with how many tiles it evaluates."""
        search = MocaSearch(array, shape)
        tile = search.tile()
        loops = tuple(For(axis, size) for axis, size in zip(ORDER, tile, strict=True))
        return (reloading(loops, shape)._replace(evaluated=search.evaluated),)


class MocaSearch:
    """The search of `tiling_factor_calculate`, which counts the tiles that it evaluates."""

    def __init__(self, array: Accelerator, shape: ConvShape) -> None:
        """Search for `shape` in halves of the memories of `array`."""
        self._array, self._shape = array, shape
        self._side, self._wide = array.rows, _BLOCKS * array.rows
        self._most = [shape.extents[axis] for axis in ORDER]
        self.evaluated = 0

    def tile(self) -> list[int]:
        """Return the tile's size along every axis, in the order of the loops."""
        sizes = self._most[:]
        while not self._fits(sizes):
            self._shrink(sizes, self._largest(sizes))
        grown, first = True, True
        while grown:
            grown = False
            for index in (_TAP_COL, _CHANNEL, _TAP_ROW, _FILTER, _COL, _ROW, _IMAGE):
                more = sizes[:]
                more[index] = self._more(index, sizes[index], first=first)
                if more[index] <= self._most[index] and self._fits(more):
                    sizes, grown, first = more, True, False
        return sizes

    def _largest(self, sizes: list[int]) -> int:
        """Return the axis to give up: pixels and taps once channels are down to one load."""
        if sizes[_IMAGE] > 1:
            return _IMAGE
        narrow = sizes[_CHANNEL] == self._wide and sizes[_FILTER] <= self._wide
        if narrow:
            return self._of_one_load(sizes)
        keeps_cols = sizes[_COL] <= self._side and sizes[_ROW] > 1
        choices = [
            index
            for index in (_COL, *_TAPS, _ROW, *_CHANNELS)
            if not (index == _COL and keeps_cols)
            and not (index in _CHANNELS and sizes[index] <= self._side)
        ]
        return max(choices, key=lambda index: sizes[index])

    def _of_one_load(self, sizes: list[int]) -> int:
        """Return the axis to give up where channels and filters are those of one load."""
        if sizes[_COL] > self._side:
            return _COL
        taps = [index for index in _TAPS if sizes[index] > 1]
        return taps[0] if taps else _ROW

    def _shrink(self, sizes: list[int], index: int) -> None:
        if index in _CHANNELS:
            self._shrink_channels(sizes, index)
        elif index == _COL:
            whole = sizes[_COL] // self._side * self._side
            sizes[_COL] = whole if sizes[_COL] % self._side else whole - self._side
        else:
            sizes[index] = 1 if index in _TAPS else sizes[index] - 1

    def _shrink_channels(self, sizes: list[int], index: int) -> None:
        size, wide, side = sizes[index], self._wide, self._side
        if size > wide and size % wide:
            sizes[index] = size // wide * wide
        elif size > wide:
            sizes[index] = size // 2 if size % (2 * side) == 0 else (size - 1) // side * side
        elif sizes[_TAP_ROW] > 1:
            sizes[_TAP_ROW] = 1
        elif sizes[_TAP_COL] > 1:
            sizes[_TAP_COL] -= 1
        elif sizes[_CHANNEL] < side:
            sizes[index] = max(1, size // 2)
        elif sizes[_ROW] > self._row_floor:
            sizes[_ROW] //= 2
        elif sizes[_COL] > side:
            sizes[_COL] = side

    _row_floor = 4

    def _more(self, index: int, size: int, *, first: bool) -> int:
        if index in _CHANNELS:
            return 2 * size
        if index == _COL and size % self._side == 0:
            return size + self._side
        return size + 2 if first and index in _TAPS else size + 1

    def _fits(self, sizes: list[int]) -> bool:
        self.evaluated += 1
        return conv_tile_fits(self._array, self._shape, sizes)
