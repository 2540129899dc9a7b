"""What a GEMM's operands occupy in memory: plain matrices, or convolutions read in place."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, gcd, prod
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.timing.systolic import Accesses, Dims, Folds, accesses, grid_cycles, tile_cycles
from simulator.trace.op import Conv
from simulator.units import ceil_div


@dataclass(frozen=True, slots=True)
class Window:
    """An operand that hardware im2col reads from a feature map instead of a matrix.

    The matrix has one row per `produced` pixel (of any number of images) and one column per
    channel and tap. Neighbouring rows of the produced map are `up` / `down` source rows apart and
    each reaches over `reach` / `down` of them: `up` is a convolution's stride, `down` that of a
    convolution run backwards.
    """

    channels: int
    taps: int
    produced: tuple[int, ...]
    source: tuple[int, ...]
    up: tuple[int, ...]
    down: tuple[int, ...]
    reach: tuple[int, ...]

    def elements(self, pixels: int, columns: int) -> int:
        """Return the distinct source elements under a tile of `pixels` rows x `columns`.

        Averaged over the places where tiles lie, since few begin where a row or a channel does.
        """
        channels = min(Fraction(self.channels), _touched(columns, self.taps))
        return min(pixels * columns, ceil(channels * self._source_pixels(pixels)))

    def _source_pixels(self, pixels: int) -> Fraction:
        """Every run of neighbouring rows needs their steps and, once per image, the reach."""
        images = _touched(pixels, prod(self.produced))
        rows = _touched(pixels, prod(self.produced[1:]))
        if len(self.produced) == 2 and pixels < self.produced[1]:
            return self._parts_of_rows(pixels, rows)
        step = min(self.up[0], self.reach[0])
        needed = (rows * step + images * (self.reach[0] - step)) / self.down[0]
        return min(needed, images * self.source[0]) * prod(map(self._width, range(1, len(self.up))))

    def _parts_of_rows(self, pixels: int, parts: Fraction) -> Fraction:
        """Each part of a row needs its reach in height, its steps and a reach in width."""
        step = min(self.up[1], self.reach[1])
        width = (pixels * step + parts * (self.reach[1] - step)) / self.down[1]
        height = Fraction(self.reach[0], self.down[0])
        return min(width, parts * self.source[1]) * min(height, Fraction(self.source[0]))

    def _width(self, axis: int) -> int:
        """Return how much of the source a whole row of the produced map needs along `axis`."""
        step = min(self.up[axis], self.reach[axis])
        needed = (self.produced[axis] - 1) * step + self.reach[axis]
        return min(self.source[axis], ceil_div(needed, self.down[axis]))


def _touched(size: int, unit: int) -> Fraction:
    """Return how many groups of `unit` neighbours a tile of `size` touches, on average.

    Tiles begin at multiples of `size`, hence at offsets in a group that are multiples of their
    greatest common divisor, each equally often.
    """
    return Fraction(size + unit - gcd(size, unit), unit)


def forward_window(conv: Conv) -> Window:
    """Return the window through which a convolution's output pixels see its input."""
    ones = (1,) * len(conv.kernel)
    channels, taps = conv.in_channels // conv.groups, prod(conv.kernel)
    return Window(channels, taps, conv.output, conv.input, conv.stride, ones, _reach(conv))


def backward_window(conv: Conv) -> Window:
    """Return the window through which input pixels see the output's gradient (direct dgrad)."""
    ones = (1,) * len(conv.kernel)
    channels, taps = conv.out_channels // conv.groups, prod(conv.kernel)
    return Window(channels, taps, conv.input, conv.output, ones, conv.stride, _reach(conv))


def _reach(conv: Conv) -> tuple[int, ...]:
    return tuple(d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel, strict=True))


class Widths(NamedTuple):
    """Bits of an operand in the scratchpad, of an output in memory, and of a partial sum.

    `a` and `b` are those of the operands in memory, where the DMA engine converts them on their
    way; 0: they lie there as in the scratchpad.
    """

    operand: int
    output: int
    sum: int = 32
    a: int = 0
    b: int = 0

    def in_memory(self, name: str) -> int:
        """Return the bits of operand "a" or "b" in memory."""
        return (self.a if name == "a" else self.b) or self.operand


