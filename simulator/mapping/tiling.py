"""The mapper's space: the mappings of an operation that fit the array's memories."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple
from weakref import proxy

from simulator.errors import Infeasible
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.cycles import TileCycles
from simulator.mapping.loops import Mapping, Sizes
from simulator.mapping.memories import Demand, capacity, demand_on
from simulator.mapping.problem import ProblemShape, TileNeeds, TileSpace
from simulator.mapping.single_buffers import with_single_buffers
from simulator.mapping.spills import may_spill
from simulator.mapping.sums import MappingTraffic, TileSums, TileTraffic, traffic_of
from simulator.memo import Memo, remember
from simulator.units import Clock


class TileRow(NamedTuple):
    """A tile on an array. `busy_ps`: the cycles of all tiles in all repeats. `place`: in the order
    of the space.
    """

    busy_ps: int
    place: int
    tile: Sizes
    needs: TileNeeds


class Level:
    """Tiles of an array's space that are considered together, and their places.

    No tile needs less than `least`. Later levels are not considered if a tile of a `last` one fits.
    """

    def __init__(self, space: "ArraySpace", tiles: list[Sizes], start: int, *, last: bool) -> None:
        """Take `tiles` of a space, the first one at the place `start`."""
        # Weak: a cycle would outlive the memo of spaces, as the collector is off or exempts it.
        self._space, self._tiles = proxy(space), tiles
        self.places, self.last = range(start, start + len(tiles)), last
        self._needs = [space.needs(tile) for tile in tiles]
        self.least = TileNeeds(*map(min, zip(*self._needs, strict=True)))

    @cached_property
    def rows(self) -> list[TileRow]:
        """The tiles, those of the fewest cycles first."""
        busy_ps = map(self._space.busy_ps, self._tiles)
        return sorted(map(TileRow, busy_ps, self.places, self._tiles, self._needs))

    @cached_property
    def small(self) -> tuple[TileNeeds, Demand] | None:
        """What a mapping of the tile of most cycles needs, which is small; None without any."""
        row = self.rows[-1]
        traffic: MappingTraffic | None = next(iter(self._space.mappings(row.tile)), None)
        return (row.needs, traffic.demand) if traffic else None


class ArraySpace:
    """The mappings of an operation on an array with memories of any size.

    Sizes of memories decide what fits, not how long it takes: arrays that differ in them alone
    share a space. Its levels are made when one is asked for.
    """

    def __init__(self, array: Accelerator, traffic: TileTraffic, space: TileSpace) -> None:
        """Span the mappings of `space` on `array`, whose memories have no size."""
        self.array, self.traffic, self.shape = array, traffic, traffic.shape
        self.most_levels = space.most_levels
        self._sums, self._clock = TileSums(array, traffic), Clock(array.clock)
        self.needs = space.needs
        self._space, self._remaining, self._levels = space, space.levels(), list[Level]()
        self._compute_ps: dict[Sizes, tuple[int, int]] = {}
        self.least_bytes: dict[int, int] = {}
        """What `moves_at_least` returned, by the place of the tile."""
        self.cycles = TileCycles(array, self.shape)
        self.good: dict[Mapping, tuple[TileRow, MappingTraffic]] = {}
        """Those that were best on some memory path, and are often nearly the best on others."""
        # They refer to this space: a memo that outlives it would keep it, past the bound on spaces.
        self.on_paths: Memo[Any] = Memo("times of mappings", _PATHS)
        """What searches found out on each memory path; see `search`."""

    def levels(self) -> Iterator[Level]:
        """Yield the levels in order."""
        yield from self._levels
        for tiles, last in self._remaining:
            start = self._levels[-1].places.stop if self._levels else 0
            level = Level(self, tiles, start, last=last)
            self._levels.append(level)
            yield level

    def mappings(self, tile: Sizes) -> list[MappingTraffic]:
        """Return the mappings with this tile, whether they fit or not."""
        return self.traffic.of_mappings(tile, lambda: self._mappings(tile))

    def moves_at_least(self, row: TileRow) -> int:
        """Return the least bytes that a mapping with this tile moves, whether it fits or not."""
        size = self.least_bytes.get(row.place)
        if size is None:
            sizes = [each.moved_bytes for each in self.mappings(row.tile)]
            size = self.least_bytes[row.place] = min(sizes, default=self.traffic.least_bytes)
        return size

    def busy_ps(self, tile: Sizes) -> int:
        """Return the time of all computations with this tile."""
        cycles = self.shape.repeats * self._sums.cycles(tile) + self.cycles.fill
        return self._clock.cycles_to_ps(cycles)

    def compute_ps(self, tile: Sizes) -> tuple[int, int]:
        """Return the time of the smallest computation and, from the second on, of the largest."""
        times = self._compute_ps.get(tile)
        if times is None:
            # The smallest may be the one that ends sooner, as the first may take longer.
            last = self.cycles.of(self.traffic.last_tile(tile)) + min(0, self.cycles.fill)
            cycles = max(0, last), self.cycles.of(tile)
            least_ps, most_ps = map(self._clock.cycles_to_ps, cycles)
            times = self._compute_ps[tile] = least_ps, most_ps
        return times

    def _mappings(self, tile: Sizes) -> Iterator[Mapping]:
        mappings, preloaded = self._space.mappings(tile), self.traffic.preloaded
        if preloaded:
            mappings = (mapping._replace(preloaded=preloaded) for mapping in mappings)
        if not self.array.single_buffer:
            return mappings
        return with_single_buffers(self.shape, mappings, weight_buffer=self.traffic.weight_buffer)


# Guesses, enough for a sweep whose memories vary fastest: operations of one trace on 4 arrays of
# any size, of some 30 kB each, and on 4 with their memories, of some 10 kB.
_SPACES: Memo[ArraySpace] = Memo("spaces of arrays", 256)
_FITTING = 256
_PATHS = 64  # a guess: the memory paths of a sweep whose memories vary fastest, of some 4 kB each


@remember("arrays without memories", most=64)
def _without_memories(array: Accelerator) -> Accelerator:
    """Return `array` with memories of a byte: sizes decide what fits, not how long it takes."""
    sizes = {"scratchpad": 1, "accumulator": 1, "weight_buffer": None, "prefetch": 0}
    return array.model_copy(update=sizes)


class Room(NamedTuple):
    """The memories of an array, and the levels of tiles that are considered in them."""

    sizes: Demand
    needs: TileNeeds
    levels: tuple[Level, ...]

    def holds(self, other: "Room") -> bool:
        """Return whether all that fits `other` memories of the same array fits these."""
        sizes = zip(other.sizes, self.sizes, strict=True)
        fits = all(size <= own for size, own in sizes) and other.needs.within(self.needs)
        return fits and all(level in self.levels for level in other.levels)


class Mapspace:
    """The mappings of an operation that fit the memories of an array."""

    def __init__(self, array: Accelerator, shape: ProblemShape) -> None:
        """Take those of the space of `shape` on `array`."""
        buffer = array.weight_buffer
        traffic = traffic_of(
            shape,
            _preloaded(array, shape),
            weight_buffer=buffer is not None,
            spill=may_spill(array),
            single_buffer=array.single_buffer,
        )
        self._array, self._space = array, traffic.shape.space(array)
        sizeless, space = _without_memories(array), self._space
        self.on_array = _SPACES.get(
            (sizeless, traffic, space.whole_folds), lambda: ArraySpace(sizeless, traffic, space)
        )
        self._capacity = capacity(array)
        operands = array.scratchpad + (buffer or 0) + array.prefetch
        self._room = TileNeeds(operands, array.accumulator)
        self._fitting: dict[int, list[MappingTraffic]] = {}
        self._levels = self._considered()

    @property
    def room(self) -> Room:
        """What fits the memories."""
        return Room(self._capacity, self._room, tuple(self._levels))

    @cached_property
    def rows(self) -> list[list[TileRow]]:
        """The tiles of each level that there is room for, those of the fewest cycles first.

        Most searches would queue a tile that is too large, only to find that nothing of it fits.
        """
        return [self._with_room(level) for level in self._levels]

    def mappings(self) -> Iterator[Mapping]:
        """Yield every mapping, tile by tile."""
        rows = [row for level in self.rows for row in level]
        for row in sorted(rows, key=lambda row: row.place):
            yield from (traffic.mapping for traffic in self.fitting(row))

    def fitting(self, row: TileRow) -> list[MappingTraffic]:
        """Return the mappings of a tile that fit."""
        fitting = self._fitting.get(row.place)
        if fitting is None:
            fitting = self._fitting[row.place] = self._that_fit(row)
        return fitting

    def has(self, row: TileRow, traffic: MappingTraffic) -> bool:
        """Return whether a mapping of the array's space is one of these."""
        considered = any(row.place in level.places for level in self._levels)
        return considered and row.needs.within(self._room) and self._fits(traffic)

    def too_small(self) -> Infeasible:
        """Return why not even the smallest tile fits."""
        array, shape = self._array, self.on_array.shape
        smallest: Iterable[Mapping] = self._space.smallest()
        if array.single_buffer:
            buffer = array.weight_buffer is not None
            smallest = with_single_buffers(shape, smallest, weight_buffer=buffer)
        needs = [demand_on(array, shape, mapping)._asdict() for mapping in smallest]
        least = {memory: min(need[memory] for need in needs) for memory in needs[0]}
        memory = next(name for name, size in least.items() if size > (getattr(array, name) or 0))
        needed, bound = least[memory], getattr(array, memory)
        return Infeasible(
            f"accelerator.{memory}",
            needed,
            bound,
            f"accelerator.{memory} of {bound} B is too small for any tile of {shape.text}: "
            f"it needs {needed} B or more",
        )

    def _that_fit(self, row: TileRow) -> list[MappingTraffic]:
        if not row.needs.within(self._room):
            return []
        return [each for each in self.on_array.mappings(row.tile) if self._fits(each)]

    def _fits(self, traffic: MappingTraffic) -> bool:
        return self._holds(traffic.demand)

    def _holds(self, demand: Demand) -> bool:
        """Return whether the memories hold what a mapping needs."""
        scratchpad, accumulator, weight_buffer = demand
        most, sums, weights = self._capacity
        return scratchpad <= most and accumulator <= sums and weight_buffer <= weights

    def _with_room(self, level: Level) -> list[TileRow]:
        operands, sums = self._room
        return [row for row in level.rows if row[3][0] <= operands and row[3][1] <= sums]

    def _admits(self, level: Level) -> bool:
        """Return whether some mapping of a level fits; small tiles, which take long, come last."""
        if not level.least.within(self._room):
            return False
        if level.small:
            needs, demand = level.small
            if needs.within(self._room) and self._holds(demand):
                return True
        fitting = map(self.fitting, reversed(level.rows))
        return any(not each.mapping.single for mappings in fitting for each in mappings)

    def _considered(self) -> list[Level]:
        """Return the levels that are considered: the first ones with a tile that fits, and those
        before of which something fits in single buffers, which must not displace the others.
        """
        levels, counted = list[Level](), 0
        for level in self.on_array.levels():
            if self._admits(level):
                levels.append(level)
                counted += 1
                if level.last or counted == self.on_array.most_levels:
                    break
            elif self._array.single_buffer and any(map(self.fitting, level.rows)):
                levels.append(level)
        return levels


