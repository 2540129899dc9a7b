"""The search for the best mapping of an operation: least time, or least traffic."""

from collections.abc import Iterator
from functools import lru_cache
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.nest import Mapping
from simulator.mapping.plan import Plan
from simulator.mapping.sums import Order, Shape, Sizes, Sums
from simulator.mapping.tiling import Space
from simulator.memo import Memo
from simulator.timing.pricing import Pricing, permille_written
from simulator.timing.shares import WHOLE
from simulator.timing.systolic import fill_cycles
from simulator.units import PS_PER_S, Clock


class Found(NamedTuple):
    """A tile, then a mapping with that tile, with the least time and bytes moved that it may take.

    `looked`: how closely, from 0, a tile alone, to 3, a plan that takes exactly that long.
    `peak_ps` are the least times at the memory's peak rate, of the mapping and of its tile, and
    `place` is where in the space they come: they decide between plans that are as good.
    """

    tile: Sizes
    least_ps: int
    moved: int
    peak_ps: tuple[int, ...]
    place: tuple[int, ...]
    order: Order | None = None
    looked: int = 0


class Times(NamedTuple):
    """How long mappings of an operation take: at least, by what they move, and exactly."""

    moving_ps: dict[Mapping, int]
    taken_ps: dict[Mapping, int]


# Guesses, enough for a sweep whose memories vary fastest: operations of one trace on 64 machines,
# of 4 kB each.
_MACHINES = 64
_TIMES: Memo[Times] = Memo("times of mappings", 64 * _MACHINES)


@lru_cache(maxsize=_MACHINES)
def _without_sizes(array: Accelerator) -> tuple[Accelerator, str]:
    """Return `array` without the sizes of its memories, and what tells it from others by.

    They decide what fits, not how long it takes: to read one raises AttributeError.
    """
    bare = array.model_copy()
    for name in ("scratchpad", "accumulator", "weight_buffer", "prefetch"):
        del bare.__dict__[name]
    return bare, repr(bare)


