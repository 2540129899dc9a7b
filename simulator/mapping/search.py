"""The search for the best mapping of an operation: least time, or least traffic."""

from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.bounds import Bounds
from simulator.mapping.loops import Mapping
from simulator.mapping.plan import Plan
from simulator.mapping.problem import ProblemShape
from simulator.mapping.sums import MappingTraffic
from simulator.mapping.tiling import ArraySpace, TileRow, mapspace_of
from simulator.memo import Memo
from simulator.timing.pricing import Pricing
from simulator.timing.shares import WHOLE

Objective = tuple[int, int]
"""What a search minimises: time, then traffic, or the other way round."""

_Limit = tuple[float, float]
_NO_LIMIT: _Limit = inf, inf


def _by_time(time_ps: int, moved_bytes: int) -> Objective:
    return time_ps, moved_bytes


def _by_traffic(time_ps: int, moved_bytes: int) -> Objective:
    return moved_bytes, time_ps


_OBJECTIVES = {"time": _by_time, "traffic": _by_traffic}
"""Values of `accelerator.mapping` that are searches; a rule without mappings searches by time."""

OF_TILE, AT_PEAK, BY_TRANSFERS, EXACT = range(4)
"""Where an estimate of time is from: the peak rate, for all mappings of a tile or for one, the
transfers, or a plan.
"""


class TimeEstimate(NamedTuple):
    """A time, exact or a lower bound of it, and where it is from."""

    time_ps: int
    stage: int


class _OnPath:
    """What searches found out about the mappings of an array on a memory path, whatever the sizes
    of its memories: the tightest estimates of their times, and the plans that were best.
    """

    def __init__(self, space: ArraySpace, pricing: Pricing) -> None:
        """Know nothing yet of the mappings of `space`."""
        self.bounds = Bounds(space, pricing)
        self.estimates: dict[Mapping, TimeEstimate] = {}
        self.best: dict[Mapping, Plan] = {}


# A guess, enough for a sweep whose memories vary fastest: operations of one trace on 64 machines,
# of 4 kB each.
_ON_PATHS: Memo[_OnPath] = Memo("times of mappings", 4096)


