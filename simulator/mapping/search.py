"""The search for the best mapping of an operation: of little time and traffic, or another cost."""

from bisect import bisect
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping
from simulator.mapping.objectives import MappingCost, by_time, objective_of
from simulator.mapping.on_path import (
    AT_PEAK,
    BY_TRANSFERS,
    EXACT,
    OF_TILE,
    Answer,
    Candidate,
    OnPath,
    TimeEstimate,
)
from simulator.mapping.plan import Plan
from simulator.mapping.problem import ProblemShape
from simulator.mapping.sums import MappingTraffic
from simulator.mapping.tiling import TileRow, mapspace_of
from simulator.timing.pricing import Pricing
from simulator.timing.shares import WHOLE

_Limit = tuple[float, float]
_NO_LIMIT: _Limit = inf, inf

_SearchNode = tuple[int, int, int, int, TileRow, MappingTraffic | None]
"""A lower bound of a cost, where it is from, its turn; of a tile or of one of its mappings."""

_SizedNode = tuple[int, int, int, TileRow, MappingTraffic | None]
"""A lower bound of traffic, then of time, and the turn; of a tile or of one of its mappings."""


class Search:
    """The best plan of a space: the least cost by the array's objective.

    Best-first search. What has the lowest bound is refined: a tile into its mappings, a mapping by
    the times of its transfers, then by the recurrence of its pipeline. Bounds are admissible, so
    the first plan popped is optimal (A*). What is above a plan that is known is not queued.

    By time, the plan is the one of least traffic among all that take at most `mapping_slack`
    longer than the fastest. The fastest need not be known for that: a plan is one of them if it
    takes as little longer than the lowest bound.

    What was best in larger memories is best in these if they hold it: they hold nothing else.
    """

    def __init__(self, array: Accelerator, pricing: Pricing, shape: ProblemShape) -> None:
        """Search the space of `shape` on `array`."""
        self.space = mapspace_of(array, shape)
        self._all = every = self.space.on_array
        self._pricing = pricing
        self._on_path: OnPath = every.on_paths.get(pricing, lambda: OnPath(every, pricing))
        self._bounds, self._estimates = self._on_path.bounds, self._on_path.estimates
        self._cost = objective_of(array.mapping, pricing.dram, shape.repeats)
        slack = array.mapping_slack if self._cost is by_time else 0
        self._permille = 1000 + slack
        self._queue: list[_SearchNode] = []
        self._limit: _Limit = _NO_LIMIT
        self._fastest: Candidate | None = None  # of those whose time is known: it sets the limit
        self._plans: dict[Mapping, Plan] = {}
        self._expanded = set[int]()  # places of tiles whose mappings are queued instead
        self._turns = count()

    def best(self) -> Plan:
        """Return the best plan; raises Infeasible when not even the smallest tile fits."""
        best = self._of_larger_memories() or self._of_these()
        return self._plan_of(*best)

    def _of_larger_memories(self) -> Candidate | None:
        """Return what an earlier search found in larger memories, if these hold it."""
        space, answers = self.space, self._on_path.answers
        if not answers:
            return None
        room = space.room
        for answer in answers:
            fits = answer.room.holds(room) and space.has(*answer.best)
            if fits and (answer.fastest is answer.best or space.has(*answer.fastest)):
                return answer.best
        return None

    def _of_these(self) -> Candidate:
        """Search, and keep what is best for smaller memories."""
        self._limit_by_good_ones()
        self._push_tiles()
        best = self._of_least_traffic() if self._permille > 1000 else self._of_least_cost()
        self._on_path.answers.append(Answer(self.space.room, best, self._fastest or best))
        return best

    def _of_least_cost(self) -> Candidate:
        """Return the first of equals of the least cost."""
        least = self._settle(EXACT)
        best = self._fastest = self._first_of([
            (row, traffic)
            for first, second, stage, _, row, traffic in self._queue
            if stage == EXACT and (first, second) == least and traffic
        ])  # fmt: skip
        return best

    def _of_least_traffic(self) -> Candidate:
        """Return what moves least, then is fastest, of all that take little longer than the
        fastest, by the bounds of transfers if these leave no doubt.
        """
        best = None
        for stage in (AT_PEAK, BY_TRANSFERS, EXACT):
            lowest_ps, _ = self._settle(stage)
            best = self._within(lowest_ps * self._permille // 1000, sure=stage == EXACT)
            if best:
                break
        assert best, "the fastest one takes no longer than itself"
        return best

    def _within(self, limit_ps: int, *, sure: bool) -> Candidate | None:
        """Return what moves least, then is fastest, of what takes `limit_ps` at most.

        None if there is none, or one of less traffic may take little longer than the fastest, too,
        unless it is `sure` that the limit says which does.
        """
        equals, best = list[Candidate](), (0, 0)
        slower_ps = list[int]()
        candidates = self._within_limit(limit_ps)
        while candidates:
            size, bound_ps, _, row, traffic = heappop(candidates)
            if equals and (size, bound_ps) > best:
                break
            if traffic is None:
                for each in self._push_mappings(row):
                    if each[0] <= limit_ps:
                        heappush(candidates, self._by_size(each))
                continue
            most_ps = best[1] if equals else limit_ps
            time_ps = self._time_ps(row, traffic, most_ps)
            if time_ps <= most_ps:
                equals = [*equals, (row, traffic)] if (size, time_ps) == best else [(row, traffic)]
                best = size, time_ps
            elif not equals:
                slower_ps.append(time_ps)
        if not equals:
            return None
        sure = sure or best[0] == self._all.traffic.least_bytes
        most_ps = best[1] * self._permille // 1000
        if not sure and (
            any(time_ps <= most_ps for time_ps in slower_ps)
            or self._may_move_less(best[0], limit_ps, most_ps)
        ):
            return None
        first = self._first_of(equals)
        if most_ps <= self._limit[0]:
            self._fastest = first
        return first

    def _within_limit(self, limit_ps: int) -> list[_SizedNode]:
        """Return what may take `limit_ps` at most, as a heap: that of least traffic first."""
        nodes = [self._by_size(each) for each in self._queue if each[0] <= limit_ps]
        candidates = [each for each in nodes if each[3].place not in self._expanded or each[4]]
        heapify(candidates)
        return candidates

    def _by_size(self, node: _SearchNode) -> _SizedNode:
        """Return a mapping by its traffic, a tile by the least that any of its mappings moves."""
        bound_ps, _, _, turn, row, traffic = node
        size = traffic.moved_bytes if traffic else self._all.moves_at_least(row)
        return size, bound_ps, turn, row, traffic

    def _time_ps(self, row: TileRow, traffic: MappingTraffic, limit_ps: int) -> int:
        """Return a time that is exact, or else a bound of it above the limit."""
        time_ps, stage = self._estimate(row, traffic)
        while time_ps <= limit_ps and stage < EXACT:
            time_ps, stage = self.refine(row, traffic, stage)
        return time_ps

    def _may_move_less(self, moved_bytes: int, limit_ps: int, most_ps: int) -> bool:
        """Return whether a mapping of less traffic, slower than the limit, may take `most_ps`."""
        near = [each[4] for each in self._queue if each[0] <= most_ps and each[5] is None]
        for row in near:
            if self._all.moves_at_least(row) < moved_bytes:
                self._push_mappings(row)
        return any(
            self._estimate(row, traffic).time_ps <= most_ps
            for bound_ps, size, _, _, row, traffic in self._queue
            if limit_ps < bound_ps <= most_ps and size < moved_bytes and traffic
        )

    def _settle(self, stage: int) -> MappingCost:
        """Refine what has the lowest cost until that is from `stage` or a tighter one, as are those
        of all its equals; return the cost.
        """
        while self._queue:
            first, second, own, _, row, traffic = self._queue[0]
            if own >= stage:
                return first, second
            heappop(self._queue)
            if traffic is None:
                self._refine_tile(row, (first, second))
                continue
            estimate = self._estimates.get((row.place, traffic.number))
            if estimate is None or estimate.stage <= own:
                estimate = self.refine(row, traffic, own)
            self._push(row, traffic, estimate)
        raise self.space.too_small()

    def refine(self, row: TileRow, traffic: MappingTraffic, stage: int) -> TimeEstimate:
        """Return and keep the estimate of a mapping that comes after `stage`."""
        if stage == AT_PEAK:
            at_peak_ps = self._bounds.at_peak_ps(row, traffic.moved_bytes)
            tighter_ps = max(at_peak_ps, self._bounds.by_transfers_ps(row, traffic))
            estimate = TimeEstimate(tighter_ps, BY_TRANSFERS)
        else:
            plan = self._plans[traffic.mapping] = self._plan(traffic.mapping)
            estimate = TimeEstimate(plan.progress.duration_ps(WHOLE), EXACT)
        self._estimates[row.place, traffic.number] = estimate
        return estimate

    def _first_of(self, equals: list[Candidate]) -> Candidate:
        return equals[0] if len(equals) == 1 else min(equals, key=lambda each: self.rank(*each))

    def rank(self, row: TileRow, traffic: MappingTraffic) -> tuple[int, ...]:
        """Return the key of the first among equal plans: the lowest bounds, then the place.

        Bounds are at the memory's rate for reads or writes alone, then at its peak rate.
        """
        peak_ps = self._bounds.at_memory_ps(row, traffic.moved_bytes)
        tile_ps = self._bounds.at_memory_ps(row, self._all.traffic.least_bytes)
        unmixed_ps = self._bounds.unmixed_ps(row, traffic)
        index = self.space.fitting(row).index(traffic)
        return max(peak_ps, unmixed_ps), peak_ps, tile_ps, row.place, index

    def _limit_by_good_ones(self) -> None:
        """Start from what was best in memories of other sizes or else, on another memory path,
        last.
        """
        good = [each for each in self._all.good.values() if self.space.has(*each)]
        on_path = self._on_path.best
        for each in [each for each in good if each[1].mapping in on_path] or good[-1:]:
            self._limit_by(self._exact_cost(*each), each)

    def _limit_by(self, cost: MappingCost, candidate: Candidate) -> None:
        """Leave out what costs more than `candidate` does."""
        limit = self._with_slack(cost)
        if limit < self._limit:
            self._limit, self._fastest = limit, candidate

    def _with_slack(self, limit: _Limit) -> _Limit:
        """Return a limit of time with the slack."""
        return (limit[0] * self._permille / 1000, inf) if self._permille > 1000 else limit

    def _exact_cost(self, row: TileRow, traffic: MappingTraffic) -> MappingCost:
        estimate = self._estimates.get((row.place, traffic.number))
        if estimate is None or estimate.stage < EXACT:
            estimate = self.refine(row, traffic, BY_TRANSFERS)
        return self._cost(estimate.time_ps, traffic.moved_bytes)

    def _push_tiles(self) -> None:
        """Queue the tiles whose bounds do not exceed the plans that are known."""
        cost, limit, launch_ps = self._cost, self._limit, self._all.array.launch_latency
        least_bytes, at_peak_ps = self._all.traffic.least_bytes, self._bounds.at_peak_ps
        least_of, queue, turns = self._all.least_bytes, self._queue, self._turns
        for rows in self.space.rows:  # those of the fewest cycles first
            slower = bisect(rows, limit, key=lambda row: cost(launch_ps + row.busy_ps, least_bytes))
            for row in rows[:slower]:
                size = least_of.get(row.place, least_bytes)
                bound = cost(at_peak_ps(row, size), size)
                if bound <= limit:
                    queue.append((*bound, OF_TILE, next(turns), row, None))
        heapify(queue)

    def _refine_tile(self, row: TileRow, bound: MappingCost) -> None:
        """Queue a tile again by the least that its mappings move, if that costs more than `bound`,
        or else its mappings.
        """
        size = self._all.moves_at_least(row)
        tighter = self._cost(self._bounds.at_peak_ps(row, size), size)
        if tighter <= bound:
            self._push_mappings(row)
        elif tighter <= self._limit and row.place not in self._expanded:
            heappush(self._queue, (*tighter, OF_TILE, next(self._turns), row, None))

    def _push_mappings(self, row: TileRow) -> list[_SearchNode]:
        """Queue the mappings of a tile that fit, instead of the tile, and return them."""
        place, estimates, at_peak_ps = row.place, self._estimates, self._bounds.at_peak_ps
        if place in self._expanded:
            return []
        self._expanded.add(place)
        nodes = list[_SearchNode]()
        for traffic in self.space.fitting(row):
            estimate = estimates.get((place, traffic.number))
            if estimate is None:
                estimate = TimeEstimate(at_peak_ps(row, traffic.moved_bytes), AT_PEAK)
            node = self._push(row, traffic, estimate)
            if node:
                nodes.append(node)
        return nodes

    def _estimate(self, row: TileRow, traffic: MappingTraffic) -> TimeEstimate:
        """Return the tightest estimate of a mapping so far."""
        estimate = self._estimates.get((row.place, traffic.number))
        return estimate or TimeEstimate(self._bounds.at_peak_ps(row, traffic.moved_bytes), AT_PEAK)

    def _push(
        self, row: TileRow, traffic: MappingTraffic, estimate: TimeEstimate
    ) -> _SearchNode | None:
        """Queue a mapping, unless it costs more than the limit; return what is queued."""
        time_ps, stage = estimate
        cost = self._cost(time_ps, traffic.moved_bytes)
        if cost > self._limit:
            return None
        if stage == EXACT:
            self._limit_by(cost, (row, traffic))
        # Of equals exact ones come last, so that all that may be as good are exact by then.
        node = (*cost, stage, next(self._turns), row, traffic)
        heappush(self._queue, node)
        return node

    def _plan_of(self, row: TileRow, traffic: MappingTraffic) -> Plan:
        """Return the plan of the best mapping, which memories of other sizes may share."""
        mapping, best = traffic.mapping, self._on_path.best
        if mapping not in best:
            best[mapping] = self._plans.get(mapping) or self._plan(mapping)
        self._all.good[mapping] = row, traffic
        plan: Plan = best[mapping]
        return plan

    def _plan(self, mapping: Mapping) -> Plan:
        every = self._all
        return Plan(every.array, self._pricing, every.shape, mapping, every.cycles)
