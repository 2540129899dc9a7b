"""What a GEMM's operands occupy in memory: plain matrices, or convolutions read in place."""

from dataclasses import dataclass
from math import prod

from simulator.activity import AccessPattern
from simulator.timing.systolic import Dims
from simulator.trace.op import Conv
from simulator.units import ceil_div


@dataclass(frozen=True, slots=True)
class Window:
    """An operand that hardware im2col reads from a feature map instead of a matrix.

    `pixels` says which dimension of the GEMM runs over pixels, the other runs over
    channels x `taps`. `touched` feature-map rows per produced row follow from geometry.
    """

    pixels: str
    taps: int
    images: int
    produced: tuple[int, ...]
    source: tuple[int, ...]
    scale_up: tuple[int, ...]
    scale_down: tuple[int, ...]
    reach: tuple[int, ...]

    def elements(self, pixels: int, depth: int) -> int:
        """Return the distinct source elements under `pixels` x `depth` of the virtual matrix."""
        channels = ceil_div(depth, self.taps)
        return min(pixels * depth, channels * self._source_pixels(pixels))

    def _source_pixels(self, pixels: int) -> int:
        per_image = prod(self.produced)
        if pixels >= per_image:
            return ceil_div(pixels, per_image) * prod(self.source)
        inner = prod(self.produced[1:])
        rows = ceil_div(pixels, inner)
        reached = (rows - 1) * self.scale_up[0] + self.reach[0]
        return min(self.source[0], ceil_div(reached, self.scale_down[0])) * prod(self.source[1:])


def forward_window(conv: Conv, pixels: str) -> Window:
    """Return the window through which a convolution's output pixels see its input."""
    reach = tuple(d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel, strict=True))
    ones = (1,) * len(conv.kernel)
    taps = prod(conv.kernel)
    return Window(pixels, taps, conv.images, conv.output, conv.input, conv.stride, ones, reach)


def backward_window(conv: Conv, pixels: str) -> Window:
    """Return the window through which input pixels see the output's gradient (direct dgrad)."""
    reach = tuple(d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel, strict=True))
    ones = (1,) * len(conv.kernel)
    taps = prod(conv.kernel)
    return Window(pixels, taps, conv.images, conv.input, conv.output, ones, conv.stride, reach)


@dataclass(frozen=True, slots=True)
class GemmShape:
    """A GEMM as one accelerator sees it: dimensions, operand widths, operands read in place."""

    batch: int
    dims: Dims
    bits: int
    out_bits: int
    passes: int = 1
    window_a: Window | None = None
    window_b: Window | None = None

    def a_bytes(self, m: int, k: int) -> int:
        """Return the bytes to load for an m x k tile of A."""
        return _operand_bytes(self.window_a, m, k, self.bits)

    def b_bytes(self, k: int, n: int) -> int:
        """Return the bytes to load for a k x n tile of B."""
        return _operand_bytes(self.window_b, k, n, self.bits)

    def c_bytes(self, m: int, n: int) -> int:
        """Return the bytes of an m x n tile of outputs at full accumulator width."""
        return m * n * self.out_bits // 8

    def a_pattern(self, m: int, k: int) -> AccessPattern:
        """Return how an m x k tile of A lies in memory."""
        size = self.a_bytes(m, k)
        return _tile(size, m, self.dims.k, k, self.bits, self.window_a, write=False)

    def b_pattern(self, k: int, n: int) -> AccessPattern:
        """Return how a k x n tile of B lies in memory."""
        size = self.b_bytes(k, n)
        return _tile(size, k, self.dims.n, n, self.bits, self.window_b, write=False)

    def c_pattern(self, m: int, n: int) -> AccessPattern:
        """Return how an m x n tile of outputs lies in memory."""
        return _tile(self.c_bytes(m, n), m, self.dims.n, n, self.out_bits, None, write=True)


def _operand_bytes(window: Window | None, rows: int, cols: int, bits: int) -> int:
    if window is None:
        elements = rows * cols
    elif window.pixels == "row":
        elements = window.elements(rows, cols)
    else:
        elements = window.elements(cols, rows)
    return ceil_div(elements * bits, 8)


def _tile(
    size: int, rows: int, width: int, cols: int, bits: int, window: Window | None, *, write: bool
) -> AccessPattern:
    if window is not None or cols >= width or rows == 1:
        return AccessPattern(size, size, size, write)
    run = ceil_div(cols * bits, 8)
    return AccessPattern(size, run, max(run, width * bits // 8), write)
