"""A product or convolution with zeros on one array: what is stored of it, and what is skipped."""

from collections.abc import Hashable, Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import ceil, prod

from simulator.activity import AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping, Sizes
from simulator.mapping.problem import Epilogue, ProblemShape, TileSpace, Widths
from simulator.mapping.rule import MappingRule
from simulator.sparsity import BlockPattern, GroupPattern
from simulator.timing.dataflows import Accesses, Dataflow, Dims
from simulator.timing.sparsity import CommandShares, shares_of, skipping_cycles
from simulator.trace.op import Gemm
from simulator.trace.sparsity import SparseOperand

_ALL = Fraction(1)


def with_zeros(shape: ProblemShape, gemm: Gemm, array: Accelerator) -> ProblemShape:
    """Return `shape`, that of `gemm` on `array`, with the zeros of its matrices.

    Memory has their values and indices, on every machine; what the array cannot skip is expanded on
    its way into the scratchpad, for free (a guess).
    """
    sparse = gemm.sparsity.by_name
    if not sparse:
        return shape
    usable = {name: each for name, each in sparse.items() if _is_usable(array, each)}
    dims = Dims(gemm.m, gemm.n, gemm.k)
    blocks = shares_of(array, shape.dataflow, dims, usable.values())
    groups = [each for each in usable.values() if isinstance(each.pattern, GroupPattern)]
    reduction = min((each.density for each in groups), default=_ALL)
    operands = tuple((name, each._replace(index_at=-1)) for name, each in sparse.items())
    return SparseShape(shape, operands, frozenset(usable), blocks, reduction)


def _is_usable(array: Accelerator, operand: SparseOperand) -> bool:
    """Return whether an array skips zeros of an operand: N of M along the reduction, or blocks."""
    if isinstance(operand.pattern, BlockPattern):
        return array.sparsity.blocks
    return operand.rows == "k" and array.sparsity.takes(operand.pattern)


