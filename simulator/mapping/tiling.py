"""The mapper's space: the mappings of an operation that fit the array's memories."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from simulator.errors import Infeasible
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping, Sizes
from simulator.mapping.problem import ProblemShape
from simulator.mapping.sums import MappingTraffic, footprint, traffic_of
from simulator.timing.schedules import SCHEDULES


class Mapspace:
    """The mappings of an operation that fit the memories of an array, tile by tile."""

    def __init__(self, array: Accelerator, shape: ProblemShape) -> None:
        """Span the space of `shape` on `array`."""
        self.preloaded = _preloaded(array, shape)
        self._traffic = traffic_of(shape, self.preloaded)
        self._array, self._shape = array, self._traffic.shape  # shared: it has memoised its sizes
        self._orders = self._shape.space(array)
        self._fitting: dict[Sizes, list[MappingTraffic]] = {}

    def tiles(self) -> Iterable[Sizes]:
        """Return tiles, of which some mapping may fit."""
        return self._orders.tiles(lambda tile: bool(self.fitting(tile)))

    def mappings(self, tile: Sizes) -> Iterator[Mapping]:
        """Yield the mappings with this tile that fit."""
        return (each.mapping for each in self.fitting(tile))

    def fitting(self, tile: Sizes) -> list[MappingTraffic]:
        """Return the mappings with this tile that fit, with their traffic."""
        fitting = self._fitting.get(tile)
        if fitting is None:
            every = self._traffic.of_mappings(tile, lambda: self._mappings(tile))
            fitting = [each for each in every if self.fits(each)]
            self._fitting[tile] = fitting
        return fitting

    def fits(self, traffic: MappingTraffic) -> bool:
        """Return whether a mapping of the operation fits."""
        return _fits(self._array, self._shape, traffic.mapping, traffic.footprint)

    def too_small(self) -> Infeasible:
        """Return why not even the smallest tile fits."""
        array, shape = self._array, self._shape
        needs = [demand(array, shape, mapping)._asdict() for mapping in self._orders.smallest()]
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

    def _mappings(self, tile: Sizes) -> Iterator[Mapping]:
        """Yield the mappings with this tile, whether they fit or not."""
        mappings, preloaded = self._orders.mappings(tile), self.preloaded
        if not preloaded:
            return mappings
        return (mapping._replace(preloaded=preloaded) for mapping in mappings)


def candidates(array: Accelerator, shape: ProblemShape) -> Iterator[Mapping]:
    """Yield every mapping of the mapper's space."""
    space = Mapspace(array, shape)
    for tile in space.tiles():
        yield from space.mappings(tile)


class Demand(NamedTuple):
    """Bytes that a mapping needs of each memory; none of a weight buffer that is not there."""

    scratchpad: int
    accumulator: int
    weight_buffer: int = 0


def demand(
    array: Accelerator,
    shape: ProblemShape,
    mapping: Mapping,
    single: tuple[int, int, int] | None = None,
) -> Demand:
    """Return the bytes that a mapping needs of each memory of `array`.

    What is in use is double-buffered where the next block arrives meanwhile. A weight buffer is
    not: it is filled once, tile by tile. It holds operand B, or the sums of a convolution's weight
    gradient, whose operand A then lies in the accumulator. `single`: the mapping's `footprint`, if
    known.
    """
    once = shape.repeats == 1  # else the next product of the batch is loaded meanwhile
    copies = [1 if once and not level else 2 for level in mapping.reuse_levels]
    if array.weight_buffer is not None:
        copies[2 if shape.sums_weights else 1] = 1
    if mapping.bulk:
        most = SCHEDULES[array.schedule].bulk_buffers
        copies = [
            min(n, most) if mapping.moves_in_bulk(name) else n
            for name, n in zip("abc", copies, strict=True)
        ]
    a, b, sums = single or footprint(shape, mapping)
    a, b, sums = copies[0] * a, copies[1] * b, copies[2] * sums
    if array.weight_buffer is None:
        return Demand(a + b, sums)
    if shape.sums_weights:
        return Demand(b, a, sums)
    return Demand(a, sums, b)


def fits(array: Accelerator, shape: ProblemShape, mapping: Mapping) -> bool:
    """Return whether the operands and the partial sums of `mapping` fit the memories."""
    return _fits(array, shape, mapping, footprint(shape, mapping))


def _fits(
    array: Accelerator, shape: ProblemShape, mapping: Mapping, single: tuple[int, int, int]
) -> bool:
    scratchpad, accumulator, weight_buffer = demand(array, shape, mapping, single)
    return (
        scratchpad <= array.scratchpad
        and accumulator <= array.accumulator
        and weight_buffer <= (array.weight_buffer or 0)
    )


def _preloaded(array: Accelerator, shape: ProblemShape) -> tuple[str, ...]:
    """Return the operands that fit the prefetch memory whole, the larger one first.

    An operand without temporal reuse is streamed instead.
    """
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
