"""The search for the best mapping of an operation: least time, or least traffic."""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import count
from operator import attrgetter
from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping, Sizes
from simulator.mapping.plan import Plan
from simulator.mapping.problem import ProblemShape
from simulator.mapping.sums import MappingTraffic, TileSums
from simulator.mapping.tiling import Mapspace
from simulator.memo import Memo, remember
from simulator.timing.pricing import Pricing, permille_written
from simulator.timing.shares import WHOLE
from simulator.units import PS_PER_S, Clock


class Candidate(NamedTuple):
    """A tile, or a mapping with that tile, and lower bounds of its time and its traffic in bytes.

    `stage`: how tight the bound of time is, from 0, for all mappings of a tile, to 3, the exact
    time of a plan. `peak_ps`: bounds at the memory's peak rate, of the mapping and of its tile.
    `position`: where in the space they come. Both decide between equal plans.
    """

    tile: Sizes
    bound_ps: int
    moved_bytes: int
    peak_ps: tuple[int, ...]
    position: tuple[int, ...]
    traffic: MappingTraffic | None = None
    stage: int = 0


EXACT = 3
"""The stage of a candidate whose time is exact."""


_by_time = attrgetter("bound_ps", "moved_bytes")
_by_traffic = attrgetter("moved_bytes", "bound_ps")

_OBJECTIVES = {"time": _by_time, "traffic": _by_traffic}
"""Values of `accelerator.mapping` that are searches; a rule without mappings searches by time."""


class Times(NamedTuple):
    """Times of an operation's mappings: bounds by their transfers, and exact ones."""

    bound_ps: dict[Mapping, int]
    exact_ps: dict[Mapping, int]


# Guesses, enough for a sweep whose memories vary fastest: operations of one trace on 64 machines,
# of 4 kB each.
_MACHINES = 64
_TIMES: Memo[Times] = Memo("times of mappings", 64 * _MACHINES)


@remember("arrays without memories", most=_MACHINES)
def _without_memories(array: Accelerator) -> Accelerator:
    """Return `array` with memories of a byte: sizes decide what fits, not how long it takes."""
    sizes = {"scratchpad": 1, "accumulator": 1, "weight_buffer": None, "prefetch": 0}
    return array.model_copy(update=sizes)


