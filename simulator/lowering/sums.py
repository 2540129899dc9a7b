"""What all tiles of a mapping need together, summed axis by axis instead of tile by tile."""

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import product
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.lowering.convolution import ConvShape
from simulator.lowering.nest import Mapping, cut, rounds
from simulator.lowering.shape import GemmShape

Shape = GemmShape | ConvShape
Sizes = tuple[int, ...]
Moved = tuple[AccessPattern, int]


class Totals(NamedTuple):
    """Cycles and bytes of one repeat of an operation."""

    cycles: int
    read_bytes: int
    write_bytes: int


class _Part(NamedTuple):
    """A tile's part of an operand: which axes it has, its size, and how it lies in memory."""

    name: str
    indices: tuple[int, ...]
    size: Callable[[Sizes], int]
    pattern: Callable[[Sizes], AccessPattern]


class Sums:
    """Sums over the tiles of an operation that cuts every axis once and spills nothing.

    Operands that are `held` are loaded whole before the first tile. What tiles have in common is
    summed once.
    """

    def __init__(self, array: Accelerator, shape: Shape, held: tuple[str, ...] = ()) -> None:
        """Sum over tiles of `shape` on `array`."""
        self._array, self._shape, self.held = array, shape, held
        self._axes = tuple(shape.extents)
        self._whole = tuple(shape.extents.values())
        output = shape.widths.output
        self._a = self._part("a", shape.a_axes, shape.a_size, shape.a)
        self._b = self._part("b", shape.b_axes, shape.b_size, shape.b)
        self._c = self._part(
            "c", shape.c_axes, lambda t: shape.c_size(t, output), lambda t: shape.c(t, output)
        )
        self._streamed = [part for part in (self._a, self._b) if part.name not in held]
        self._bytes: dict[tuple[str, Sizes], int] = {}
        self._cycles: dict[Sizes, int] = {}

    def _part(
        self,
        name: str,
        axes: frozenset[str],
        size: Callable[[Sizes], int],
        pattern: Callable[[Sizes], AccessPattern],
    ) -> _Part:
        indices = tuple(i for i, axis in enumerate(self._axes) if axis in axes)
        return _Part(name, indices, size, pattern)

    @cached_property
    def least_bytes(self) -> int:
        """The bytes that every mapping moves: each operand and the result, once."""
        return sum(part.size(self._whole) for part in (self._a, self._b, self._c))

    def cycles(self, tile: Sizes) -> int:
        """Return the cycles of all tiles, in whatever order."""
        found = self._cycles.get(tile)
        if found is None:
            axes = zip(self._axes, self._whole, tile, strict=True)
            cuts = {axis: cut(size, step) for axis, size, step in axes}
            found = self._cycles[tile] = self._shape.grid_cycles(self._array, cuts)
        return found

    def end_bytes(self, tile: Sizes) -> int:
        """Return the bytes loaded before the first computation or stored after the last."""
        a, b = (self._whole if name in self.held else tile for name in "ab")
        return self._a.size(a) + self._b.size(b) + self._c.size(self.last_tile(tile))

    def totals(self, tile: Sizes, mapping: Mapping) -> Totals:
        """Return the sums over all tiles of a mapping with this `tile`."""
        a, b, c = (
            self._often(part.name, mapping) * self._all_bytes(part, tile)
            for part in (self._a, self._b, self._c)
        )
        return Totals(self.cycles(tile), a + b, c)

    def loads(self, tile: Sizes, mapping: Mapping) -> Iterator[Moved]:
        """Yield each different load beside the computation, and how often it happens."""
        for part in self._streamed:
            often = self._often(part.name, mapping)
            for sizes, count in self._over(part, tile):
                yield part.pattern(sizes), often * count

    def stores(self, tile: Sizes) -> Iterator[Moved]:
        """Yield each different store, and how often it happens."""
        for sizes, count in self._over(self._c, tile):
            yield self._c.pattern(sizes), count

    def first_loads(self, tile: Sizes) -> list[Moved]:
        """Return what the first tile loads, beside what is held."""
        return [(part.pattern(tile), 1) for part in self._streamed]

    def last_store(self, tile: Sizes) -> Moved:
        """Return what the last tile stores."""
        return self._c.pattern(self.last_tile(tile)), 1

    def last_tile(self, tile: Sizes) -> Sizes:
        """Return the last tile along every axis, which is the smallest."""
        return tuple(n % step or step for n, step in zip(self._whole, tile, strict=True))

    @cached_property
    def held_loads(self) -> list[Moved]:
        """The loads of the operands that are held, before the first tile."""
        held = [part for part in (self._a, self._b) if part.name in self.held]
        return [(part.pattern(self._whole), 1) for part in held]

    def _often(self, name: str, mapping: Mapping) -> int:
        if name == "c" or name in self.held:
            return 1
        if name == "a":
            return rounds(self._shape, mapping, self._shape.a_axes, mapping.a_from)
        return rounds(self._shape, mapping, self._shape.b_axes, mapping.b_from)

    def _all_bytes(self, part: _Part, tile: Sizes) -> int:
        """Return the bytes of all tiles of an operand, which its own axes alone decide."""
        key = part.name, tuple(tile[i] for i in part.indices)
        found = self._bytes.get(key)
        if found is None:
            if part.name in self.held:
                found = part.size(self._whole)
            else:
                found = sum(count * part.size(sizes) for sizes, count in self._over(part, tile))
            self._bytes[key] = found
        return found

    def _over(self, part: _Part, tile: Sizes) -> Iterator[tuple[Sizes, int]]:
        """Yield each different tile along an operand's axes (1 along others), and their number."""
        sizes = [1] * len(tile)
        for chosen in product(*(cut(self._whole[i], tile[i]) for i in part.indices)):
            count = 1
            for i, (size, times) in zip(part.indices, chosen, strict=True):
                sizes[i] = size
                count *= times
            yield tuple(sizes), count
