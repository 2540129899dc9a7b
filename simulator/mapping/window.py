"""Operands that hardware im2col reads from a feature map instead of a matrix."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, gcd, prod

from simulator.trace.op import Conv
from simulator.units import ceil_div


@dataclass(frozen=True, slots=True)
class Window:
    """An operand that hardware im2col reads from a feature map instead of a matrix.

    The matrix has one row per `produced` pixel (of any number of images) and one column per
    channel and tap. A forward convolution has a `stride`, a direct dgrad an `input_dilation` (the
    forward stride: zeros between the source's pixels). `extent` is the dilated kernel's. So
    neighbouring rows of the produced map are stride / input_dilation source rows apart, and each
    sees extent / input_dilation of them.
    """

    channels: int
    taps: int
    produced: tuple[int, ...]
    source: tuple[int, ...]
    stride: tuple[int, ...]
    input_dilation: tuple[int, ...]
    extent: tuple[int, ...]

    def elements(self, pixels: int, columns: int) -> int:
        """Return the distinct source elements under a tile of `pixels` rows x `columns`.

        An average over tile positions, since few tiles begin where a row or a channel does.
        """
        channels = min(Fraction(self.channels), _touched(columns, self.taps))
        return min(pixels * columns, ceil(channels * self._source_pixels(pixels)))

    def _source_pixels(self, pixels: int) -> Fraction:
        """Source pixels of a tile: rows x stride, and a halo of extent - stride per image."""
        images = _touched(pixels, prod(self.produced))
        rows = _touched(pixels, prod(self.produced[1:]))
        if len(self.produced) == 2 and pixels < self.produced[1]:
            return self._parts_of_rows(pixels, rows)
        step = min(self.stride[0], self.extent[0])
        needed = (rows * step + images * (self.extent[0] - step)) / self.input_dilation[0]
        return min(needed, images * self.source[0]) * prod(
            map(self._width, range(1, len(self.stride)))
        )

    def _parts_of_rows(self, pixels: int, parts: Fraction) -> Fraction:
        """Source pixels of parts of rows: the kernel's height x (columns x stride + halo)."""
        step = min(self.stride[1], self.extent[1])
        width = (pixels * step + parts * (self.extent[1] - step)) / self.input_dilation[1]
        height = Fraction(self.extent[0], self.input_dilation[0])
        return min(width, parts * self.source[1]) * min(height, Fraction(self.source[0]))

    def _width(self, axis: int) -> int:
        """Return the source pixels along `axis` that a whole row of the produced map needs."""
        step = min(self.stride[axis], self.extent[axis])
        needed = (self.produced[axis] - 1) * step + self.extent[axis]
        return min(self.source[axis], ceil_div(needed, self.input_dilation[axis]))


def _touched(size: int, unit: int) -> Fraction:
    """Return how many groups of `unit` neighbours a tile of `size` touches, on average.

    Tiles begin at multiples of `size`, hence at offsets in a group that are multiples of their
    greatest common divisor, each equally often.
    """
    return Fraction(size + unit - gcd(size, unit), unit)


def forward_window(conv: Conv) -> Window:
    """Return the window through which a convolution's outputs read its input."""
    ones = (1,) * len(conv.kernel)
    channels, taps = conv.in_channels // conv.groups, prod(conv.kernel)
    return Window(channels, taps, conv.output, conv.input, conv.stride, ones, _extent(conv))


def backward_window(conv: Conv) -> Window:
    """Return the window through which a direct dgrad reads the output's gradient."""
    ones = (1,) * len(conv.kernel)
    channels, taps = conv.out_channels // conv.groups, prod(conv.kernel)
    return Window(channels, taps, conv.input, conv.output, ones, conv.stride, _extent(conv))


def _extent(conv: Conv) -> tuple[int, ...]:
    """Return the kernel's extent along every axis, dilation included."""
    return tuple(d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel, strict=True))