class Search:
    """The best plan of a space: least time, then least traffic, or the other way round.

    Best-first search. The candidate with the lowest bound is refined: a tile into its mappings, a
    mapping by the time of its transfers, then by the recurrence of its pipeline. Bounds are
    admissible, so the first plan popped is optimal (A*).
    """

    def __init__(self, array: Accelerator, pricing: Pricing, shape: ProblemShape) -> None:
        """Search the space of `shape` on `array`."""
        self._space = Mapspace(array, shape)
        self._array = _without_memories(array)
        self._times = _TIMES.get((self._array, pricing, shape.key), lambda: Times({}, {}))
        self._pricing, self.shape = pricing, shape
        self._sums = TileSums(array, shape, self._space.preloaded)
        self._traffic = self._sums.traffic
        self._clock = Clock(array.clock)
        self._peak, self._repeats = pricing.peak_bytes_per_s, shape.repeats
        self._launch_ps = array.launch_latency
        self._fill = shape.dataflow.fill_cycles(array)
        self._cost = _OBJECTIVES.get(array.mapping, _by_time)
        self._numbers = count()
        self._plans: dict[Mapping, Plan] = {}
        self._heap: list[tuple[int, int, int, int, Candidate]] = []

    def best(self) -> Plan:
        """Return the best plan; raises Infeasible when not even the smallest tile fits."""
        for index, tile in enumerate(self._space.tiles()):
            self._push(self.tile_candidate(tile, index))
        equals: list[Candidate] = []
        while self._heap:
            first = heappop(self._heap)[-1]
            if equals and _by_time(first) != _by_time(equals[0]):
                break
            if first.stage == EXACT:
                equals.append(first)
                continue
            for candidate in self.refine(first):
                self._push(candidate)
        if not equals:
            raise self._space.too_small()
        best = min(equals, key=self._tie_break) if len(equals) > 1 else equals[0]
        assert best.traffic is not None, "only mappings are exact"
        return self._plan(best.traffic.mapping)

    def tile_candidate(self, tile: Sizes, position: int = 0) -> Candidate:
        """Return a tile, the one at `position` of the space, with bounds for all its mappings."""
        size = self._traffic.least_bytes
        bound_ps = self._at_peak_ps(tile, size)
        return Candidate(tile, bound_ps, size, (bound_ps,), (position,))

    def refine(self, candidate: Candidate) -> Iterable[Candidate]:
        """Return the candidates of the next stage that `candidate` stands for."""
        traffic = candidate.traffic
        if traffic is None:
            return self._mapping_candidates(candidate)
        if candidate.stage == 1:
            bound_ps = max(candidate.bound_ps, self._transfer_bound_ps(candidate.tile, traffic))
            return (candidate._replace(bound_ps=bound_ps, stage=2),)
        return (candidate._replace(bound_ps=self._exact_ps(traffic.mapping), stage=EXACT),)

    def _mapping_candidates(self, parent: Candidate) -> Iterator[Candidate]:
        """Yield the mappings of a tile."""
        tile = parent.tile
        for index, traffic in enumerate(self._space.fitting(tile)):
            size = traffic.read_bytes + traffic.write_bytes
            bound_ps = self._at_peak_ps(tile, size)
            peak_ps, position = (bound_ps, *parent.peak_ps), (*parent.position, index)
            yield Candidate(tile, bound_ps, size, peak_ps, position, traffic, 1)

    def _transfer_bound_ps(self, tile: Sizes, traffic: MappingTraffic) -> int:
        bound_ps = self._times.bound_ps.get(traffic.mapping)
        if bound_ps is None:
            written = permille_written(traffic.overlapped_read_bytes, traffic.write_bytes)
            bound_ps = self._moving_ps(traffic, tile, written)
            self._times.bound_ps[traffic.mapping] = bound_ps
        return bound_ps

    def _exact_ps(self, mapping: Mapping) -> int:
        exact_ps = self._times.exact_ps.get(mapping)
        if exact_ps is None:
            exact_ps = self._plan(mapping).progress.duration_ps(WHOLE)
            self._times.exact_ps[mapping] = exact_ps
        return exact_ps

    def _plan(self, mapping: Mapping) -> Plan:
        plan = self._plans.get(mapping)
        if plan is None:
            plan = Plan(self._array, self._pricing, self.shape, mapping)
            self._plans[mapping] = plan
        return plan

    def _tie_break(self, plan: Candidate) -> tuple[int, ...]:
        """Return the key of the first among equal plans: the lowest bounds, then the position.

        Bounds are at the memory's rate for reads or writes alone, then at its peak rate.
        """
        assert plan.traffic is not None, "a plan has a mapping"
        unmixed_ps = self._moving_ps(plan.traffic, plan.tile, 0)
        return max(plan.peak_ps[0], unmixed_ps), *plan.peak_ps, *plan.position

    def _push(self, candidate: Candidate) -> None:
        first, second = self._cost(candidate)
        # Of equals exact ones come last, so that all that may be as good are exact by then.
        exact = candidate.stage == EXACT
        heappush(self._heap, (first, second, exact, next(self._numbers), candidate))

    def _at_peak_ps(self, tile: Sizes, size: int) -> int:
        """Return a lower bound of the time of mappings with this tile that move `size` bytes.

        All cycles after the first load and before the last store, or all bytes at the peak rate,
        whichever takes longer.
        """
        ends_ps = self._traffic.end_bytes(tile) * PS_PER_S // self._peak
        moved_ps = self._repeats * size * PS_PER_S // self._peak
        return self._launch_ps + max(self._busy_ps(tile) + ends_ps, moved_ps)

    def _busy_ps(self, tile: Sizes) -> int:
        return self._clock.cycles_to_ps(self._repeats * self._sums.cycles(tile) + self._fill)

    def _moving_ps(self, traffic: MappingTraffic, tile: Sizes, written: int) -> int:
        """Return the bound at the memory's rate for these patterns, `written` permille writes.

        After the last load comes at least the smallest computation, then the last store.
        """
        cost, tiles, repeats = self._pricing.cost, self._traffic, self._repeats
        preload_ps = sum([cost(pattern, 0).channel_ps for pattern in tiles.preloads])
        first_ps, loads_ps = preload_ps, preload_ps
        for often, pieces in tiles.loads(tile, traffic):
            each_ps = [cost(pattern, written).channel_ps for pattern, _ in pieces]
            first_ps += each_ps[0]
            loads_ps += often * sum([n * ps for (_, n), ps in zip(pieces, each_ps, strict=True)])
        stores = tiles.stores(tile)
        each_ps = [cost(pattern, written).channel_ps for pattern, _ in stores]
        stores_ps = sum([n * ps for (_, n), ps in zip(stores, each_ps, strict=True)])
        last_ps = each_ps[-1]
        return self._launch_ps + max(
            first_ps + self._busy_ps(tile) + last_ps,
            repeats * loads_ps + self._least_compute_ps(tile) + last_ps,
            repeats * (loads_ps + stores_ps),
        )

    def _least_compute_ps(self, tile: Sizes) -> int:
        """Return the time of the smallest computation, which may be the one that ends sooner."""
        cycles = self.shape.cycles(self._array, self._traffic.last_tile(tile))
        return self._clock.cycles_to_ps(max(0, cycles + min(0, self._fill)))