@dataclass(frozen=True, slots=True, eq=False)
class SparseShape:
    """A dense shape whose tiles are expected to have their share of the zeros.

    Tiles are those of the dense shape. `operands` are the matrices with zeros, of which those of
    `compressed` stay so in the scratchpad. Of the array's commands `shares` have something to do;
    a reduction has `reduction` of its length. A dense operand is loaded whole.
    """

    dense: ProblemShape
    operands: tuple[tuple[str, SparseOperand], ...]
    compressed: frozenset[str]
    shares: CommandShares
    reduction: Fraction

    @property
    def key(self) -> Hashable:
        """What makes two shapes equal."""
        return self.dense.key, self.operands, self.compressed, self.shares, self.reduction

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the array executes in all repeats."""
        return round(self.dense.macs * self.reduction * self.shares.commands)

    @property
    def skipped_macs(self) -> int:
        """Multiply-accumulates beside, which zeros spare it."""
        return self.dense.macs - self.macs

    def a(self, tile: Sizes) -> AccessPattern:
        """Return how a tile's part of A lies in memory."""
        return self._stored("a", self.dense.a(tile))

    def b(self, tile: Sizes) -> AccessPattern:
        """Return how a tile's part of B lies in memory."""
        return self._stored("b", self.dense.b(tile))

    def c(self, tile: Sizes, bits: int) -> AccessPattern:
        """Return how a tile's outputs lie in memory, those that are kept."""
        made = dict(self.operands).get("c")
        whole = self.dense.c(tile, bits)
        return whole if made is None else _smaller(whole, made.density)

    def a_size(self, tile: Sizes) -> int:
        """Return the bytes of a tile's part of A in the scratchpad."""
        return self._in_scratchpad("a", self.dense.a_size(tile))

    def b_size(self, tile: Sizes) -> int:
        """Return the bytes of a tile's part of B in the scratchpad."""
        return self._in_scratchpad("b", self.dense.b_size(tile))

    def _stored(self, name: str, whole: AccessPattern) -> AccessPattern:
        each = dict(self.operands).get(name)
        return whole if each is None else _smaller(whole, each.stored(self.widths.of(name).memory))

    def _in_scratchpad(self, name: str, whole: int) -> int:
        if name not in self.compressed:
            return whole
        return ceil(whole * dict(self.operands)[name].stored(self.widths.of(name).scratchpad))

    def products(self, tile: Sizes) -> tuple[int, Dims]:
        """Return how many equal products a tile is on the array, and their dimensions there."""
        count, dims = self.dense.products(tile)
        return count, dims._replace(k=ceil(dims.k * self.reduction))

    def cycles(self, array: Accelerator, tile: Sizes) -> int:
        """Return the expected cycles of a tile."""
        count, dims = self.products(tile)
        return count * skipping_cycles(array, dims, self.dataflow, self.shares)

    def skipped_cycles(self, array: Accelerator, tile: Sizes) -> int:
        """Return the cycles that zeros spare the array in a tile."""
        return self.dense.cycles(array, tile) - self.cycles(array, tile)

    def grid_cycles(self, array: Accelerator, cuts: dict[str, list[tuple[int, int]]]) -> int:
        """Return the cycles of all tiles, cut into (size, count) along every axis."""
        total = 0
        for pieces in product(*cuts.values()):
            tile = tuple(size for size, _ in pieces)
            total += prod(count for _, count in pieces) * self.cycles(array, tile)
        return total

    def folds(self, _array: Accelerator) -> None:
        """Return nothing: each tile's expected cycles are rounded up."""

    def accesses(self, array: Accelerator, tile: Sizes) -> Accesses:
        """Return the words between the array and its memories for a tile: of an operand that
        streams those of the commands with something to do, of one that stays those of the folds. An
        array that shrinks a reduction reads all of the other operand, and selects from it.
        """
        count, dims = self.products(tile)
        words, stream = self.dataflow.accesses(array, dims), self.dataflow.axes.stream
        a, b = (_ALL if self._shrinks(name) else 1 / self.reduction for name in "ab")
        shares = [
            self.shares.commands if stream in axes else self.shares.folds
            for axes in ("mk", "kn", "mn")
        ]
        each = zip(words, (a, b, _ALL), shares, strict=True)
        return Accesses(*(ceil(count * n * more * share) for n, more, share in each))

    def _shrinks(self, name: str) -> bool:
        """Return whether the array reads nothing but the N of M values of an operand."""
        patterns = {each: operand.pattern for each, operand in self.operands}
        return name in self.compressed and isinstance(patterns[name], GroupPattern)

    # What zeros do not change.

    @property
    def repeats(self) -> int:
        """How often the operation runs: for every member of a batch in every pass."""
        return self.dense.repeats

    @property
    def widths(self) -> Widths:
        """Bits of its operands, outputs and sums."""
        return self.dense.widths

    @property
    def epilogue(self) -> Epilogue | None:
        """What happens to its outputs on their way to memory, None for nothing."""
        return self.dense.epilogue

    @property
    def resident(self) -> frozenset[str]:
        """Which of "a", "b" and "c" lie in the scratchpad before or after, and never move."""
        return self.dense.resident

    @property
    def dataflow(self) -> Dataflow:
        """How the array computes a tile."""
        return self.dense.dataflow

    @property
    def text(self) -> str:
        """The operation in words, for messages."""
        return self.dense.text

    @property
    def letters(self) -> Table[str, str]:
        """Its axes by Timeloop's letters: R S P Q C K N."""
        return self.dense.letters

    @property
    def sums_weights(self) -> bool:
        """Whether outputs are weights, which are summed in the weight buffer if there is one."""
        return self.dense.sums_weights

    @property
    def extents(self) -> dict[str, int]:
        """Size along every axis."""
        return self.dense.extents

    @property
    def a_axes(self) -> frozenset[str]:
        """Axes along which operand A changes."""
        return self.dense.a_axes

    @property
    def b_axes(self) -> frozenset[str]:
        """Axes along which operand B changes."""
        return self.dense.b_axes

    @property
    def c_axes(self) -> frozenset[str]:
        """Axes along which the outputs change; along all others they are sums."""
        return self.dense.c_axes

    def space(self, array: Accelerator) -> TileSpace:
        """Return the tiles and loop orders to consider on `array`."""
        return self.dense.space(array)

    def under(self, rule: MappingRule, array: Accelerator) -> Iterable[Mapping]:
        """Return the mappings that a machine's own rule considers."""
        return self.dense.under(rule, array)

    def sum_bytes(self, tile: Sizes) -> int:
        """Return the bytes of a tile's partial sums in the accumulator."""
        return self.dense.sum_bytes(tile)


def _smaller(pattern: AccessPattern, share: Fraction) -> AccessPattern:
    """Return the pattern of a matrix of which memory has `share`, packed row by row."""
    run = ceil(pattern.run * share)
    pitch = max(run, ceil(pattern.pitch * share))
    row = min(pattern.row, run) if pattern.row else 0
    return pattern._replace(bytes=ceil(pattern.bytes * share), run=run, pitch=pitch, row=row)
