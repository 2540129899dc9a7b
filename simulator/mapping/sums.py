"""Cycles and bytes of all tiles of a mapping, summed axis by axis instead of tile by tile."""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import NamedTuple

from simulator.activity import ON_CHIP, AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping, Sizes, block, cut, reloads
from simulator.mapping.problem import ProblemShape
from simulator.memo import Memo, remember

Pieces = list[tuple[AccessPattern, int]]
"""Different accesses of an operand's tiles, and how many there are of each."""


class Totals(NamedTuple):
    """Cycles and bytes of one repeat of an operation."""

    cycles: int
    read_bytes: int
    write_bytes: int


class MappingTraffic(NamedTuple):
    """A mapping, the bytes that it moves in one repeat, and its footprint on chip.

    `overlapped_read_bytes` are read while the array computes; preloads are not. `reloads`: how
    often A and B are loaded in full.
    """

    mapping: Mapping
    read_bytes: int
    write_bytes: int
    overlapped_read_bytes: int
    footprint: tuple[int, int, int]
    reloads: tuple[int, int]


class _OperandTraffic(NamedTuple):
    """An operand or the output: which axes it has, and how a tile's part lies in memory."""

    name: str
    indices: tuple[int, ...]
    pattern: Callable[[Sizes], AccessPattern]

    def size(self, tile: Sizes) -> int:
        """Return the bytes that a tile moves."""
        return self.pattern(tile).bytes


class TileTraffic:
    """Traffic of an operation whose mappings cut every axis once and spill nothing.

    It depends on the operation alone, so that all arrays and memories share it. `preloaded`
    operands are loaded whole before the first tile.
    """

    def __init__(self, shape: ProblemShape, preloaded: tuple[str, ...] = ()) -> None:
        """Count for tiles of `shape`."""
        self.shape, self.preloaded = shape, preloaded
        self.axes = tuple(shape.extents)
        self.whole = tuple(shape.extents.values())
        output = shape.widths.output
        self._a = self._operand("a", shape.a_axes, shape.a)
        self._b = self._operand("b", shape.b_axes, shape.b)
        self._c = self._operand("c", shape.c_axes, lambda tile: self._stored(tile, output))
        inputs = (self._a, self._b)
        self._streamed = [operand for operand in inputs if operand.name not in preloaded]
        self.least_bytes = sum(each.size(self.whole) for each in (*inputs, self._c))
        self.preloads = [each.pattern(self.whole) for each in inputs if each.name in preloaded]
        self._mappings: Memo[list[MappingTraffic]] = Memo("mappings of a tile", _TILES)
        self.end_bytes = remember("end bytes of a tile", most=_TILES)(self._end_bytes)
        self._bytes: Memo[int] = Memo("bytes of an operand", _TILES)
        self._pieces: Memo[Pieces] = Memo("pieces of an operand", _TILES)

    def _stored(self, tile: Sizes, bits: int) -> AccessPattern:
        return ON_CHIP if "c" in self.shape.resident else self.shape.c(tile, bits)

    def of_mappings(
        self, tile: Sizes, mappings: Callable[[], Iterable[Mapping]]
    ) -> list[MappingTraffic]:
        """Return the traffic of the `mappings` with this tile."""
        return self._mappings.get(tile, lambda: [self.of(tile, each) for each in mappings()])

    def of(self, tile: Sizes, mapping: Mapping) -> MappingTraffic:
        """Return the traffic of a mapping with this `tile`."""
        often = self._reloads("a", mapping), self._reloads("b", mapping)
        a, b = often[0] * self._all_bytes(self._a, tile), often[1] * self._all_bytes(self._b, tile)
        overlapped = sum(size for name, size in (("a", a), ("b", b)) if name not in self.preloaded)
        c = self._all_bytes(self._c, tile)
        return MappingTraffic(mapping, a + b, c, overlapped, footprint(self.shape, mapping), often)

    def loads(self, tile: Sizes, traffic: MappingTraffic) -> list[tuple[int, Pieces]]:
        """Return, of each operand that is not preloaded, how often it is loaded in full, and its
        different tiles, the first one first.
        """
        return [
            (traffic.reloads["ab".index(operand.name)], self._different(operand, tile))
            for operand in self._streamed
        ]

    def stores(self, tile: Sizes) -> Pieces:
        """Return the different stores, the last one last."""
        return self._different(self._c, tile)

    def last_tile(self, tile: Sizes) -> Sizes:
        """Return the last tile along every axis, which is the smallest."""
        return tuple([n % step or step for n, step in zip(self.whole, tile, strict=True)])

    def _operand(
        self, name: str, axes: frozenset[str], pattern: Callable[[Sizes], AccessPattern]
    ) -> _OperandTraffic:
        indices = tuple(i for i, axis in enumerate(self.axes) if axis in axes)
        return _OperandTraffic(name, indices, pattern)

    def _end_bytes(self, tile: Sizes) -> int:
        """Return the bytes loaded before the first computation or stored after the last."""
        a, b = (self.whole if name in self.preloaded else tile for name in "ab")
        return self._a.size(a) + self._b.size(b) + self._c.size(self.last_tile(tile))

    def _reloads(self, name: str, mapping: Mapping) -> int:
        if name in self.preloaded:
            return 1
        if name == "a":
            return reloads(self.shape, mapping, self.shape.a_axes, mapping.a_from)
        return reloads(self.shape, mapping, self.shape.b_axes, mapping.b_from)

    def _all_bytes(self, operand: _OperandTraffic, tile: Sizes) -> int:
        """Return the bytes of all tiles of an operand, which its own axes alone decide."""
        if operand.name in self.preloaded:
            return operand.size(self.whole)
        key = operand.name, *(tile[i] for i in operand.indices)
        return self._bytes.get(
            key,
            lambda: sum(count * operand.size(sizes) for sizes, count in self._over(operand, tile)),
        )

    def _different(self, operand: _OperandTraffic, tile: Sizes) -> Pieces:
        """Return the different tiles of an operand."""
        key = operand.name, *(tile[i] for i in operand.indices)
        return self._pieces.get(
            key,
            lambda: [(operand.pattern(sizes), count) for sizes, count in self._over(operand, tile)],
        )

    def _over(self, operand: _OperandTraffic, tile: Sizes) -> Iterator[tuple[Sizes, int]]:
        """Yield each different tile along an operand's axes (1 along others), and their number."""
        sizes = [1] * len(tile)
        for pieces in product(*(cut(self.whole[i], tile[i]) for i in operand.indices)):
            count = 1
            for i, (size, times) in zip(operand.indices, pieces, strict=True):
                sizes[i] = size
                count *= times
            yield tuple(sizes), count