_MAPSPACES: Memo[Mapspace] = Memo("mappings that fit", _FITTING)


def mapspace_of(array: Accelerator, shape: ProblemShape) -> Mapspace:
    """Return the mappings of `shape` that fit `array`; equal shapes and arrays share them."""
    return _MAPSPACES.get((array, shape.key), lambda: Mapspace(array, shape))


def candidates(array: Accelerator, shape: ProblemShape) -> Iterator[Mapping]:
    """Return every mapping of the mapper's space."""
    return Mapspace(array, shape).mappings()


def _preloaded(array: Accelerator, shape: ProblemShape) -> tuple[str, ...]:
    """Return the operands that fit the prefetch memory whole, the larger one first.

    An operand without temporal reuse is streamed instead.
    """
    if not array.prefetch:
        return ()
    whole, left, chosen = tuple(shape.extents.values()), array.prefetch, []
    operands = [
        ("a", shape.a(whole).bytes, shape.a_axes),
        ("b", shape.b(whole).bytes, shape.b_axes),
    ]
    for name, size, axes in sorted(operands, key=lambda operand: -operand[1]):
        reused = any(count > 1 for axis, count in shape.extents.items() if axis not in axes)
        if reused and 0 < size <= left:
            chosen.append(name)
            left -= size
    return tuple(chosen)
