"""What all tiles of a mapping need together, summed axis by axis instead of tile by tile."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.convolution import ConvShape
from simulator.mapping.nest import Mapping, block, cut, rounds
from simulator.mapping.shape import GemmShape
from simulator.memo import Memo

Shape = GemmShape | ConvShape
Sizes = tuple[int, ...]
Moved = tuple[AccessPattern, int]


class Totals(NamedTuple):
    """Cycles and bytes of one repeat of an operation."""

    cycles: int
    read_bytes: int
    write_bytes: int


class Order(NamedTuple):
    """A mapping, the bytes that it moves in one repeat, and those that it keeps at one time.

    `beside_bytes` are those of the reads that come beside the computation, `kept` is what
    `kept_bytes` says, `often` how often A and B are loaded in full.
    """

    mapping: Mapping
    read_bytes: int
    write_bytes: int
    beside_bytes: int
    kept: tuple[int, int, int]
    often: tuple[int, int]


class _Part(NamedTuple):
    """A tile's part of an operand: which axes it has, and how it lies in memory."""

    name: str
    indices: tuple[int, ...]
    pattern: Callable[[Sizes], AccessPattern]

    def size(self, tile: Sizes) -> int:
        """Return the bytes that a tile moves."""
        return self.pattern(tile).bytes


class Moves:
    """What the tiles of an operation move that cuts every axis once and spills nothing.

    It depends on the operation alone, not on the array nor the memory, and so is kept for all of
    them. Operands that are `held` are loaded whole before the first tile.
    """

    def __init__(self, shape: Shape, held: tuple[str, ...] = ()) -> None:
        """Say what tiles of `shape` move."""
        self.shape, self.held = shape, held
        self.axes = tuple(shape.extents)
        self.whole = tuple(shape.extents.values())
        output = shape.widths.output
        self._a = self._part("a", shape.a_axes, shape.a)
        self._b = self._part("b", shape.b_axes, shape.b)
        self._c = self._part("c", shape.c_axes, lambda tile: shape.c(tile, output))
        self._streamed = [part for part in (self._a, self._b) if part.name not in held]
        self.least_bytes = sum(part.size(self.whole) for part in (self._a, self._b, self._c))
        self.held_loads = [
            part.pattern(self.whole) for part in (self._a, self._b) if part.name in held
        ]
        self._orders: Memo[list[Order]] = Memo("orders of a tile", _TILES)
        self.end_bytes = lru_cache(maxsize=_TILES)(self._end_bytes)
        self._bytes: Memo[int] = Memo("bytes of an operand", _TILES)
        self._pieces: Memo[list[Moved]] = Memo("pieces of an operand", _TILES)

    def _part(
        self, name: str, axes: frozenset[str], pattern: Callable[[Sizes], AccessPattern]
    ) -> _Part:
        indices = tuple(i for i, axis in enumerate(self.axes) if axis in axes)
        return _Part(name, indices, pattern)

    def _end_bytes(self, tile: Sizes) -> int:
        """Return the bytes loaded before the first computation or stored after the last."""
        a, b = (self.whole if name in self.held else tile for name in "ab")
        return self._a.size(a) + self._b.size(b) + self._c.size(self.last_tile(tile))

    def orders(self, tile: Sizes, mappings: Callable[[], Iterable[Mapping]]) -> list[Order]:
        """Return what the `mappings` with this tile move and keep."""
        return self._orders.get(tile, lambda: [self.order(tile, each) for each in mappings()])

    def order(self, tile: Sizes, mapping: Mapping) -> Order:
        """Return what a mapping with this `tile` moves and keeps."""
        often = self._often("a", mapping), self._often("b", mapping)
        a, b = often[0] * self._all_bytes(self._a, tile), often[1] * self._all_bytes(self._b, tile)
        beside = sum(size for name, size in (("a", a), ("b", b)) if name not in self.held)
        c = self._all_bytes(self._c, tile)
        return Order(mapping, a + b, c, beside, kept_bytes(self.shape, mapping), often)

    def loads(self, tile: Sizes, order: Order) -> list[tuple[int, list[Moved]]]:
        """Return, of each operand that is loaded beside the computation, how often it is in full,
        and its different tiles with their number, the first one first.
        """
        return [
            (order.often["ab".index(part.name)], self._different(part, tile))
            for part in self._streamed
        ]

    def stores(self, tile: Sizes) -> list[Moved]:
        """Return each different store and how often it happens, the last one last."""
        return self._different(self._c, tile)

    def last_tile(self, tile: Sizes) -> Sizes:
        """Return the last tile along every axis, which is the smallest."""
        return tuple([n % step or step for n, step in zip(self.whole, tile, strict=True)])

    def _often(self, name: str, mapping: Mapping) -> int:
        if name in self.held:
            return 1
        if name == "a":
            return rounds(self.shape, mapping, self.shape.a_axes, mapping.a_from)
        return rounds(self.shape, mapping, self.shape.b_axes, mapping.b_from)

    def _all_bytes(self, part: _Part, tile: Sizes) -> int:
        """Return the bytes of all tiles of an operand, which its own axes alone decide."""
        if part.name in self.held:
            return part.size(self.whole)
        key = part.name, *(tile[i] for i in part.indices)
        return self._bytes.get(
            key, lambda: sum(count * part.size(sizes) for sizes, count in self._over(part, tile))
        )

    def _different(self, part: _Part, tile: Sizes) -> list[Moved]:
        """Return how the different tiles of an operand lie, and their number."""
        key = part.name, *(tile[i] for i in part.indices)
        return self._pieces.get(
            key, lambda: [(part.pattern(sizes), count) for sizes, count in self._over(part, tile)]
        )

    def _over(self, part: _Part, tile: Sizes) -> Iterator[tuple[Sizes, int]]:
        """Yield each different tile along an operand's axes (1 along others), and their number."""
        sizes = [1] * len(tile)
        for chosen in product(*(cut(self.whole[i], tile[i]) for i in part.indices)):
            count = 1
            for i, (size, times) in zip(part.indices, chosen, strict=True):
                sizes[i] = size
                count *= times
            yield tuple(sizes), count