@dataclass(frozen=True, slots=True, eq=False)
class GemmShape:
    """A GEMM as one accelerator sees it: dimensions, widths, operands read in place.

    Tiles are (m, n, k). The same product is computed `repeats` times, for every member of a batch
    in every pass. `blocked` matrices lie in memory block by block, so that a tile is one run.
    """

    repeats: int
    dims: Dims
    widths: Widths
    dataflow: str = "ws"
    window_a: Window | None = None
    window_b: Window | None = None
    blocked: bool = False
    cached: frozenset[str] = frozenset()  # of "a", "b", "c": what a shared cache holds
    _bytes: dict[tuple[str, int, int], int] = field(default_factory=dict, repr=False)
    _extents: dict[str, int] = field(default_factory=dict, repr=False)

    a_axes = frozenset("mk")
    b_axes = frozenset("kn")
    c_axes = frozenset("mn")

    @property
    def key(self) -> Hashable:
        """What makes two shapes equal."""
        how = self.dataflow, self.blocked, self.cached, self.window_a, self.window_b
        return self.repeats, self.dims, self.widths, how

    @property
    def extents(self) -> dict[str, int]:
        """Size along every axis."""
        return self._extents

    def __post_init__(self) -> None:
        """Keep the sizes by axis, which the mapper asks for often."""
        self._extents.update(self.dims._asdict())

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the array executes in all repeats."""
        return self.repeats * prod(self.dims)

    @property
    def text(self) -> str:
        """The operation in words, for messages."""
        return f"the GEMM of {self.dims.m} x {self.dims.n} x {self.dims.k}"

    def a(self, tile: tuple[int, ...]) -> AccessPattern:
        """Return how a tile's part of A lies in memory."""
        m, _, k = tile
        whole = self.blocked or self.window_a is not None or k >= self.dims.k or m == 1
        return rows_of(self._matrix("a"), self._moved("a", m, k), k, whole=whole)

    def b(self, tile: tuple[int, ...]) -> AccessPattern:
        """Return how a tile's part of B lies in memory."""
        _, n, k = tile
        whole = self.blocked or self.window_b is not None or n >= self.dims.n or k == 1
        return rows_of(self._matrix("b"), self._moved("b", k, n), n, whole=whole)

    def c(self, tile: tuple[int, ...], bits: int) -> AccessPattern:
        """Return how a tile's outputs, or its partial sums, of `bits` each lie in memory."""
        m, n, _ = tile
        whole = self.blocked or n >= self.dims.n or m == 1
        size = ceil_div(m * n * bits, 8)
        matrix = Matrix(self.dims.n, bits, write=True, cached="c" in self.cached)
        return rows_of(matrix, size, n, whole=whole)

    def a_size(self, tile: tuple[int, ...]) -> int:
        """Return the bytes of a tile's part of A in the scratchpad."""
        return self.a_bytes(tile[0], tile[2])

    def b_size(self, tile: tuple[int, ...]) -> int:
        """Return the bytes of a tile's part of B in the scratchpad."""
        return self.b_bytes(tile[2], tile[1])

    def grid_cycles(self, array: Accelerator, cuts: dict[str, list[tuple[int, int]]]) -> int:
        """Return the cycles of all tiles, cut into (size, count) along every axis."""
        return grid_cycles(array, (cuts["m"], cuts["n"], cuts["k"]), self.dataflow)

    def folds(self, array: Accelerator) -> Folds | None:
        """Return what counts `grid_cycles` dimension by dimension, where the array allows it."""
        if array.arrays > 1 or array.dot_width > 1:
            return None
        return Folds(array, self.dims, self.dataflow)

    def sum_bytes(self, tile: tuple[int, ...]) -> int:
        """Return the bytes that a tile's partial sums take in the accumulator."""
        return tile[0] * tile[1] * self.widths.sum // 8

    def cycles(self, array: Accelerator, tile: tuple[int, ...]) -> int:
        """Return the cycles of a tile, without what an operation adds once."""
        return tile_cycles(array, Dims(*tile), self.dataflow)

    def accesses(self, array: Accelerator, tile: tuple[int, ...]) -> Accesses:
        """Return the words between the array and its memories for a tile."""
        return accesses(array, Dims(*tile), self.dataflow)

    def a_bytes(self, m: int, k: int) -> int:
        """Return the bytes of an m x k tile of A in the scratchpad."""
        size = self._bytes.get(("a", m, k))
        return self._remember("a", m, k) if size is None else size

    def b_bytes(self, k: int, n: int) -> int:
        """Return the bytes of a k x n tile of B in the scratchpad."""
        size = self._bytes.get(("b", k, n))
        return self._remember("b", k, n) if size is None else size

    def _remember(self, name: str, rows: int, cols: int) -> int:
        size = ceil_div(self._elements(name, rows, cols) * self.widths.operand, 8)
        self._bytes[name, rows, cols] = size
        return size

    def _moved(self, name: str, rows: int, cols: int) -> int:
        """Return the bytes in memory of a tile of an operand."""
        bits = self.widths.in_memory(name)
        if bits != self.widths.operand:
            return ceil_div(self._elements(name, rows, cols) * bits, 8)
        return self.a_bytes(rows, cols) if name == "a" else self.b_bytes(rows, cols)

    def _elements(self, name: str, rows: int, cols: int) -> int:
        window = self.window_a if name == "a" else self.window_b
        return rows * cols if window is None else window.elements(rows, cols)

    def _matrix(self, name: str) -> "Matrix":
        width = self.dims.k if name == "a" else self.dims.n
        return Matrix(width, self.widths.in_memory(name), write=False, cached=name in self.cached)


class Matrix(NamedTuple):
    """A matrix in memory, row after row of `width` elements of `bits` each."""

    width: int
    bits: int
    write: bool
    cached: bool


def rows_of(matrix: Matrix, size: int, cols: int, *, whole: bool) -> AccessPattern:
    """Return how `size` bytes of rows of `cols` elements lie; in one piece if they are `whole`."""
    width, bits, write, cached = matrix
    run = ceil_div(cols * bits, 8)
    if whole:
        return AccessPattern(size, size, size, write, run, cached)
    return AccessPattern(size, run, max(run, width * bits // 8), write, 0, cached)
