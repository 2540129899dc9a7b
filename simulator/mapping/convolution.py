"""A convolution that the array computes tap by tap: channels on its rows, pixels streamed."""

from collections.abc import Callable, Hashable, Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import ClassVar, NamedTuple

from simulator.activity import ON_CHIP, AccessPattern, sequential
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.conv_space import ConvSpace
from simulator.mapping.loops import Mapping, Sizes
from simulator.mapping.problem import Epilogue, Widths
from simulator.mapping.rule import MappingRule
from simulator.mapping.taps import ConvTile, Taps
from simulator.mapping.tensor_layout import CHANNELS_LAST, MapPart, TensorLayout, WeightPart
from simulator.timing.dataflows import WS, Accesses, Dataflow, Dims
from simulator.timing.systolic import in_commands, tile_cycles
from simulator.trace.op import Role
from simulator.units import ceil_div


class _TensorAxes(NamedTuple):
    """One of the tensors of a convolution: its axes, and how a tile's part lies in memory."""

    axes: frozenset[str]
    part: Callable[["ConvShape", ConvTile, int], AccessPattern]


@dataclass(frozen=True, slots=True, eq=False)
class ConvShape:
    """A two-dimensional convolution, or one of its gradients, cut along its own axes.

    The map of `rows` x `cols` is read through the kernel; the other one has the pixels and filters
    of the whole. A forward pass writes the other map; so does a direct input gradient, which reads
    the output's gradient; a weight gradient reads both maps and sums over pixels. `layout`: where
    maps and weights are in memory. `weight_tile`: weights lie in whole tiles of so many channels x
    filters.
    """

    repeats: int
    taps: Taps
    widths: Widths
    dataflow: Dataflow = WS
    layout: TensorLayout = CHANNELS_LAST
    word_bits: int = 8  # the channels of a pixel fill whole words
    out_row: int = 1 << 30  # filters in a row of the accumulator
    command: tuple[int, int] = (0, 0)  # most pixels of one compute command, and its least cycles
    weight_tile: tuple[int, int] | None = None
    cached: frozenset[str] = frozenset()  # of "a", "b", "c": those that a shared cache serves
    epilogue: Epilogue | None = None
    resident: frozenset[str] = frozenset()  # of "a", "b", "c": those that stay in the scratchpad

    letters: ClassVar[Table[str, str]] = {
        "N": "image", "Q": "row", "P": "col", "K": "filter", "C": "channel",
        "S": "tap_row", "R": "tap_col",
    }  # fmt: skip

    skipped_macs = 0

    @property
    def key(self) -> Hashable:
        """What makes two shapes equal."""
        memory = self.layout, self.word_bits, self.weight_tile, self.cached
        array = self.dataflow.name, self.out_row, self.command
        return self.repeats, self.taps, self.widths, self.epilogue, self.resident, memory, array

    @property
    def whole(self) -> ConvTile:
        """Sizes of the whole operation."""
        return self.taps.whole

    @property
    def extents(self) -> dict[str, int]:
        """Size along every axis."""
        return self.whole._asdict()

    @property
    def sums_weights(self) -> bool:
        """Whether it is a weight gradient."""
        return self.taps.weight_gradient

    @property
    def a_axes(self) -> frozenset[str]:
        """Axes of operand A: the map that is read, or the output's gradient in a wgrad."""
        return self._tensors[0].axes

    @property
    def b_axes(self) -> frozenset[str]:
        """Axes of operand B: the weights, or the map that is read in a wgrad."""
        return self._tensors[1].axes

    @property
    def c_axes(self) -> frozenset[str]:
        """Axes of the result: the other map, or the weights in a wgrad."""
        return self._tensors[2].axes

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

    def space(self, array: Accelerator) -> ConvSpace:
        """Return the tiles and loop orders to consider on `array`."""
        return ConvSpace(array, self)

    def under(self, rule: MappingRule, array: Accelerator) -> Iterable[Mapping]:
        """Return the mappings that a machine's own rule considers."""
        return rule.convolution(array, self)

    def a(self, tile: Sizes) -> AccessPattern:
        """Return how a tile's part of A lies in memory."""
        if "a" in self.resident:
            return ON_CHIP
        bits = self.widths.of("a")
        read = bits.with_scales(self._tensors[0].part(self, ConvTile(*tile), bits.memory))
        return read._replace(cached="a" in self.cached)

    def b(self, tile: Sizes) -> AccessPattern:
        """Return how a tile's part of B lies in memory."""
        if "b" in self.resident:
            return ON_CHIP
        bits = self.widths.of("b")
        read = bits.with_scales(self._tensors[1].part(self, ConvTile(*tile), bits.memory))
        return read._replace(cached="b" in self.cached)

    def c(self, tile: Sizes, bits: int) -> AccessPattern:
        """Return how a tile's outputs, or its partial sums, of `bits` each lie in memory."""
        read = self._tensors[2].part(self, ConvTile(*tile), bits)
        return read._replace(write=True, cached="c" in self.cached)

    def a_size(self, tile: Sizes) -> int:
        """Return the bytes of a tile's part of A in the scratchpad."""
        bits = self.widths.of("a")
        part = self._tensors[0].part(self, ConvTile(*tile), bits.scratchpad)
        return bits.with_scales(part).bytes

    def b_size(self, tile: Sizes) -> int:
        """Return the bytes of a tile's part of B in the scratchpad."""
        bits = self.widths.of("b")
        part = self._tensors[1].part(self, ConvTile(*tile), bits.scratchpad)
        return bits.with_scales(part).bytes

    def grid_cycles(self, array: Accelerator, cuts: dict[str, list[tuple[int, int]]]) -> int:
        """Return the cycles of all tiles, cut into (size, count) along every axis."""
        total = 0
        for pieces in product(*cuts.values()):
            tile = tuple(size for size, _ in pieces)
            total += prod(count for _, count in pieces) * self.cycles(array, tile)
        return total

    def folds(self, _array: Accelerator) -> None:
        """Return nothing: tiles of a convolution are counted one by one."""

    def sum_bytes(self, tile: Sizes) -> int:
        """Return the bytes that a tile's partial sums take in the accumulator."""
        part = ConvTile(*tile)
        outer = part.channel * part.taps if self.taps.weight_gradient else part.pixels
        return part.filter * outer * self.widths.sum // 8

    def cycles(self, array: Accelerator, tile: Sizes) -> int:
        """Return the cycles of a tile: every tap is a product of its own."""
        part = ConvTile(*tile)
        return part.taps * tile_cycles(array, self._one_tap(part), self.dataflow)

    def products(self, tile: Sizes) -> tuple[int, Dims]:
        """Return the taps of a tile, and the product that each is."""
        part = ConvTile(*tile)
        return part.taps, self._one_tap(part)

    def skipped_cycles(self, _array: Accelerator, _tile: Sizes) -> int:
        """Return that a dense convolution spares nothing."""
        return 0

    def accesses(self, array: Accelerator, tile: Sizes) -> Accesses:
        """Return the words between the array and its memories for a tile."""
        part = ConvTile(*tile)
        words = self.dataflow.accesses(array, self._one_tap(part))
        return Accesses(*(part.taps * count for count in words))

    def _one_tap(self, tile: ConvTile) -> Dims:
        if self.taps.weight_gradient:
            return self.dataflow.weight_gradient(tile.filter, tile.channel, tile.pixels)
        cycles = in_commands(tile.col, *self.command)  # a command streams pixels of one row
        return Dims(tile.image * tile.row * cycles, tile.filter, tile.channel)

    @property
    def _tensors(self) -> tuple[_TensorAxes, _TensorAxes, _TensorAxes]:
        """Operands A and B and the result."""
        return _OPERANDS.get(self.taps.role, _FORWARD_OPERANDS)

    def _source(self, tile: ConvTile, bits: int) -> AccessPattern:
        """Return how the receptive field of a tile's pixels lies in the map that is read."""
        rows = self.taps.rows.needed(tile.row, tile.tap_row)
        cols, width = self.taps.cols.needed(tile.col, tile.tap_col), self.taps.cols.size
        part = MapPart(
            tile.image, rows, cols, tile.channel, width, self.whole.channel, cols >= width
        )
        return self.layout.of_map(part, bits, self.word_bits)

    def _produced(self, tile: ConvTile, bits: int) -> AccessPattern:
        """Return how a tile's pixels lie in the other map."""
        whole = self.whole
        part = MapPart(
            tile.image, tile.row, tile.col, tile.filter, whole.col, whole.filter,
            tile.col >= whole.col,
        )  # fmt: skip
        return self.layout.of_map(part, bits, self.word_bits)

    def _weights(self, tile: ConvTile, bits: int) -> AccessPattern:
        """Return how a tile's weights lie in memory; whole weight tiles are a run for each load."""
        if self.weight_tile:
            channels, filters = self.weight_tile
            tiles = ceil_div(tile.channel, channels) * ceil_div(tile.filter, filters)
            size = ceil_div(tiles * channels * filters * tile.taps * bits, 8)
            return sequential(size, write=False)
        whole = self.whole
        part = WeightPart(
            tile.filter * tile.channel * tile.taps, tile.filter, whole.filter,
            whole.filter * whole.channel * whole.taps, self.taps.role is not Role.DGRAD,
        )  # fmt: skip
        return self.layout.of_weights(part, bits)


_SOURCE = _TensorAxes(
    frozenset({"image", "row", "col", "channel", "tap_row", "tap_col"}), ConvShape._source
)
_WEIGHTS = _TensorAxes(frozenset({"filter", "channel", "tap_row", "tap_col"}), ConvShape._weights)
_PRODUCED = _TensorAxes(frozenset({"image", "row", "col", "filter"}), ConvShape._produced)
_FORWARD_OPERANDS = _SOURCE, _WEIGHTS, _PRODUCED
_OPERANDS = {Role.WGRAD: (_PRODUCED, _SOURCE, _WEIGHTS)}
