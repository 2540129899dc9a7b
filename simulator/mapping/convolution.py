"""A convolution that the array computes tap by tap: channels on its rows, pixels streamed."""

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import NamedTuple

from simulator.activity import AccessPattern, sequential
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.shape import Widths
from simulator.timing.systolic import Accesses, Dims, accesses, tile_cycles
from simulator.trace.op import Conv, Role
from simulator.units import ceil_div


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


class Reach(NamedTuple):
    """How produced rows (or columns) see those of the map that is read, which has `size` of them.

    Neighbours are `up` / `down` apart there: `up` is a convolution's stride, `down` that of one
    run backwards; taps are `dilation` apart.
    """

    size: int
    up: int
    down: int
    dilation: int

    def needed(self, produced: int, taps: int) -> int:
        """Return how many rows (or columns) of the map `produced` neighbours need, at most."""
        span = (produced - 1) * self.up + self.dilation * (taps - 1) + 1
        return min(self.size, ceil_div(span, self.down))


class Taps(NamedTuple):
    """Geometry of a convolution computed tap by tap, or of one of its gradients."""

    whole: ConvTile
    rows: Reach
    cols: Reach
    role: Role

    @property
    def weight_gradient(self) -> bool:
        """Whether the result is a gradient of the weights, summed over pixels."""
        return self.role is Role.WGRAD


