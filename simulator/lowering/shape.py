"""What a GEMM's operands occupy in memory: plain matrices, or convolutions read in place."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, gcd, prod

from simulator.activity import AccessPattern
from simulator.timing.systolic import Dims
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


@dataclass(frozen=True, slots=True, eq=False)
class GemmShape:
    """A GEMM as one accelerator sees it: dimensions, widths, operands read in place.

    `bits` are those of an operand, `out_bits` of an output on its way to memory.
    """

    batch: int
    dims: Dims
    bits: int
    out_bits: int
    accumulator_bits: int = 32
    passes: int = 1
    window_a: Window | None = None
    window_b: Window | None = None
    _bytes: dict[tuple[str, int, int], int] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> Hashable:
        """What makes two shapes equal."""
        widths = (self.bits, self.out_bits, self.accumulator_bits, self.passes)
        return self.batch, self.dims, widths, self.window_a, self.window_b

    @property
    def repeats(self) -> int:
        """How often the same product of matrices is computed: the batch, in every pass."""
        return self.batch * self.passes

    def a_bytes(self, m: int, k: int) -> int:
        """Return the bytes to load for an m x k tile of A."""
        size = self._bytes.get(("a", m, k))
        return self._remember("a", m, k, self.window_a) if size is None else size

    def b_bytes(self, k: int, n: int) -> int:
        """Return the bytes to load for a k x n tile of B."""
        size = self._bytes.get(("b", k, n))
        return self._remember("b", k, n, self.window_b) if size is None else size

    def c_bytes(self, m: int, n: int) -> int:
        """Return the bytes to store for an m x n tile of outputs."""
        return ceil_div(m * n * self.out_bits, 8)

    def sum_bytes(self, m: int, n: int) -> int:
        """Return the bytes that the partial sums of an m x n tile take in the accumulator."""
        return m * n * self.accumulator_bits // 8

    def a_pattern(self, m: int, k: int) -> AccessPattern:
        """Return how an m x k tile of A lies in memory."""
        whole = self.window_a is not None or k >= self.dims.k or m == 1
        return _rows_of(self.a_bytes(m, k), k, self.dims.k, self.bits, whole, write=False)

    def b_pattern(self, k: int, n: int) -> AccessPattern:
        """Return how a k x n tile of B lies in memory."""
        whole = self.window_b is not None or n >= self.dims.n or k == 1
        return _rows_of(self.b_bytes(k, n), n, self.dims.n, self.bits, whole, write=False)

    def c_pattern(self, m: int, n: int) -> AccessPattern:
        """Return how an m x n tile of outputs lies in memory."""
        whole = n >= self.dims.n or m == 1
        return _rows_of(self.c_bytes(m, n), n, self.dims.n, self.out_bits, whole, write=True)

    def _remember(self, operand: str, rows: int, cols: int, window: Window | None) -> int:
        elements = rows * cols if window is None else window.elements(rows, cols)
        size = self._bytes[operand, rows, cols] = ceil_div(elements * self.bits, 8)
        return size


def _rows_of(
    size: int, cols: int, width: int, bits: int, whole: bool, *, write: bool
) -> AccessPattern:
    """Return the pattern of rows of `cols` elements in a matrix that is `width` wide."""
    if whole:
        return AccessPattern(size, size, size, write)
    run = ceil_div(cols * bits, 8)
    return AccessPattern(size, run, max(run, width * bits // 8), write)
