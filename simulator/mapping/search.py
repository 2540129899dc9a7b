"""The search for the best mapping of an operation: least time, or least traffic."""

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping, Sizes
from simulator.mapping.plan import Plan
from simulator.mapping.problem import ProblemShape
from simulator.mapping.sums import MappingTraffic, TileSums
from simulator.mapping.tiling import Mapspace
from simulator.memo import Memo, remember
from simulator.timing.pricing import Pricing, permille_written
from simulator.timing.schedules import has_one_stream
from simulator.timing.shares import WHOLE
from simulator.units import PS_PER_S, Clock

_PatternTime = Callable[[AccessPattern], int]


class Candidate(NamedTuple):
    """A tile, or a mapping with that tile, and lower bounds of its time and its traffic in bytes.

    `stage`: how tight the bound of time is, from 0, for all mappings of a tile, to 3, the exact
    time of a plan. `peak_ps`: bounds at the memory's peak rate, of the mapping and of its tile.
    `position`: where in the space they come, the number of the tile first. Both decide between
    equal plans.
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

Objective = tuple[int, int]
"""What a search minimises: time, then traffic, or the other way round."""


def _by_time(bound_ps: int, moved_bytes: int) -> Objective:
    return bound_ps, moved_bytes


def _by_traffic(bound_ps: int, moved_bytes: int) -> Objective:
    return moved_bytes, bound_ps


_OBJECTIVES = {"time": _by_time, "traffic": _by_traffic}
"""Values of `accelerator.mapping` that are searches; a rule without mappings searches by time."""


class _TransferTimes(NamedTuple):
    """Times of what a mapping moves in one repeat, at the memory or at the ports: its first loads,
    all loads, all stores, the last store.
    """

    first_ps: int
    loads_ps: int
    stores_ps: int
    last_ps: int


class _TransferBounds(NamedTuple):
    """What a mapping moves takes no less than this at the memory, nor than that at the ports."""

    channel: _TransferTimes
    ports: _TransferTimes


class _BestPlan(NamedTuple):
    """A plan that was best in memories of some size, with its tile and traffic."""

    tile: Sizes
    traffic: MappingTraffic
    plan: Plan


class _Evaluated(NamedTuple):
    """Mappings of an operation on an array and path: exact times, and those that were best."""

    exact_ps: dict[Mapping, int]
    best: dict[Mapping, _BestPlan]


# Guesses, enough for a sweep whose memories vary fastest: operations of one trace on 64 machines,
# of 4 kB each.
_MACHINES = 64
_EVALUATED: Memo[_Evaluated] = Memo("times of mappings", 64 * _MACHINES)
_CYCLES: Memo[dict[Sizes, int]] = Memo("cycles of tiles", 64 * _MACHINES)
_TRANSFERS: Memo[dict[Mapping, _TransferBounds]] = Memo("transfers of mappings", 64 * _MACHINES)


@remember("arrays without memories", most=_MACHINES)
def _without_memories(array: Accelerator) -> Accelerator:
    """Return `array` with memories of a byte: sizes decide what fits, not how long it takes."""
    sizes = {"scratchpad": 1, "accumulator": 1, "weight_buffer": None, "prefetch": 0}
    return array.model_copy(update=sizes)


class _TileTable:
    """The tiles of an operation that fit an array, in the order of the space, and all that bounds
    their mappings on any memory path.

    `good` was best on one path, and is often the best or nearly the best on the next.
    """

    def __init__(self, array: Accelerator, shape: ProblemShape) -> None:
        """Tabulate the tiles of `shape` on `array`."""
        self.space = Mapspace(array, shape)
        self._sums = TileSums(array, shape, self.space.preloaded)
        self.traffic = self._sums.traffic
        self._array, self._shape, self._clock = array, shape, Clock(array.clock)
        self._fill = shape.dataflow.fill_cycles(array)
        self.tiles = list(self.space.tiles())
        self.size, self.members = len(self.tiles), frozenset(self.tiles)
        self.busy_ps = [self._busy_ps(tile) for tile in self.tiles]
        self.end_bytes = [self.traffic.end_bytes(tile) for tile in self.tiles]
        self._least_compute_ps: dict[int, int] = {}
        self.good: MappingTraffic | None = None

    def least_compute_ps(self, number: int) -> int:
        """Return the time of the smallest computation, which may be the one that ends sooner."""
        least_ps = self._least_compute_ps.get(number)
        if least_ps is None:
            last = self.traffic.last_tile(self.tiles[number])
            cycles = self._shape.cycles(self._array, last) + min(0, self._fill)
            least_ps = self._least_compute_ps[number] = self._clock.cycles_to_ps(max(0, cycles))
        return least_ps

    def _busy_ps(self, tile: Sizes) -> int:
        cycles = self._shape.repeats * self._sums.cycles(tile) + self._fill
        return self._clock.cycles_to_ps(cycles)


# A guess: of some 20 kB, for the operations of a trace on the machines that a sweep is at.
_TABLES: Memo[_TileTable] = Memo("tiles of operations", 4 * _MACHINES)


def _table_of(array: Accelerator, shape: ProblemShape) -> _TileTable:
    return _TABLES.get((array, shape.key), lambda: _TileTable(array, shape))


class Search:
    """The best plan of a space: least time, then least traffic, or the other way round.

    Best-first search. The candidate with the lowest bound is refined: a tile into its mappings, a
    mapping by the time of its transfers, then by the recurrence of its pipeline. Bounds are
    admissible, so the first plan popped is optimal (A*). Candidates above a plan that is known are
    not queued.
    """

    def __init__(self, array: Accelerator, pricing: Pricing, shape: ProblemShape) -> None:
        """Search the space of `shape` on `array`."""
        self._table = table = _table_of(array, shape)
        self._traffic = table.traffic
        self._array, self._pricing, self.shape = _without_memories(array), pricing, shape
        key = shape.key
        self._evaluated = _EVALUATED.get((self._array, pricing, key), lambda: _Evaluated({}, {}))
        self._cycles = _CYCLES.get((self._array, key), dict)
        self._engine = pricing.engine(array)
        self._one_stream = has_one_stream(array)
        self._transfers = _TRANSFERS.get((self._engine, key, table.space.preloaded), dict)
        self._peak, self._repeats = pricing.peak_bytes_per_s, shape.repeats
        self._launch_ps = array.launch_latency
        ends = zip(table.busy_ps, table.end_bytes, strict=True)
        # Of each tile: all cycles after the first load and before the last store.
        self._busy_ps = [busy + size * PS_PER_S // self._peak for busy, size in ends]
        self._cost = _OBJECTIVES.get(array.mapping, _by_time)
        self._numbers = count(table.size)
        self._heap: list[tuple[int, int, int, int, Candidate | None]] = []
        self._limit: Objective | None = None

    def best(self) -> Plan:
        """Return the best plan; raises Infeasible when not even the smallest tile fits."""
        self._push_tiles()
        equals: list[Candidate] = []
        while self._heap:
            first, second, _, number, candidate = heappop(self._heap)
            if equals and (first, second) != self._limit:
                break
            if candidate is None:
                candidate = self.tile_candidate(number)
            if candidate.stage == EXACT:
                equals.append(candidate)
                continue
            for tighter in self.refine(candidate):
                self._push(tighter)
        if not equals:
            raise self._table.space.too_small()
        best = min(equals, key=self._tie_break) if len(equals) > 1 else equals[0]
        self._table.good = best.traffic
        return self._best_plan(best)

    def _best_plan(self, candidate: Candidate) -> Plan:
        """Return the plan of the best candidate, which memories of other sizes may share."""
        mapping, traffic, best = _mapping_of(candidate), candidate.traffic, self._evaluated.best
        if mapping not in best:
            assert traffic is not None, "a mapping has its traffic"
            best[mapping] = _BestPlan(candidate.tile, traffic, self._plan(mapping))
        return best[mapping].plan

    def _push_tiles(self) -> None:
        """Queue every tile whose bound does not exceed the plans that are known."""
        table, size = self._table, self._traffic.least_bytes
        self._limit = min(map(self._exact_cost, self._incumbents()), default=None)
        costs = [self._cost(self._at_peak_ps(number, size), size) for number in range(table.size)]
        self._heap = [
            (*cost, 0, number, None)
            for number, cost in enumerate(costs)
            if self._limit is None or cost <= self._limit
        ]
        heapify(self._heap)

    def _incumbents(self) -> list[MappingTraffic]:
        """Return what was best in memories of other sizes, or else on another memory path.

        A space has the first tiles that fit, so that it may lack what is best in smaller memories.
        """
        table = self._table
        best = [
            each.traffic
            for each in self._evaluated.best.values()
            if each.tile in table.members and table.space.fits(each.traffic)
        ]
        return best or [traffic for traffic in (table.good,) if traffic]

    def _exact_cost(self, traffic: MappingTraffic) -> Objective:
        size = traffic.read_bytes + traffic.write_bytes
        return self._cost(self._exact_ps(traffic.mapping), size)

    def _push(self, candidate: Candidate) -> None:
        cost, exact = (
            self._cost(candidate.bound_ps, candidate.moved_bytes),
            candidate.stage == EXACT,
        )
        if self._limit is not None and cost > self._limit:
            return
        if exact:
            self._limit = cost
        # Of equals exact ones come last, so that all that may be as good are exact by then.
        heappush(self._heap, (*cost, exact, next(self._numbers), candidate))

    def tile_candidate(self, number: int) -> Candidate:
        """Return a tile of the space with bounds for all its mappings."""
        size = self._traffic.least_bytes
        bound_ps = self._at_peak_ps(number, size)
        return Candidate(self._table.tiles[number], bound_ps, size, (bound_ps,), (number,))

    def refine(self, candidate: Candidate) -> Iterable[Candidate]:
        """Return the candidates of the next stage that `candidate` stands for."""
        if candidate.traffic is None:
            return self._mapping_candidates(candidate)
        if candidate.stage == 1:
            bound_ps = max(candidate.bound_ps, self._transfer_bound_ps(candidate))
            return (_at_stage(candidate, 2, bound_ps),)
        return (_at_stage(candidate, EXACT, self._exact_ps(_mapping_of(candidate))),)

    def _mapping_candidates(self, parent: Candidate) -> Iterator[Candidate]:
        """Yield the mappings of a tile."""
        tile, tile_ps, (number,) = parent.tile, parent.peak_ps, parent.position
        exact = self._evaluated.exact_ps
        for index, traffic in enumerate(self._table.space.fitting(tile)):
            size = traffic.read_bytes + traffic.write_bytes
            bound_ps, exact_ps = self._at_peak_ps(number, size), exact.get(traffic.mapping)
            peak_ps, position = (bound_ps, *tile_ps), (number, index)
            if exact_ps is None:
                yield Candidate(tile, bound_ps, size, peak_ps, position, traffic, 1)
            else:
                yield Candidate(tile, exact_ps, size, peak_ps, position, traffic, EXACT)

    def _at_peak_ps(self, number: int, size: int) -> int:
        """Return a lower bound of the time of mappings with this tile that move `size` bytes.

        All cycles after the first load and before the last store, or all bytes at the peak rate,
        whichever takes longer.
        """
        busy_ps, moved_ps = self._busy_ps[number], self._repeats * size * PS_PER_S // self._peak
        return self._launch_ps + (busy_ps if busy_ps > moved_ps else moved_ps)

    def _transfer_bound_ps(self, candidate: Candidate) -> int:
        traffic, mapping = candidate.traffic, _mapping_of(candidate)
        assert traffic is not None, "a mapping has its traffic"
        transfers = self._transfers.get(mapping)
        if transfers is None:
            written = permille_written(traffic.overlapped_read_bytes, traffic.write_bytes)
            channel = self._channel_times(candidate.tile, traffic, written)
            transfers = _TransferBounds(channel, self._port_times(candidate.tile, traffic))
            self._transfers[mapping] = transfers
        return self._moving_ps(candidate.position[0], *transfers)

    def _exact_ps(self, mapping: Mapping) -> int:
        exact_ps = self._evaluated.exact_ps.get(mapping)
        if exact_ps is None:
            exact_ps = self._plan(mapping).progress.duration_ps(WHOLE)
            self._evaluated.exact_ps[mapping] = exact_ps
        return exact_ps

    def _plan(self, mapping: Mapping) -> Plan:
        return Plan(self._array, self._pricing, self.shape, mapping, self._cycles)

    def _tie_break(self, plan: Candidate) -> tuple[int, ...]:
        """Return the key of the first among equal plans: the lowest bounds, then the position.

        Bounds are at the memory's rate for reads or writes alone, then at its peak rate.
        """
        assert plan.traffic is not None, "a plan has a mapping"
        unmixed = self._channel_times(plan.tile, plan.traffic, 0)
        unmixed_ps = self._moving_ps(plan.position[0], unmixed, _NO_TIMES)
        return max(plan.peak_ps[0], unmixed_ps), *plan.peak_ps, *plan.position

    def _moving_ps(self, number: int, channel: _TransferTimes, ports: _TransferTimes) -> int:
        """Return the bound by the transfers of a mapping with this tile.

        After the last load comes at least the smallest computation, then the last store. Loads and
        stores of one stream follow each other at its port, too.
        """
        table, repeats = self._table, self._repeats
        first_ps, loads_ps, stores_ps, last_ps = map(max, channel, ports)
        moved_ps = max(channel.loads_ps + channel.stores_ps, loads_ps, stores_ps)
        if self._one_stream:
            moved_ps = max(moved_ps, ports.loads_ps + ports.stores_ps)
        return self._launch_ps + max(
            first_ps + table.busy_ps[number] + last_ps,
            repeats * loads_ps + table.least_compute_ps(number) + last_ps,
            repeats * moved_ps,
        )

    def _channel_times(self, tile: Sizes, traffic: MappingTraffic, written: int) -> _TransferTimes:
        """Return the times at the memory's rate for these patterns, `written` permille writes."""
        cost = self._pricing.cost
        return self._transfer_times(
            tile,
            traffic,
            lambda pattern: cost(pattern, 0).channel_ps,
            lambda pattern: cost(pattern, written).channel_ps,
            sum,
        )

    def _port_times(self, tile: Sizes, traffic: MappingTraffic) -> _TransferTimes:
        """Return the times at the ports of the DMA engine."""
        port_ps = self._engine.port_ps
        together = max if self._engine.side_by_side else sum
        return self._transfer_times(tile, traffic, port_ps, port_ps, together)

    def _transfer_times(
        self,
        tile: Sizes,
        traffic: MappingTraffic,
        preload_ps: _PatternTime,
        time_ps: _PatternTime,
        together: Callable[[list[int]], int],
    ) -> _TransferTimes:
        """Return times of a mapping by those of its patterns; loads of a tile take so long
        `together`.
        """
        tiles, first_ps, loads_ps = self._traffic, [], []
        before_ps = sum([preload_ps(pattern) for pattern in tiles.preloads])
        for often, pieces in tiles.loads(tile, traffic):
            each_ps = [time_ps(pattern) for pattern, _ in pieces]
            first_ps.append(each_ps[0])
            once_ps = sum([n * ps for (_, n), ps in zip(pieces, each_ps, strict=True)])
            loads_ps.append(often * once_ps)
        stores = tiles.stores(tile)
        each_ps = [time_ps(pattern) for pattern, _ in stores]
        stores_ps = sum([n * ps for (_, n), ps in zip(stores, each_ps, strict=True)])
        return _TransferTimes(
            before_ps + (together(first_ps) if first_ps else 0),
            before_ps + (together(loads_ps) if loads_ps else 0),
            stores_ps,
            each_ps[-1],
        )


_NO_TIMES = _TransferTimes(0, 0, 0, 0)


def _at_stage(candidate: Candidate, stage: int, bound_ps: int) -> Candidate:
    """Return a candidate of a later stage."""
    tile, _, moved_bytes, peak_ps, position, traffic, _ = candidate
    return Candidate(tile, bound_ps, moved_bytes, peak_ps, position, traffic, stage)


def _mapping_of(candidate: Candidate) -> Mapping:
    assert candidate.traffic is not None, "only tiles have many mappings"
    return candidate.traffic.mapping