class Search:
    """The best plan of a space: least time, then least traffic, or the other way round.

    Best-first: whatever has the lowest bound is looked at more closely, a tile, then each of its
    mappings, then the time that the memory takes, then the simulated pipeline. No bound is ever
    above what it leads to, so the first plan on top of the heap is as good as any.
    """

    def __init__(self, array: Accelerator, pricing: Pricing, shape: Shape) -> None:
        """Search the space of `shape` on `array`."""
        self._space = Space(array, shape)
        self._array, machine = _without_sizes(array)
        self._times = _TIMES.get((machine, pricing, shape.key), lambda: Times({}, {}))
        self._pricing, self.shape = pricing, shape
        self._sums = Sums(array, shape, self._space.held)
        self._moves = self._sums.moves
        self._clock = Clock(array.clock)
        self._peak, self._repeats = pricing.peak_bytes_per_s, shape.repeats
        self._launch_ps = array.launch_latency
        self._fill = fill_cycles(array, shape.dataflow)
        self._by_traffic = array.mapping == "traffic"
        self._numbers = count()
        self._plans: dict[Mapping, Plan] = {}
        self._heap: list[tuple[int, int, int, int, Found]] = []

    def best(self) -> Plan:
        """Return the best plan; raises Infeasible when not even the smallest tile fits."""
        for index, tile in enumerate(self._space.tiles()):
            self._add(self.open(tile, index))
        equals: list[Found] = []
        while self._heap:
            found = heappop(self._heap)[-1]
            if equals and (found.least_ps, found.moved) != (equals[0].least_ps, equals[0].moved):
                break
            if found.looked == 3:
                equals.append(found)
                continue
            for closer in self.closer(found):
                self._add(closer)
        if not equals:
            raise self._space.too_small()
        best = min(equals, key=self._precedence) if len(equals) > 1 else equals[0]
        assert best.order is not None, "only mappings are kept"
        return self._planned(best.order.mapping)

    def open(self, tile: Sizes, place: int = 0) -> Found:
        """Return a tile, the one at `place` of the space, with the least that any mapping takes."""
        moved = self._moves.least_bytes
        least_ps = self._at_peak_ps(tile, moved)
        return Found(tile, least_ps, moved, (least_ps,), (place,))

    def closer(self, found: Found) -> Iterator[Found]:
        """Yield what `found` leads to, looked at one step more closely."""
        tile, order = found.tile, found.order
        if order is None:
            for index, fitting in enumerate(self._space.orders(tile)):
                moved = fitting.read_bytes + fitting.write_bytes
                least_ps = self._at_peak_ps(tile, moved)
                peak_ps, place = (least_ps, *found.peak_ps), (*found.place, index)
                yield Found(tile, least_ps, moved, peak_ps, place, fitting, 1)
        elif found.looked == 1:
            moving_ps = self._times.moving_ps.get(order.mapping)
            if moving_ps is None:
                written = permille_written(order.beside_bytes, order.write_bytes)
                moving_ps = self._moving_ps(order, tile, written)
                self._times.moving_ps[order.mapping] = moving_ps
            yield found._replace(least_ps=max(found.least_ps, moving_ps), looked=2)
        else:
            taken_ps = self._times.taken_ps.get(order.mapping)
            if taken_ps is None:
                taken_ps = self._planned(order.mapping).progress.duration_ps(WHOLE)
                self._times.taken_ps[order.mapping] = taken_ps
            yield found._replace(least_ps=taken_ps, looked=3)

    def _planned(self, mapping: Mapping) -> Plan:
        plan = self._plans.get(mapping)
        if plan is None:
            plan = Plan(self._array, self._pricing, self.shape, mapping)
            self._plans[mapping] = plan
        return plan

    def _precedence(self, found: Found) -> tuple[int, ...]:
        """Return by what the first of equal plans is told: the lowest bounds, then the place.

        The bounds are at the memory's rate for reads or writes alone, then at its peak rate.
        """
        assert found.order is not None, "a plan has a mapping"
        unmixed_ps = self._moving_ps(found.order, found.tile, 0)
        return max(found.peak_ps[0], unmixed_ps), *found.peak_ps, *found.place

    def _add(self, found: Found) -> None:
        first, second = found.least_ps, found.moved
        if self._by_traffic:
            first, second = second, first
        # Of equals plans come last, so that all that may be as good is a plan by then.
        heappush(self._heap, (first, second, found.looked == 3, next(self._numbers), found))

    def _at_peak_ps(self, tile: Sizes, moved: int) -> int:
        """Return the time that no mapping with this tile beats that moves so many bytes.

        All cycles after the first load and before the last store, or all bytes at the peak rate,
        whichever takes longer.
        """
        ends_ps = self._moves.end_bytes(tile) * PS_PER_S // self._peak
        moved_ps = self._repeats * moved * PS_PER_S // self._peak
        return self._launch_ps + max(self._busy_ps(tile) + ends_ps, moved_ps)

    def _busy_ps(self, tile: Sizes) -> int:
        return self._clock.cycles_to_ps(self._repeats * self._sums.cycles(tile) + self._fill)

    def _moving_ps(self, order: Order, tile: Sizes, written: int) -> int:
        """Return the same at what the memory takes for these transfers, `written` permille writes.

        After the last load comes at least the smallest computation, then the last store.
        """
        cost, moves, repeats = self._pricing.cost, self._moves, self._repeats
        held_ps = sum([cost(pattern, 0).channel_ps for pattern in moves.held_loads])
        first_ps, loads_ps = held_ps, held_ps
        for often, pieces in moves.loads(tile, order):
            each_ps = [cost(pattern, written).channel_ps for pattern, _ in pieces]
            first_ps += each_ps[0]
            loads_ps += often * sum([n * ps for (_, n), ps in zip(pieces, each_ps, strict=True)])
        stored = moves.stores(tile)
        each_ps = [cost(pattern, written).channel_ps for pattern, _ in stored]
        stores_ps = sum([n * ps for (_, n), ps in zip(stored, each_ps, strict=True)])
        last_ps = each_ps[-1]
        return self._launch_ps + max(
            first_ps + self._busy_ps(tile) + last_ps,
            repeats * loads_ps + self._least_compute_ps(tile) + last_ps,
            repeats * (loads_ps + stores_ps),
        )

    def _least_compute_ps(self, tile: Sizes) -> int:
        """Return the time of the smallest computation, which may be the one that ends sooner."""
        cycles = self.shape.cycles(self._array, self._moves.last_tile(tile))
        return self._clock.cycles_to_ps(max(0, cycles + min(0, self._fill)))
