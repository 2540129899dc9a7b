"""Geometry of a convolution that the array computes tap by tap, and of its gradients."""

from math import prod
from typing import NamedTuple

from simulator.trace.op import Conv, Role
from simulator.units import ceil_div

_ENDLESS = 1 << 62


class ConvTile(NamedTuple):
    """Sizes of a convolution or of a tile of one; pixels are those of the produced map."""

    image: int
    row: int
    col: int
    filter: int
    channel: int
    tap_row: int = 1
    tap_col: int = 1

    @property
    def pixels(self) -> int:
        """Pixels of all images."""
        return self.image * self.row * self.col

    @property
    def taps(self) -> int:
        """Kernel taps."""
        return self.tap_row * self.tap_col


class ReceptiveField(NamedTuple):
    """Which rows (or columns) of the map that is read, of `size`, a produced row depends on.

    Neighbouring rows are stride / input_dilation apart there (a dgrad has the forward stride as
    input dilation), taps are `dilation` apart.
    """

    size: int
    stride: int
    input_dilation: int
    dilation: int

    def needed(self, produced: int, taps: int) -> int:
        """Return how many rows (or columns) of the map `produced` neighbours need, at most."""
        span = (produced - 1) * self.stride + self.dilation * (taps - 1) + 1
        return min(self.size, ceil_div(span, self.input_dilation))


class Taps(NamedTuple):
    """Geometry of a convolution computed tap by tap, or of one of its gradients."""

    whole: ConvTile
    rows: ReceptiveField
    cols: ReceptiveField
    role: Role

    @property
    def weight_gradient(self) -> bool:
        """Whether the result is a gradient of the weights, summed over pixels."""
        return self.role is Role.WGRAD


def forward_taps(conv: Conv, role: Role, *, padded: bool = False) -> Taps:
    """Return the geometry of a forward convolution or of its weight gradient, per group.

    Taps of a third dimension count as channels. `padded`: the map that is read has its padding in
    memory.
    """
    (height, width), (high, wide) = _plane(conv.input), _plane(conv.output)
    (row_step, col_step), (row_gap, col_gap) = _plane(conv.stride), _plane(conv.dilation)
    filters, channels = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    images, depth = conv.images * prod(conv.output[:-2]), prod(conv.kernel[:-2])
    whole = ConvTile(images, high, wide, filters, channels * depth, *_plane(conv.kernel))
    rows = ReceptiveField(height, row_step, 1, row_gap)
    cols = ReceptiveField(width, col_step, 1, col_gap)
    return _padded(Taps(whole, rows, cols, role), padded)


def backward_taps(conv: Conv, *, padded: bool = False) -> Taps:
    """Return the geometry of an input gradient, as a convolution of the output's gradient."""
    whole, rows, cols, _ = forward_taps(conv, Role.FORWARD)
    images, depth = conv.images * prod(conv.input[:-2]), prod(conv.kernel[:-2])
    filters, channels = conv.in_channels // conv.groups, conv.out_channels // conv.groups
    taps = whole.tap_row, whole.tap_col
    swapped = ConvTile(images, rows.size, cols.size, filters, channels * depth, *taps)
    row_field = ReceptiveField(whole.row, 1, rows.stride, rows.dilation)
    col_field = ReceptiveField(whole.col, 1, cols.stride, cols.dilation)
    return _padded(Taps(swapped, row_field, col_field, Role.DGRAD), padded)


def _padded(taps: Taps, padded: bool) -> Taps:
    """Extend the map that is read by its padding, where memory has it."""
    if not padded:
        return taps
    whole, (rows, cols) = taps.whole, (r._replace(size=_ENDLESS) for r in (taps.rows, taps.cols))
    rows = rows._replace(size=rows.needed(whole.row, whole.tap_row))
    cols = cols._replace(size=cols.needed(whole.col, whole.tap_col))
    return taps._replace(rows=rows, cols=cols)


def _plane(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Return the last two dimensions; a one-dimensional convolution has rows of one."""
    return (1, *sizes)[-2], sizes[-1]