# Guesses, enough for a sweep over arrays and memories of all sizes: tiles of an operation, of 2 kB
# with their mappings, and operations of one trace.
_TILES = 256
_SHAPES = 256
_MOVES: Memo[Moves] = Memo("moves of a shape", _SHAPES)


def moves_of(shape: Shape, held: tuple[str, ...] = ()) -> Moves:
    """Return what tiles of `shape` move; equal shapes share one, whatever computes them."""
    return _MOVES.get((shape.key, held), lambda: Moves(shape, held))


def kept_bytes(shape: Shape, mapping: Mapping) -> tuple[int, int, int]:
    """Return the bytes of one copy of the block of A, of B and of the sums that stays."""
    blocks = [block(shape, mapping, level) for level in mapping.stays]
    a = 0 if "a" in mapping.held else shape.a_size(blocks[0])
    b = 0 if "b" in mapping.held else shape.b_size(blocks[1])
    return a, b, shape.sum_bytes(blocks[2])


class Sums:
    """Sums over the tiles of an operation on one array; see `Moves`.

    What tiles have in common is summed once.
    """

    def __init__(self, array: Accelerator, shape: Shape, held: tuple[str, ...] = ()) -> None:
        """Sum over tiles of `shape` on `array`."""
        self.moves = moves_of(shape, held)
        self._array, self._shape = array, self.moves.shape
        folds = shape.folds(array)
        self.cycles = folds.cycles if folds else lru_cache(maxsize=_TILES)(self._grid_cycles)

    def _grid_cycles(self, tile: Sizes) -> int:
        """Return the cycles of all tiles, in whatever order."""
        axes = zip(self.moves.axes, self.moves.whole, tile, strict=True)
        cuts = {axis: cut(size, step) for axis, size, step in axes}
        return self._shape.grid_cycles(self._array, cuts)

    def totals(self, tile: Sizes, mapping: Mapping) -> Totals:
        """Return the sums over all tiles of a mapping with this `tile`."""
        order = self.moves.order(tile, mapping)
        return Totals(self.cycles(tile), order.read_bytes, order.write_bytes)
