"""Cycles and bytes of all tiles of a mapping, summed axis by axis instead of tile by tile."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from typing import NamedTuple

from simulator.activity import ON_CHIP, AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping, Sizes, cut, reloads
from simulator.mapping.memories import Demand, demand
from simulator.mapping.problem import ProblemShape
from simulator.mapping.spills import spills
from simulator.memo import Memo, remember
from simulator.timing.pricing import permille_written

Pieces = list[tuple[AccessPattern, int]]
"""Different accesses of an operand's tiles, and how many there are of each."""


class Totals(NamedTuple):
    """Cycles and bytes of one repeat of an operation."""

    cycles: int
    read_bytes: int
    write_bytes: int


class MappingTraffic(NamedTuple):
    """A mapping, the bytes that it moves in one repeat, and those that it needs on chip.

    `written`: the permille of writes in its traffic beside computations. `reloads`: how often each
    operand that is not preloaded is loaded in full, `spills`: how often sums are stored and loaded
    back. `number`: its place among those of its tile.
    """

    mapping: Mapping
    moved_bytes: int
    write_bytes: int
    written: int
    demand: Demand
    reloads: tuple[int, ...]
    spills: int
    number: int = 0


class _OperandTraffic(NamedTuple):
    """An operand or the output: which axes it has, and how a tile's part lies in memory."""

    name: str
    indices: tuple[int, ...]
    pattern: Callable[[Sizes], AccessPattern]

    def size(self, tile: Sizes) -> int:
        """Return the bytes that a tile moves."""
        return self.pattern(tile).bytes


class TileTraffic:
    """Traffic of an operation whose mappings cut every axis once.

    It depends on the operation alone, so that all arrays and memories share it: those with a
    `weight_buffer`, or those without. `preloaded` operands are loaded whole before the first tile.
    """

    def __init__(
        self, shape: ProblemShape, preloaded: tuple[str, ...] = (), *, weight_buffer: bool = False
    ) -> None:
        """Count for tiles of `shape`."""
        self.shape, self.preloaded, self.weight_buffer = shape, preloaded, weight_buffer
        self.axes = tuple(shape.extents)
        self.whole = tuple(shape.extents.values())
        output = shape.widths.output
        self._a = self._operand("a", shape.a_axes, shape.a)
        self._b = self._operand("b", shape.b_axes, shape.b)
        self._c = self._operand("c", shape.c_axes, lambda tile: self._stored(tile, output))
        partial = shape.widths.sum
        self._sums = self._operand("sums", shape.c_axes, lambda tile: shape.c(tile, partial))
        inputs = (self._a, self._b)
        self._streamed = [operand for operand in inputs if operand.name not in preloaded]
        self.least_bytes = sum(each.size(self.whole) for each in (*inputs, self._c))
        self.preloads = [each.pattern(self.whole) for each in inputs if each.name in preloaded]
        self._preloaded_bytes = sum(pattern.bytes for pattern in self.preloads)
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
        return self._mappings.get(
            tile, lambda: [self.of(tile, each, place) for place, each in enumerate(mappings())]
        )

    def of(self, tile: Sizes, mapping: Mapping, number: int = 0) -> MappingTraffic:
        """Return the traffic of a mapping with this `tile`, among whose mappings it has a place."""
        often = tuple([self._reloads(operand, mapping) for operand in self._streamed])
        streamed_bytes = sum(
            [
                times * self._all_bytes(operand, tile)
                for operand, times in zip(self._streamed, often, strict=True)
            ]
        )
        c, often_spilled = self._all_bytes(self._c, tile), spills(self.shape, mapping)
        if often_spilled:
            spilled_bytes = often_spilled * self._all_bytes(self._sums, tile)
            streamed_bytes, c = streamed_bytes + spilled_bytes, c + spilled_bytes
        return MappingTraffic(
            mapping,
            self._preloaded_bytes + streamed_bytes + c,
            c,
            permille_written(streamed_bytes, c),
            demand(self.shape, mapping, weight_buffer=self.weight_buffer),
            often,
            often_spilled,
            number,
        )

    def loads(self, tile: Sizes) -> list[Pieces]:
        """Return the different loads of each operand that is not preloaded, the first one first."""
        return [self._different(operand, tile) for operand in self._streamed]

    def stores(self, tile: Sizes) -> Pieces:
        """Return the different stores, the last one last."""
        return self._different(self._c, tile)

    def spilled(self, tile: Sizes) -> Pieces:
        """Return the different stores of partial sums."""
        return self._different(self._sums, tile)

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

    def _reloads(self, operand: _OperandTraffic, mapping: Mapping) -> int:
        if operand.name == "a":
            return reloads(self.shape, mapping, self.shape.a_axes, mapping.a_from)
        return reloads(self.shape, mapping, self.shape.b_axes, mapping.b_from)

    def _all_bytes(self, operand: _OperandTraffic, tile: Sizes) -> int:
        """Return the bytes of all tiles of an operand, which its own axes alone decide."""
        key = operand.name, *(tile[i] for i in operand.indices)
        return self._bytes.get(
            key,
            lambda: sum(n * operand.size(sizes) for sizes, n in self._over(operand, tile)),
        )

    def _different(self, operand: _OperandTraffic, tile: Sizes) -> Pieces:
        """Return the different tiles of an operand."""
        key = operand.name, *(tile[i] for i in operand.indices)
        return self._pieces.get(
            key,
            lambda: [(operand.pattern(sizes), n) for sizes, n in self._over(operand, tile)],
        )

    def _over(self, operand: _OperandTraffic, tile: Sizes) -> Iterator[tuple[Sizes, int]]:
        """Yield each different tile along an operand's axes (1 along others), and their number."""
        sizes = [1] * len(tile)
        for pieces in product(*(cut(self.whole[i], tile[i]) for i in operand.indices)):
            occurrences = 1
            for i, (size, times) in zip(operand.indices, pieces, strict=True):
                sizes[i] = size
                occurrences *= times
            yield tuple(sizes), occurrences