class Search:
    """The best plan of a space: least time, then least traffic, or the other way round.

    Best-first search. What has the lowest bound is refined: a tile into its mappings, a mapping by
    the times of its transfers, then by the recurrence of its pipeline. Bounds are admissible, so
    the first plan popped is optimal (A*). What is above a plan that is known is not queued.
    """

    def __init__(self, array: Accelerator, pricing: Pricing, shape: ProblemShape) -> None:
        """Search the space of `shape` on `array`."""
        self.space = mapspace_of(array, shape)
        self._all = every = self.space.on_array
        self._pricing = pricing
        self._on_path = _ON_PATHS.get((every, pricing), lambda: _OnPath(every, pricing))
        self._bounds, self._estimates = self._on_path.bounds, self._on_path.estimates
        self._cost = _OBJECTIVES.get(array.mapping, _by_time)
        self._queue: list[tuple[int, int, int, int, TileRow, MappingTraffic | None]] = []
        self._limit: _Limit = _NO_LIMIT
        self._turns = count()

    def best(self) -> Plan:
        """Return the best plan; raises Infeasible when not even the smallest tile fits."""
        self._limit = self._limit_by_good_ones()
        self._push_tiles()
        equals: list[tuple[TileRow, MappingTraffic]] = []
        while self._queue:
            first, second, stage, _, row, traffic = heappop(self._queue)
            if equals and (first, second) != self._limit:
                break
            if traffic is None:
                for each in self.space.fitting(row):
                    self._push(row, each, self._estimate(row, each))
            elif stage == EXACT:
                equals.append((row, traffic))
            else:
                self._push(row, traffic, self.refine(row, traffic, stage))
        if not equals:
            raise self.space.too_small()
        best = min(equals, key=lambda each: self.rank(*each)) if len(equals) > 1 else equals[0]
        return self._plan_of(*best)

    def refine(self, row: TileRow, traffic: MappingTraffic, stage: int) -> TimeEstimate:
        """Return and keep the estimate of a mapping that comes after `stage`."""
        if stage == AT_PEAK:
            at_peak_ps = self._bounds.at_peak_ps(row, traffic.moved_bytes)
            tighter_ps = max(at_peak_ps, self._bounds.by_transfers_ps(row, traffic))
            estimate = TimeEstimate(tighter_ps, BY_TRANSFERS)
        else:
            exact_ps = self._plan(traffic.mapping).progress.duration_ps(WHOLE)
            estimate = TimeEstimate(exact_ps, EXACT)
        self._estimates[traffic.mapping] = estimate
        return estimate

    def rank(self, row: TileRow, traffic: MappingTraffic) -> tuple[int, ...]:
        """Return the key of the first among equal plans: the lowest bounds, then the place.

        Bounds are at the memory's rate for reads or writes alone, then at its peak rate.
        """
        peak_ps = self._bounds.at_peak_ps(row, traffic.moved_bytes)
        tile_ps = self._bounds.of_tile_ps(row)
        unmixed_ps = self._bounds.unmixed_ps(row, traffic)
        index = self.space.fitting(row).index(traffic)
        return max(peak_ps, unmixed_ps), peak_ps, tile_ps, row.place, index

    def _limit_by_good_ones(self) -> _Limit:
        """Return the least cost of what was best in memories of other sizes or else, on another
        memory path, last.
        """
        good = [each for each in self._all.good.values() if self.space.has(*each)]
        on_path = self._on_path.best
        best = [each for each in good if each[1].mapping in on_path] or good[-1:]
        return min([self._exact_cost(*each) for each in best], default=_NO_LIMIT)

    def _exact_cost(self, row: TileRow, traffic: MappingTraffic) -> Objective:
        estimate = self._estimates.get(traffic.mapping)
        if estimate is None or estimate.stage < EXACT:
            estimate = self.refine(row, traffic, BY_TRANSFERS)
        return self._cost(estimate.time_ps, traffic.moved_bytes)

    def _push_tiles(self) -> None:
        """Queue the tiles whose bounds do not exceed the plans that are known."""
        cost, least_bytes, limit = self._cost, self._all.traffic.least_bytes, self._limit
        launch_ps, of_tile_ps = self._all.array.launch_latency, self._bounds.of_tile_ps
        for level in self.space.levels:
            for row in level.rows:
                if cost(launch_ps + row.busy_ps, least_bytes) > limit:
                    break  # the others take longer
                bound = cost(of_tile_ps(row), least_bytes)
                if bound <= limit:
                    self._queue.append((*bound, OF_TILE, next(self._turns), row, None))
        heapify(self._queue)

    def _estimate(self, row: TileRow, traffic: MappingTraffic) -> TimeEstimate:
        """Return the tightest estimate of a mapping so far."""
        estimate = self._estimates.get(traffic.mapping)
        return estimate or TimeEstimate(self._bounds.at_peak_ps(row, traffic.moved_bytes), AT_PEAK)

    def _push(self, row: TileRow, traffic: MappingTraffic, estimate: TimeEstimate) -> None:
        time_ps, stage = estimate
        cost = self._cost(time_ps, traffic.moved_bytes)
        if cost > self._limit:
            return
        if stage == EXACT:
            self._limit = cost
        # Of equals exact ones come last, so that all that may be as good are exact by then.
        heappush(self._queue, (*cost, stage, next(self._turns), row, traffic))

    def _plan_of(self, row: TileRow, traffic: MappingTraffic) -> Plan:
        """Return the plan of the best mapping, which memories of other sizes may share."""
        mapping, best = traffic.mapping, self._on_path.best
        if mapping not in best:
            best[mapping] = self._plan(mapping)
        self._all.good[mapping] = row, traffic
        return best[mapping]

    def _plan(self, mapping: Mapping) -> Plan:
        every = self._all
        return Plan(every.array, self._pricing, every.shape, mapping, every.cycles)
