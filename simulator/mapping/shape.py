"""A matrix product on one array: its operands in memory, as matrices or read in place."""

from collections.abc import Hashable, Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import ClassVar, NamedTuple

from simulator.activity import ON_CHIP, AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.gemm_space import GemmSpace
from simulator.mapping.loops import Mapping, Sizes
from simulator.mapping.problem import Epilogue, Widths
from simulator.mapping.rule import MappingRule
from simulator.mapping.window import Window
from simulator.timing.dataflows import WS, Accesses, Dataflow, Dims
from simulator.timing.systolic import Folds, grid_cycles, in_commands, tile_cycles
from simulator.units import ceil_div


@dataclass(frozen=True, slots=True, eq=False)
class GemmShape:
    """A GEMM as one array executes it: dimensions, widths, operands read in place.

    Tiles are (m, n, k). The same product runs `repeats` times, for every member of a batch in
    every pass. `blocked` matrices lie in memory block by block, so that a tile is one run.
    """

    repeats: int
    dims: Dims
    widths: Widths
    dataflow: Dataflow = WS
    window_a: Window | None = None
    window_b: Window | None = None
    blocked: bool = False
    scatter: Fraction = Fraction(1)  # elements that are written, for each output
    command: tuple[int, int] = (0, 0)  # most rows of one compute command, and its least cycles
    cached: frozenset[str] = frozenset()  # of "a", "b", "c": those that a shared cache serves
    epilogue: Epilogue | None = None
    resident: frozenset[str] = frozenset()  # of "a", "b", "c": those that stay in the scratchpad
    _bytes: dict[tuple[str, int, int], int] = field(default_factory=dict, repr=False)
    _extents: dict[str, int] = field(default_factory=dict, repr=False)

    a_axes = frozenset("mk")
    b_axes = frozenset("kn")
    c_axes = frozenset("mn")
    letters: ClassVar[Table[str, str]] = {"P": "m", "K": "n", "C": "k"}
    sums_weights = False
    skipped_macs = 0

    @property
    def key(self) -> Hashable:
        """What makes two shapes equal."""
        windows, array = (self.window_a, self.window_b), (self.dataflow.name, self.command)
        how = array, self.blocked, self.scatter.as_integer_ratio(), self.cached, windows
        return self.repeats, self.dims, self.widths, self.epilogue, self.resident, how

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

    def space(self, array: Accelerator) -> GemmSpace:
        """Return the tiles and loop orders to consider on `array`."""
        return GemmSpace(array, self)

    def under(self, rule: MappingRule, array: Accelerator) -> Iterable[Mapping]:
        """Return the mappings that a machine's own rule considers."""
        return rule.gemm(array, self)

    def a(self, tile: Sizes) -> AccessPattern:
        """Return how a tile's part of A lies in memory."""
        if "a" in self.resident:
            return ON_CHIP
        m, _, k = tile
        whole = self.blocked or self.window_a is not None or k >= self.dims.k or m == 1
        size = self._bytes_in_memory("a", m, k, self.a_size(tile))
        return rows_of(self._matrix("a"), size, k, whole=whole)

    def b(self, tile: Sizes) -> AccessPattern:
        """Return how a tile's part of B lies in memory."""
        if "b" in self.resident:
            return ON_CHIP
        _, n, k = tile
        whole = self.blocked or self.window_b is not None or n >= self.dims.n or k == 1
        size = self._bytes_in_memory("b", k, n, self.b_size(tile))
        return rows_of(self._matrix("b"), size, n, whole=whole)

    def c(self, tile: Sizes, bits: int) -> AccessPattern:
        """Return how a tile's outputs, or its partial sums, of `bits` each lie in memory."""
        m, n, _ = tile
        whole = self.blocked or n >= self.dims.n or m == 1
        more, each = self.scatter.as_integer_ratio()
        size = ceil_div(m * n * bits * more, 8 * each)
        matrix = Matrix(self.dims.n, bits, write=True, cached="c" in self.cached)
        return rows_of(matrix, size, n, whole=whole)

    def a_size(self, tile: Sizes) -> int:
        """Return the bytes of a tile's part of A in the scratchpad."""
        m, _, k = tile
        size = self._bytes.get(("a", m, k))
        return self._count_bytes("a", m, k) if size is None else size

    def b_size(self, tile: Sizes) -> int:
        """Return the bytes of a tile's part of B in the scratchpad."""
        _, n, k = tile
        size = self._bytes.get(("b", k, n))
        return self._count_bytes("b", k, n) if size is None else size

    def grid_cycles(self, array: Accelerator, cuts: dict[str, list[tuple[int, int]]]) -> int:
        """Return the cycles of all tiles, cut into (size, count) along every axis."""
        m = [(in_commands(size, *self.command), times) for size, times in cuts["m"]]
        return grid_cycles(array, (m, cuts["n"], cuts["k"]), self.dataflow)

    def folds(self, array: Accelerator) -> Folds | None:
        """Return `grid_cycles` factored by dimension; several arrays and dot products do not."""
        if array.arrays > 1 or array.dot_width > 1:
            return None
        return Folds(array, self.dims, self.dataflow, self.command)

    def sum_bytes(self, tile: Sizes) -> int:
        """Return the bytes that a tile's partial sums take in the accumulator."""
        return tile[0] * tile[1] * self.widths.sum // 8

    def cycles(self, array: Accelerator, tile: Sizes) -> int:
        """Return the cycles of a tile, without what an operation adds once."""
        m, n, k = tile
        return tile_cycles(array, Dims(in_commands(m, *self.command), n, k), self.dataflow)

    def products(self, tile: Sizes) -> tuple[int, Dims]:
        """Return the one product that a tile is on the array."""
        return 1, Dims(*tile)

    def skipped_cycles(self, _array: Accelerator, _tile: Sizes) -> int:
        """Return that a dense product spares nothing."""
        return 0

    def accesses(self, array: Accelerator, tile: Sizes) -> Accesses:
        """Return the words between the array and its memories for a tile."""
        return self.dataflow.accesses(array, Dims(*tile))

    def _count_bytes(self, name: str, rows: int, cols: int) -> int:
        size = self.widths.of(name).bytes_on_chip(self._elements(name, rows, cols))
        self._bytes[name, rows, cols] = size
        return size

    def _bytes_in_memory(self, name: str, rows: int, cols: int, stored: int) -> int:
        """Return the bytes in memory of a tile that takes `stored` bytes in the scratchpad."""
        bits = self.widths.of(name)
        if bits.memory == bits.scratchpad:
            return stored
        return bits.bytes_in_memory(self._elements(name, rows, cols))

    def _elements(self, name: str, rows: int, cols: int) -> int:
        window = self.window_a if name == "a" else self.window_b
        return rows * cols if window is None else window.elements(rows, cols)

    def _matrix(self, name: str) -> "Matrix":
        width = self.dims.k if name == "a" else self.dims.n
        bits = self.widths.of(name).memory
        return Matrix(width, bits, write=False, cached=name in self.cached)


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