# Guesses, enough for a sweep over arrays and memories of all sizes: tiles of an operation, of 2 kB
# with their mappings, and operations of one trace.
_TILES = 256
_SHAPES = 256
_TRAFFIC: Memo[TileTraffic] = Memo("traffic of shapes", _SHAPES)


def traffic_of(
    shape: ProblemShape,
    preloaded: tuple[str, ...] = (),
    *,
    weight_buffer: bool = False,
    spill: bool = False,
    single_buffer: bool = False,
) -> TileTraffic:
    """Return the traffic of tiles of `shape`; equal shapes with equal mappings share one object."""
    return _TRAFFIC.get(
        (shape.key, preloaded, weight_buffer, spill, single_buffer),
        lambda: TileTraffic(shape, preloaded, weight_buffer=weight_buffer),
    )


class TileSums:
    """Sums over the tiles of an operation on one array, axis by axis; see `TileTraffic`."""

    def __init__(self, array: Accelerator, traffic: TileTraffic) -> None:
        """Sum over tiles of an operation with this `traffic` on `array`."""
        self.traffic = traffic
        folds = traffic.shape.folds(array)
        # No method of this object, which would make a cycle with what remembers it.
        grid_cycles = remember("cycles of a grid", most=_TILES)(
            partial(_grid_cycles, array, traffic)
        )
        self.cycles = folds.cycles if folds else grid_cycles

    def totals(self, tile: Sizes, mapping: Mapping) -> Totals:
        """Return the sums over all tiles of a mapping with this `tile`."""
        traffic = self.traffic.of(tile, mapping)
        read_bytes = traffic.moved_bytes - traffic.write_bytes
        return Totals(self.cycles(tile), read_bytes, traffic.write_bytes)


def _grid_cycles(array: Accelerator, traffic: TileTraffic, tile: Sizes) -> int:
    """Return the cycles of all tiles, in whatever order."""
    axes = zip(traffic.axes, traffic.whole, tile, strict=True)
    cuts = {axis: cut(size, step) for axis, size, step in axes}
    return traffic.shape.grid_cycles(array, cuts)
