"""What the mapper must know of the operation that it maps: Timeloop's problem shape."""

from collections.abc import Hashable, Iterable, Iterator
from collections.abc import Mapping as Table
from typing import NamedTuple, Protocol

from simulator.activity import AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import IterationSpace, Mapping, Sizes
from simulator.mapping.rule import MappingRule
from simulator.timing.dataflows import Accesses, Dataflow, Dims
from simulator.timing.systolic import Folds
from simulator.units import ceil_div


class Widths(NamedTuple):
    """Bits of an operand as the array computes, of an output in memory, and of a partial sum.

    `a` and `b` say how the operands lie in memory and scratchpad, where not as the array computes.
    """

    operand: int
    output: int
    sum: int = 32
    a: "OperandBits | None" = None
    b: "OperandBits | None" = None

    def of(self, name: str) -> "OperandBits":
        """Return the widths of operand "a" or "b"."""
        return (self.a if name == "a" else self.b) or OperandBits(self.operand, self.operand)


class OperandBits(NamedTuple):
    """Bits of an element of an operand in memory, and in the scratchpad where the DMA engine, or
    the edge of the array, converts it. With a `block`, so many elements share a scale of 8 bits.
    """

    memory: int
    scratchpad: int
    block: int = 0

    def bytes_in_memory(self, elements: int) -> int:
        """Return the whole bytes of so many elements, and of their scales."""
        return ceil_div(elements * self.memory, 8) + self.scales(elements)

    def bytes_on_chip(self, elements: int) -> int:
        """Return the whole bytes of so many elements in the scratchpad, and of their scales."""
        return ceil_div(elements * self.scratchpad, 8) + self.scales(elements)

    def scales(self, elements: int) -> int:
        """Return the bytes of the scales of so many elements."""
        return ceil_div(elements, self.block) if self.block else 0

    def with_scales(self, pattern: AccessPattern) -> AccessPattern:
        """Return the pattern of elements in memory with their scales, which lie behind each run."""
        if not self.block:
            return pattern
        size, run, pitch = (each + self.scales(each * 8 // self.memory) for each in pattern[:3])
        return pattern._replace(bytes=size, run=run, pitch=pitch)


class Epilogue(NamedTuple):
    """What a vector unit does to each output on its way to memory.

    It reads other tensors of the same shape with `reads` bits per element, which are added up in
    the accumulator, and writes tensors with `writes` bits; between them it takes `millioperations`
    per output.
    """

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    millioperations: int


class TileLevel(NamedTuple):
    """Tiles that are considered together; those of later levels are not if one of a `last` fits."""

    tiles: list[Sizes]
    last: bool


class TileNeeds(NamedTuple):
    """Bytes of a tile's operands, which all memories share, and of its sums in the accumulator."""

    operands: int
    sums: int

    def within(self, room: "TileNeeds") -> bool:
        """Return whether there is room for both."""
        return self.operands <= room.operands and self.sums <= room.sums


class TileSpace(Protocol):
    """The tiles and loop orders of one operation on one array that the mapper considers.

    Sizes of the array's memories decide which of them fit, and nothing else but `whole_folds`.
    """

    @property
    def whole_folds(self) -> bool:
        """Whether tiles are made of whole folds, because the operands fit the scratchpad."""

    @property
    def most_levels(self) -> int:
        """How many levels with a tile that fits are considered."""

    def levels(self) -> Iterator[TileLevel]:
        """Yield the tiles level by level."""

    def needs(self, tile: Sizes) -> TileNeeds:
        """Return what a tile takes, whatever stays: 0 where its mappings say it better."""

    def mappings(self, tile: Sizes) -> Iterator[Mapping]:
        """Yield the loop orders of a tile, whether they fit or not; the same on every array."""

    def smallest(self) -> list[Mapping]:
        """Return the mappings that need the least memory."""


class ProblemShape(IterationSpace, Protocol):
    """An operation as one array executes it: axes, operands in memory, cycles of a tile.

    Tiles are sizes along every axis, in the order of `extents`.
    """

    @property
    def repeats(self) -> int:
        """How often the operation runs: for every member of a batch in every pass."""

    @property
    def widths(self) -> Widths:
        """Bits of its operands, outputs and sums."""

    @property
    def epilogue(self) -> Epilogue | None:
        """What happens to its outputs on their way to memory, None for nothing."""

    @property
    def resident(self) -> frozenset[str]:
        """Which of "a", "b" and "c" lie in the scratchpad before or after, and never move."""

    @property
    def dataflow(self) -> Dataflow:
        """How the array computes a tile."""

    @property
    def key(self) -> Hashable:
        """What makes two shapes equal."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the array executes in all repeats."""

    @property
    def skipped_macs(self) -> int:
        """Multiply-accumulates beside, which zeros spare it."""

    @property
    def text(self) -> str:
        """The operation in words, for messages."""

    @property
    def letters(self) -> Table[str, str]:
        """Its axes by Timeloop's letters: R S P Q C K N."""

    @property
    def sums_weights(self) -> bool:
        """Whether outputs are weights, which are summed in the weight buffer if there is one."""

    def space(self, array: Accelerator) -> TileSpace:
        """Return the tiles and loop orders to consider on `array`."""

    def under(self, rule: MappingRule, array: Accelerator) -> Iterable[Mapping]:
        """Return the mappings that a machine's own rule considers."""

    def a(self, tile: Sizes) -> AccessPattern:
        """Return how a tile's part of A lies in memory."""

    def b(self, tile: Sizes) -> AccessPattern:
        """Return how a tile's part of B lies in memory."""

    def c(self, tile: Sizes, bits: int) -> AccessPattern:
        """Return how a tile's outputs, or its partial sums, of `bits` each lie in memory."""

    def a_size(self, tile: Sizes) -> int:
        """Return the bytes of a tile's part of A in the scratchpad."""

    def b_size(self, tile: Sizes) -> int:
        """Return the bytes of a tile's part of B in the scratchpad."""

    def sum_bytes(self, tile: Sizes) -> int:
        """Return the bytes of a tile's partial sums in the accumulator."""

    def products(self, tile: Sizes) -> tuple[int, Dims]:
        """Return how many equal products a tile is on the array, and their dimensions."""

    def cycles(self, array: Accelerator, tile: Sizes) -> int:
        """Return the cycles of a tile, without the fill that an operation adds once."""

    def skipped_cycles(self, array: Accelerator, tile: Sizes) -> int:
        """Return the cycles that zeros spare the array in a tile."""

    def grid_cycles(self, array: Accelerator, cuts: dict[str, list[tuple[int, int]]]) -> int:
        """Return the cycles of all tiles, cut into (size, count) along every axis."""

    def folds(self, array: Accelerator) -> Folds | None:
        """Return `grid_cycles` dimension by dimension, where it factors so on `array`."""

    def accesses(self, array: Accelerator, tile: Sizes) -> Accesses:
        """Return the words between the array and its memories for a tile."""
