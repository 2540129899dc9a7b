"""How feature maps and weights lie in memory: one object for each value of `accelerator.layout`."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from simulator.activity import AccessPattern, sequential
from simulator.units import ceil_div


class MapPart(NamedTuple):
    """A part of a feature map (images x rows x cols x channels) that is `width` columns and
    `depth` channels large; `full_rows`: it has all columns.
    """

    image: int
    row: int
    col: int
    channel: int
    width: int
    depth: int
    full_rows: bool

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return self.image * self.row * self.col * self.channel


class WeightPart(NamedTuple):
    """A part of the weights [tap, channel, filter], of `whole` elements and `depth` filters in
    all; `in_order`: they are used in the order in which they are kept.
    """

    elements: int
    filter: int
    depth: int
    whole: int
    in_order: bool


class TensorLayout(Protocol):
    """Where the elements of feature maps and weights are."""

    @property
    def blocked(self) -> bool:
        """Whether a tile is one run, of maps with their padding."""

    @property
    def whole_pixels(self) -> bool:
        """Whether all channels of a pixel are one run."""

    def of_map(self, part: MapPart, bits: int, word_bits: int) -> AccessPattern:
        """Return the reads of a part of a feature map, of `bits` per element."""

    def of_weights(self, part: WeightPart, bits: int) -> AccessPattern:
        """Return the reads of a part of the weights, of `bits` per element."""


@dataclass(frozen=True, slots=True)
class ChannelsLast:
    """[image, row, col, channel]."""

    blocked: bool = False
    whole_pixels: bool = True

    def of_map(self, part: MapPart, bits: int, _word_bits: int) -> AccessPattern:
        """Return a run per row where all channels are read, else per pixel."""
        if part.channel >= part.depth:
            run, pitch = part.col * part.channel, part.width * part.depth
        else:
            run, pitch = part.channel, part.depth
        return _map_runs(part, run, pitch, bits)._replace(row=ceil_div(part.channel * bits, 8))

    def of_weights(self, part: WeightPart, bits: int) -> AccessPattern:
        """Return a run per tap and channel."""
        return _weight_runs(part, bits)


@dataclass(frozen=True, slots=True)
class ChannelsFirst:
    """[image, channel, row, col]."""

    blocked: bool = False
    whole_pixels: bool = False

    def of_map(self, part: MapPart, bits: int, _word_bits: int) -> AccessPattern:
        """Return a run per row and channel."""
        pattern = _map_runs(part, part.col, part.width, bits)
        return pattern._replace(row=ceil_div(part.col * bits, 8))

    def of_weights(self, part: WeightPart, bits: int) -> AccessPattern:
        """Return a run per tap and channel."""
        return _weight_runs(part, bits)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Block of channels after block, in the order of use; a pixel's channels fill whole words."""

    blocked: bool = True
    whole_pixels: bool = False

    def of_map(self, part: MapPart, bits: int, word_bits: int) -> AccessPattern:
        """Return one run."""
        words = ceil_div(part.channel * bits, word_bits)
        pixels = part.image * part.row * part.col
        return sequential(pixels * words * word_bits // 8, write=False)

    def of_weights(self, part: WeightPart, bits: int) -> AccessPattern:
        """Return a part of one run over all weights; a run of its own where the order differs."""
        size = ceil_div(part.elements * bits, 8)
        run = max(size, ceil_div(part.whole * bits, 8)) if part.in_order else size
        return AccessPattern(size, run, run, write=False)


CHANNELS_LAST = ChannelsLast()
LAYOUTS: dict[str, TensorLayout] = {
    "channels_last": CHANNELS_LAST, "channels_first": ChannelsFirst(), "blocked": Blocked(),
}  # fmt: skip


def _map_runs(part: MapPart, run: int, pitch: int, bits: int) -> AccessPattern:
    """Return runs of a row or a pixel; full rows without a gap between them are one."""
    if part.full_rows and run == pitch:
        run = pitch = part.row * run
    return _runs(part.elements, run, pitch, bits)


def _weight_runs(part: WeightPart, bits: int) -> AccessPattern:
    if part.filter >= part.depth:
        pattern = sequential(ceil_div(part.elements * bits, 8), write=False)
    else:
        pattern = _runs(part.elements, part.filter, part.depth, bits)
    return pattern._replace(row=ceil_div(part.filter * bits, 8))


def _runs(elements: int, run: int, pitch: int, bits: int) -> AccessPattern:
    """Return `elements` in runs of `run`, `pitch` elements from start to start."""
    size = ceil_div(elements * bits, 8)
    if run >= elements or run == pitch:
        return sequential(size, write=False)
    run_bytes = ceil_div(run * bits, 8)
    return AccessPattern(size, run_bytes, max(run_bytes, pitch * bits // 8), write=False)
