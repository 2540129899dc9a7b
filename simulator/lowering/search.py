"""The search for the best mapping of an operation: least time, or least traffic."""

import itertools
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.lowering.nest import Mapping
from simulator.lowering.plan import Plan
from simulator.lowering.pricing import Pricing
from simulator.lowering.sums import Shape, Sizes, Sums
from simulator.lowering.tiling import Space
from simulator.timing.shares import WHOLE
from simulator.timing.systolic import fill_cycles
from simulator.units import PS_PER_S, Clock


class Found(NamedTuple):
    """A tile, then a mapping with that tile, with the least time and bytes moved that it may take.

    `looked`: how closely, from 0, a tile alone, to 3, a plan that takes exactly that long.
    """

    tile: Sizes
    least_ps: int
    moved: int
    mapping: Mapping | None = None
    looked: int = 0
    plan: Plan | None = None


class Search:
    """The best plan of a space: least time, then least traffic, or the other way round.

    Best-first: whatever has the lowest bound is looked at more closely, a tile, then each of its
    mappings, then the time that the memory takes, then the simulated pipeline. No bound is ever
    above what it leads to, so the first plan on top of the heap is the best of all.
    """

    def __init__(self, array: Accelerator, pricing: Pricing, shape: Shape) -> None:
        """Search the space of `shape` on `array`."""
        self._array, self._pricing, self.shape = array, pricing, shape
        self._space = Space(array, shape)
        self._sums = Sums(array, shape, self._space.held)
        self._clock = Clock(array.clock)
        self._fill = fill_cycles(array, shape.dataflow)
        self._numbers = itertools.count()
        self._heap: list[tuple[tuple[int, int], int, int, Found]] = []

    def best(self) -> Plan:
        """Return the best plan; raises Infeasible when not even the smallest tile fits."""
        for tile in self._space.tiles():
            self._add(self.open(tile))
        while self._heap:
            found = heappop(self._heap)[-1]
            if found.plan is not None:
                return found.plan
            for closer in self.closer(found):
                self._add(closer)
        raise self._space.too_small()

    def open(self, tile: Sizes) -> Found:
        """Return a tile with the least that any mapping with it takes."""
        moved = self._sums.least_bytes
        return Found(tile, self._at_peak_ps(tile, moved), moved)

    def closer(self, found: Found) -> Iterator[Found]:
        """Yield what `found` leads to, looked at one step more closely."""
        tile, mapping = found.tile, found.mapping
        if mapping is None:
            for fitting in self._space.mappings(tile):
                _, read, write = self._sums.totals(tile, fitting)
                moved = read + write
                yield Found(tile, self._at_peak_ps(tile, moved), moved, fitting, 1)
        elif found.looked == 1:
            least_ps = max(found.least_ps, self._through_memory_ps(found, mapping))
            yield found._replace(least_ps=least_ps, looked=2)
        else:
            plan = Plan(self._array, self._pricing, self.shape, mapping)
            taken_ps = plan.progress.duration_ps(WHOLE)
            yield found._replace(least_ps=taken_ps, looked=3, plan=plan)

    def _add(self, found: Found) -> None:
        bound = (found.least_ps, found.moved)
        if self._array.mapping == "traffic":
            bound = (found.moved, found.least_ps)
        heappush(self._heap, (bound, -found.looked, next(self._numbers), found))

    def _at_peak_ps(self, tile: Sizes, moved: int) -> int:
        """Return the time that no mapping with this tile beats that moves so many bytes.

        All cycles after the first load and before the last store, or all bytes at the peak rate,
        whichever takes longer.
        """
        peak, repeats = self._pricing.peak_bytes_per_s, self.shape.repeats
        ends_ps = self._sums.end_bytes(tile) * PS_PER_S // peak
        least_ps = max(self._busy_ps(tile) + ends_ps, repeats * moved * PS_PER_S // peak)
        return self._array.launch_latency + least_ps

    def _busy_ps(self, tile: Sizes) -> int:
        return self._clock.cycles_to_ps(self.shape.repeats * self._sums.cycles(tile) + self._fill)

    def _through_memory_ps(self, found: Found, mapping: Mapping) -> int:
        """Return the same at what the memory takes for these transfers.

        After the last load comes at least the smallest computation, then the last store.
        """
        sums, tile, repeats = self._sums, found.tile, self.shape.repeats
        held_ps = self._channel_ps(sums.held_loads)
        loads_ps = held_ps + self._channel_ps(sums.loads(tile, mapping))
        stores_ps = self._channel_ps(sums.stores(tile))
        first_ps = held_ps + self._channel_ps(sums.first_loads(tile))
        last_ps = self._channel_ps([sums.last_store(tile)])
        compute_ps = self._clock.cycles_to_ps(self.shape.cycles(self._array, sums.last_tile(tile)))
        return self._array.launch_latency + max(
            first_ps + self._busy_ps(tile) + last_ps,
            repeats * loads_ps + compute_ps + last_ps,
            repeats * (loads_ps + stores_ps),
        )

    def _channel_ps(self, moved: Iterable[tuple[AccessPattern, int]]) -> int:
        """Return the memory's time, as if it never turned around between reads and writes."""
        return sum(n * self._pricing.cost(pattern, 0).channel_ps for pattern, n in moved)