# Guesses, enough for a sweep over arrays and memories of all sizes: tiles of an operation, of 2 kB
# with their mappings, and operations of one trace.
_TILES = 256
_SHAPES = 256
_TRAFFIC: Memo[TileTraffic] = Memo("traffic of shapes", _SHAPES)


def traffic_of(shape: ProblemShape, preloaded: tuple[str, ...] = ()) -> TileTraffic:
    """Return the traffic of tiles of `shape`; equal shapes share one object."""
    return _TRAFFIC.get((shape.key, preloaded), lambda: TileTraffic(shape, preloaded))


def footprint(shape: ProblemShape, mapping: Mapping) -> tuple[int, int, int]:
    """Return the bytes of one copy of the blocks of A, of B and of the sums that stay on chip."""
    blocks = [block(shape, mapping, level) for level in mapping.reuse_levels]
    a = 0 if "a" in mapping.preloaded else shape.a_size(blocks[0])
    b = 0 if "b" in mapping.preloaded else shape.b_size(blocks[1])
    return a, b, shape.sum_bytes(blocks[2])


class TileSums:
    """TileSums over the tiles of an operation on one array, axis by axis; see `TileTraffic`."""

    def __init__(
        self, array: Accelerator, shape: ProblemShape, preloaded: tuple[str, ...] = ()
    ) -> None:
        """Sum over tiles of `shape` on `array`."""
        self.traffic = traffic_of(shape, preloaded)
        self._array, self._shape = array, self.traffic.shape
        folds = shape.folds(array)
        grid_cycles = remember("cycles of a grid", most=_TILES)(self._grid_cycles)
        self.cycles = folds.cycles if folds else grid_cycles

    def _grid_cycles(self, tile: Sizes) -> int:
        """Return the cycles of all tiles, in whatever order."""
        axes = zip(self.traffic.axes, self.traffic.whole, tile, strict=True)
        cuts = {axis: cut(size, step) for axis, size, step in axes}
        return self._shape.grid_cycles(self._array, cuts)

    def totals(self, tile: Sizes, mapping: Mapping) -> Totals:
        """Return the sums over all tiles of a mapping with this `tile`."""
        traffic = self.traffic.of(tile, mapping)
        return Totals(self.cycles(tile), traffic.read_bytes, traffic.write_bytes)