@dataclass(frozen=True, slots=True, eq=False)
class ConvShape:
    """A two-dimensional convolution, or one of its gradients, cut along its own axes.

    The map of `rows` x `cols` is read through a window; the other one has the pixels and filters
    of the whole: a forward pass writes it, a direct input gradient too (it reads the output's
    gradient), a weight gradient reads both maps and sums over pixels. `layout` says how maps lie in
    memory: channels_last, channels_first, or blocked (one block of channels after the other);
    `weight_tile`, that weights lie in whole tiles of so many channels x filters.
    """

    repeats: int
    taps: Taps
    widths: Widths
    dataflow: str = "ws"
    layout: str = "channels_last"
    word_bits: int = 8  # the channels of a pixel fill whole words
    out_row: int = 1 << 30  # filters in a row of the accumulator
    command: tuple[int, int] = (0, 0)  # most pixels of one compute command, and its least cycles
    weight_tile: tuple[int, int] | None = None
    cached: frozenset[str] = frozenset()  # of "a", "b", "c": what a shared cache holds

    @property
    def key(self) -> Hashable:
        """What makes two shapes equal."""
        lies = self.layout, self.word_bits, self.weight_tile
        how = self.dataflow, self.out_row, self.command, self.cached
        return self.repeats, self.taps, self.widths, lies, how

    @property
    def whole(self) -> ConvTile:
        """Sizes of the whole operation."""
        return self.taps.whole

    @property
    def extents(self) -> dict[str, int]:
        """Size along every axis."""
        return self.whole._asdict()

    @property
    def a_axes(self) -> frozenset[str]:
        """Axes of operand A: the window's map, or the output's gradient of a weight gradient."""
        return _PRODUCED if self.taps.weight_gradient else _SEEN

    @property
    def b_axes(self) -> frozenset[str]:
        """Axes of operand B: the weights, or the window's map of a weight gradient."""
        return _SEEN if self.taps.weight_gradient else _WEIGHTS

    @property
    def c_axes(self) -> frozenset[str]:
        """Axes of the result."""
        return _WEIGHTS if self.taps.weight_gradient else _PRODUCED

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the array executes in all repeats."""
        return self.repeats * prod(self.whole)

    @property
    def text(self) -> str:
        """The operation in words, for messages."""
        whole = self.whole
        return (
            f"the convolution of {whole.channel} channels with {whole.filter} filters of "
            f"{whole.tap_row} x {whole.tap_col}"
        )

    def a(self, sizes: tuple[int, ...]) -> AccessPattern:
        """Return how a tile's part of A lies in memory."""
        read = self._a(ConvTile(*sizes), self.widths.in_memory("a"))
        return read._replace(cached="a" in self.cached)

    def b(self, sizes: tuple[int, ...]) -> AccessPattern:
        """Return how a tile's part of B lies in memory."""
        read = self._b(ConvTile(*sizes), self.widths.in_memory("b"))
        return read._replace(cached="b" in self.cached)

    def c(self, sizes: tuple[int, ...], bits: int) -> AccessPattern:
        """Return how a tile's outputs, or its partial sums, of `bits` each lie in memory."""
        tile = ConvTile(*sizes)
        read = (
            self._weights(tile, bits) if self.taps.weight_gradient else self._produced(tile, bits)
        )
        return read._replace(write=True, cached="c" in self.cached)

    def a_size(self, sizes: tuple[int, ...]) -> int:
        """Return the bytes of a tile's part of A in the scratchpad."""
        return self._a(ConvTile(*sizes), self.widths.operand).bytes

    def b_size(self, sizes: tuple[int, ...]) -> int:
        """Return the bytes of a tile's part of B in the scratchpad."""
        return self._b(ConvTile(*sizes), self.widths.operand).bytes

    def grid_cycles(self, array: Accelerator, cuts: dict[str, list[tuple[int, int]]]) -> int:
        """Return the cycles of all tiles, cut into (size, count) along every axis."""
        total = 0
        for chosen in product(*cuts.values()):
            sizes = tuple(size for size, _ in chosen)
            total += prod(count for _, count in chosen) * self.cycles(array, sizes)
        return total

    def folds(self, _array: Accelerator) -> None:
        """Return nothing: tiles of a convolution are counted one by one."""

    def sum_bytes(self, sizes: tuple[int, ...]) -> int:
        """Return the bytes that a tile's partial sums take in the accumulator."""
        tile = ConvTile(*sizes)
        outer = tile.channel * tile.taps if self.taps.weight_gradient else tile.pixels
        return tile.filter * outer * self.widths.sum // 8

    def cycles(self, array: Accelerator, sizes: tuple[int, ...]) -> int:
        """Return the cycles of a tile: every tap is a product of its own."""
        tile = ConvTile(*sizes)
        return tile.taps * tile_cycles(array, self._one_tap(tile), self.dataflow)

    def accesses(self, array: Accelerator, sizes: tuple[int, ...]) -> Accesses:
        """Return the words between the array and its memories for a tile."""
        tile = ConvTile(*sizes)
        words = accesses(array, self._one_tap(tile), self.dataflow)
        return Accesses(*(tile.taps * count for count in words))

    def _weight_bytes(self, bits: int) -> int:
        whole = self.whole
        return ceil_div(whole.filter * whole.channel * whole.taps * bits, 8)

    def _one_tap(self, tile: ConvTile) -> Dims:
        if self.taps.weight_gradient:
            # An element that keeps its output keeps the gradient of the weight that it has forward.
            kept = self.dataflow == "os"
            sides = (tile.channel, tile.filter) if kept else (tile.filter, tile.channel)
            return Dims(*sides, tile.pixels)
        most, least = self.command
        if not least:
            return Dims(tile.pixels, tile.filter, tile.channel)
        full, rest = divmod(tile.col, most)  # a command streams pixels of one row
        cycles = full * max(most, least) + (max(rest, least) if rest else 0)
        return Dims(tile.image * tile.row * cycles, tile.filter, tile.channel)

    def _a(self, tile: ConvTile, bits: int) -> AccessPattern:
        return self._produced(tile, bits) if self.taps.weight_gradient else self._seen(tile, bits)

    def _b(self, tile: ConvTile, bits: int) -> AccessPattern:
        return self._seen(tile, bits) if self.taps.weight_gradient else self._weights(tile, bits)

    def _seen(self, tile: ConvTile, bits: int) -> AccessPattern:
        rows = self.taps.rows.needed(tile.row, tile.tap_row)
        cols = self.taps.cols.needed(tile.col, tile.tap_col)
        whole_rows = cols >= self.taps.cols.size
        return self._map(
            (tile.image, rows, cols, tile.channel),
            self.whole.channel,
            self.taps.cols.size,
            whole_rows,
            bits,
        )

    def _produced(self, tile: ConvTile, bits: int) -> AccessPattern:
        sizes = (tile.image, tile.row, tile.col, tile.filter)
        whole_rows = tile.col >= self.whole.col
        return self._map(sizes, self.whole.filter, self.whole.col, whole_rows, bits)

    def _map(
        self,
        sizes: tuple[int, int, int, int],
        channels: int,
        width: int,
        whole_rows: bool,
        bits: int,
    ) -> AccessPattern:
        """Return how images x rows x columns x channels of a map lie in memory."""
        image, rows, cols, part = sizes
        if self.layout == "blocked":
            words = ceil_div(part * bits, self.word_bits)
            return sequential(image * rows * cols * words * self.word_bits // 8, write=False)
        if self.layout == "channels_first":
            run, pitch = cols, width
        elif part >= channels:
            run, pitch = cols * part, width * channels
        else:
            run, pitch = part, channels
        if whole_rows and run == pitch:
            run = pitch = rows * run
        pattern = _strided(image * rows * cols * part, run, pitch, bits)
        row = part if self.layout == "channels_last" else cols
        return pattern._replace(row=ceil_div(row * bits, 8))

    def _weights(self, tile: ConvTile, bits: int) -> AccessPattern:
        """Return how weights lie in memory, filters last: [tap, channel, filter].

        Blocked weights follow each other in the order of their use, as one run; an input gradient
        uses them in another order than they are kept, and has a run for each load. In whole tiles
        they are a run for each load always.
        """
        if self.weight_tile:
            channels, filters = self.weight_tile
            tiles = ceil_div(tile.channel, channels) * ceil_div(tile.filter, filters)
            size = ceil_div(tiles * channels * filters * tile.taps * bits, 8)
            return sequential(size, write=False)
        elements = tile.filter * tile.channel * tile.taps
        if self.layout == "blocked":
            size = ceil_div(elements * bits, 8)
            run = size if self.taps.role is Role.DGRAD else max(size, self._weight_bytes(bits))
            return AccessPattern(size, run, run, write=False)
        if tile.filter >= self.whole.filter:
            pattern = sequential(ceil_div(elements * bits, 8), write=False)
        else:
            pattern = _strided(elements, tile.filter, self.whole.filter, bits)
        return pattern._replace(row=ceil_div(tile.filter * bits, 8))


_ENDLESS = 1 << 62
_SEEN = frozenset({"image", "row", "col", "channel", "tap_row", "tap_col"})
_WEIGHTS = frozenset({"filter", "channel", "tap_row", "tap_col"})
_PRODUCED = frozenset({"image", "row", "col", "filter"})


def _strided(elements: int, run: int, pitch: int, bits: int) -> AccessPattern:
    size = ceil_div(elements * bits, 8)
    if run >= elements or run == pitch:
        return sequential(size, write=False)
    run_bytes = ceil_div(run * bits, 8)
    return AccessPattern(size, run_bytes, max(run_bytes, pitch * bits // 8), write=False)


def forward_taps(conv: Conv, role: Role, *, padded: bool = False) -> Taps:
    """Return the geometry of a forward convolution or of its weight gradient, per group.

    Taps of a third dimension are further channels. `padded`: the map read has its padding in
    memory.
    """
    (height, width), (high, wide) = _plane(conv.input), _plane(conv.output)
    (row_step, col_step), (row_gap, col_gap) = _plane(conv.stride), _plane(conv.dilation)
    filters, channels = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    images, depth = conv.images * prod(conv.output[:-2]), prod(conv.kernel[:-2])
    whole = ConvTile(images, high, wide, filters, channels * depth, *_plane(conv.kernel))
    rows, cols = Reach(height, row_step, 1, row_gap), Reach(width, col_step, 1, col_gap)
    return _padded(Taps(whole, rows, cols, role), padded)


def backward_taps(conv: Conv, *, padded: bool = False) -> Taps:
    """Return extents and reaches of an input gradient as a convolution of the output's gradient."""
    whole, rows, cols, _ = forward_taps(conv, Role.FORWARD)
    images, depth = conv.images * prod(conv.input[:-2]), prod(conv.kernel[:-2])
    filters, channels = conv.in_channels // conv.groups, conv.out_channels // conv.groups
    taps = whole.tap_row, whole.tap_col
    swapped = ConvTile(images, rows.size, cols.size, filters, channels * depth, *taps)
    row_reach = Reach(whole.row, 1, rows.up, rows.dilation)
    col_reach = Reach(whole.col, 1, cols.up, cols.dilation)
    return _padded(Taps(swapped, row_reach, col_reach, Role.DGRAD), padded)


def _padded(taps: Taps, padded: bool) -> Taps:
    """Let the map that is read have all that the produced one needs, where it has its padding."""
    if not padded:
        return taps
    whole, (rows, cols) = taps.whole, (r._replace(size=_ENDLESS) for r in (taps.rows, taps.cols))
    rows = rows._replace(size=rows.needed(whole.row, whole.tap_row))
    cols = cols._replace(size=cols.needed(whole.col, whole.tap_col))
    return taps._replace(rows=rows, cols=cols)


def _plane(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Return the last two dimensions; a one-dimensional convolution has rows of one."""
    return (1, *sizes)[-2], sizes[-1]
