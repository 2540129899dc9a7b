"""Lower bounds of the time of mappings on a memory path: by what their tiles compute and move."""

from math import prod
from operator import mul
from typing import NamedTuple

from simulator.mapping.loops import Mapping, Sizes
from simulator.mapping.sums import MappingTraffic, Pieces, TileTraffic
from simulator.mapping.tiling import ArraySpace, TileRow
from simulator.memo import Memo
from simulator.timing.pricing import EVEN, EnginePricing, Pricing, rarer_permille
from simulator.timing.schedules import has_one_stream
from simulator.units import PS_PER_S, ceil_div


class _PieceTimes(NamedTuple):
    """Times of the tiles of an operand: of the one that is loaded first or stored last, and of all
    `number`. At the channel, `alone` in traffic of one direction and in an `even` mix of both, and
    at the ports. The `least` of any tile, and the most that any takes at either in any traffic.
    """

    one_alone_ps: int
    one_even_ps: int
    one_port_ps: int
    all_alone_ps: int
    all_even_ps: int
    all_port_ps: int
    least_alone_ps: int
    least_port_ps: int
    most_ps: int
    number: int

    def beside(self, other: "_PieceTimes", times: int) -> "_PieceTimes":
        """Return these tiles and `times` all the others, none of which is first or last."""
        return self._replace(
            all_alone_ps=self.all_alone_ps + times * other.all_alone_ps,
            all_even_ps=self.all_even_ps + times * other.all_even_ps,
            all_port_ps=self.all_port_ps + times * other.all_port_ps,
            least_alone_ps=min(self.least_alone_ps, other.least_alone_ps),
            least_port_ps=min(self.least_port_ps, other.least_port_ps),
            most_ps=max(self.most_ps, other.most_ps),
            number=self.number + times * other.number,
        )


class _Moves(NamedTuple):
    """What a mapping moves, at the memory or its port, whichever takes longer, on any array.

    `first_ps`: its first loads, `loads_ps`: all of them, `last_ps`: its last store, all with the
    time in which they arrive. `moved_ps`: all loads and stores. At each of `turns` the array waits
    for at least `waits_ps` while it computes one tile, and the stream for at least a computation
    while it moves for at most `hides_ps`.
    """

    first_ps: int
    loads_ps: int
    last_ps: int
    moved_ps: int
    turns: int = 0
    waits_ps: int = 0
    hides_ps: int = 0

    def bound_ps(self, busy_ps: int, least_ps: int, most_ps: int) -> int:
        """Return the least time with computations of `busy_ps`, each of `least_ps` to `most_ps`.

        After the last load comes at least the smallest computation, then the last store.
        """
        busy_ps += self.first_ps + self.last_ps
        moved_ps = self.moved_ps
        if self.turns:
            busy_ps += self.turns * max(0, self.waits_ps - most_ps)
            moved_ps += self.turns * max(0, least_ps - self.hides_ps)
        return max(busy_ps, self.loads_ps + least_ps + self.last_ps, moved_ps)


class _PathMoves:
    """Times of what the mappings of an operation move through a DMA engine; `one_stream` serves
    loads and stores or not.
    """

    def __init__(self, engine: EnginePricing, traffic: TileTraffic, *, one_stream: bool) -> None:
        """Time the tiles of `traffic`."""
        self._engine, self._traffic, self._one_stream = engine, traffic, one_stream
        self._repeats = traffic.shape.repeats
        self._operands: dict[Sizes, tuple[list[_PieceTimes], _PieceTimes]] = {}
        self._moves: dict[Mapping, _Moves] = {}
        preloads = [*map(engine.path.at_best, traffic.preloads)]
        self._preload_ps = sum([engine.path.cost(each, 0).channel_ps for each in preloads])
        self._preload_port_ps = sum(map(engine.port_ps, preloads))

    def of(self, tile: Sizes, traffic: MappingTraffic) -> _Moves:
        """Return what a mapping moves at memory and ports."""
        moves = self._moves.get(traffic.mapping)
        if moves is None:
            moves = self._moves[traffic.mapping] = self._both(tile, traffic)
        return moves

    def unmixed(self, tile: Sizes, traffic: MappingTraffic) -> _Moves:
        """Return what a mapping moves at the memory's rate for reads or writes alone."""
        return self._at_channel(*self._of_mapping(tile, traffic), 0)

    def _both(self, tile: Sizes, traffic: MappingTraffic) -> _Moves:
        """Return the longer times of both, and at how many turns the stream or the array waits."""
        loads, stores, often = self._of_mapping(tile, traffic)
        channel = self._at_channel(loads, stores, often, rarer_permille(traffic.written))
        ports = self._at_ports(loads, stores, often)
        first_ps, loads_ps, last_ps, moved_ps, *_ = map(max, channel, ports)
        arrival_ps = self._engine.latency_ps if first_ps else 0
        turns = self._turns(tile, loads, stores, often)
        return _Moves(first_ps, loads_ps, last_ps + arrival_ps, moved_ps, *turns)

    def _at_channel(
        self, loads: list[_PieceTimes], stores: _PieceTimes, often: tuple[int, ...], rarer: int
    ) -> _Moves:
        """Return the times at the memory, `rarer` permille of the bytes in the rarer direction."""
        first_ps = loads_ps = self._preload_ps
        for load, times in zip(loads, often, strict=True):
            first_ps += _mixed_ps(load.one_alone_ps, load.one_even_ps, 1, rarer)
            loads_ps += times * _mixed_ps(load.all_alone_ps, load.all_even_ps, load.number, rarer)
        stores_ps = _mixed_ps(stores.all_alone_ps, stores.all_even_ps, stores.number, rarer)
        last_ps = _mixed_ps(stores.one_alone_ps, stores.one_even_ps, 1, rarer)
        return self._repeated(first_ps, loads_ps, last_ps, loads_ps + stores_ps)

    def _at_ports(
        self, loads: list[_PieceTimes], stores: _PieceTimes, often: tuple[int, ...]
    ) -> _Moves:
        """Return the times at the ports of the DMA engine."""
        first_ps = loads_ps = self._preload_port_ps
        if loads:
            together = max if self._engine.side_by_side else sum
            first_ps += together([load.one_port_ps for load in loads])
            loads_ps += together(
                [n * load.all_port_ps for load, n in zip(loads, often, strict=True)]
            )
        stores_ps = stores.all_port_ps
        moved_ps = loads_ps + stores_ps if self._one_stream else max(loads_ps, stores_ps)
        return self._repeated(first_ps, loads_ps, stores.one_port_ps, moved_ps)

    def _repeated(self, first_ps: int, loads_ps: int, last_ps: int, moved_ps: int) -> _Moves:
        return _Moves(first_ps, self._repeats * loads_ps, last_ps, self._repeats * moved_ps)

    def _turns(
        self, tile: Sizes, loads: list[_PieceTimes], stores: _PieceTimes, often: tuple[int, ...]
    ) -> tuple[int, int, int]:
        """Return how often a stream that both loads and stores turns from one reduction to the
        next, if a reduction takes several tiles, and what waits then.

        It still loads one tile before it stores. The store waits for the last computation, so that
        the stream is idle for what that takes longer than one load. The next load waits for the
        store, so that the array is idle for what store and load take longer than one computation.
        """
        sizes = zip(self._traffic.whole, tile, strict=True)
        tiles = prod([ceil_div(size, step) for size, step in sizes])
        with_each = [
            load for load, times in zip(loads, often, strict=True) if times * load.number == tiles
        ]
        steady = self._engine.path.cache is None  # else a tile may take longer than the others
        if not self._one_stream or stores.number == tiles or not with_each or not steady:
            return 0, 0, 0
        latency_ps = self._engine.latency_ps
        load_ps = max(
            sum([load.least_alone_ps for load in with_each]),
            sum([load.least_port_ps for load in with_each]),
        )
        waits_ps = max(stores.least_alone_ps, stores.least_port_ps) + load_ps + latency_ps
        hides_ps = sum([load.most_ps for load in loads]) - latency_ps + 1
        return self._repeats * stores.number - 1, waits_ps, hides_ps

    def _of_mapping(
        self, tile: Sizes, traffic: MappingTraffic
    ) -> tuple[list[_PieceTimes], _PieceTimes, tuple[int, ...]]:
        """Return the times of what a mapping loads and of what it stores, and how often each of the
        loads takes place. Sums are not loaded first, nor stored last.
        """
        loads, stores = self._of_tile(tile)
        if not traffic.spills:
            return loads, stores, traffic.reloads
        spilled = self._traffic.spilled(tile)
        returned = [(pattern._replace(write=False), count) for pattern, count in spilled]
        sums = _times_of(self._engine, returned, 0)
        sums = sums._replace(one_alone_ps=0, one_even_ps=0, one_port_ps=0)
        stores = stores.beside(_times_of(self._engine, spilled, 0), traffic.spills)
        return [*loads, sums], stores, (*traffic.reloads, traffic.spills)

    def _of_tile(self, tile: Sizes) -> tuple[list[_PieceTimes], _PieceTimes]:
        """Return the times of the operands that are loaded with tiles of a size, and of outputs."""
        operands = self._operands.get(tile)
        if operands is None:
            loads = [_times_of(self._engine, pieces, 0) for pieces in self._traffic.loads(tile)]
            stores = _times_of(self._engine, self._traffic.stores(tile), -1)
            operands = self._operands[tile] = loads, stores
        return operands


def _times_of(engine: EnginePricing, pieces: Pieces, one: int) -> _PieceTimes:
    """Return the times of an operand's tiles, and of the `one` at that index."""
    cost, counts = engine.path.cost, [count for _, count in pieces]
    patterns = [engine.path.at_best(pattern) for pattern, _ in pieces]
    alone = [cost(pattern, 0).channel_ps for pattern in patterns]
    even = [cost(pattern, EVEN).channel_ps for pattern in patterns]
    ports = [engine.port_ps(pattern) for pattern in patterns]
    return _PieceTimes(
        alone[one],
        even[one],
        ports[one],
        sum(map(mul, counts, alone)),
        sum(map(mul, counts, even)),
        sum(map(mul, counts, ports)),
        min(alone),
        min(ports),
        max(*even, *ports),
        sum(counts),
    )


def _mixed_ps(alone_ps: int, even_ps: int, count: int, rarer: int) -> int:
    """Return a lower bound of the channel time of `count` accesses in mixed traffic.

    It grows in proportion to the rarer direction, but for the rounding of each access.
    """
    return alone_ps + max(0, (even_ps - alone_ps) * rarer // EVEN - count)


# A guess: operations of one trace on 64 memory paths, of some 10 kB each.
_PATHS: Memo[_PathMoves] = Memo("transfers of mappings", 4096)


class Bounds:
    """Lower bounds of the time of an array's mappings on a memory path."""

    def __init__(self, space: ArraySpace, pricing: Pricing) -> None:
        """Bound the mappings of `space` on the memory path of `pricing`."""
        self._space, array = space, space.array
        self._traffic = traffic = space.traffic
        self._launch_ps, self._repeats = array.launch_latency, space.shape.repeats
        self._peak = pricing.peak_bytes_per_s
        self._busy_ps: dict[int, int] = {}  # with first load and last store, by the tile's place
        engine, one_stream = pricing.engine(array), has_one_stream(array)
        self._rate = engine.sustained_bytes_per_s(one_stream=one_stream)
        # Before the first computation its operands arrive, unless both lie in the scratchpad.
        self._start_ps = self._launch_ps
        if not {"a", "b"} <= space.shape.resident:
            self._start_ps += engine.latency_ps
        self._moves = _PATHS.get(
            (engine, traffic, one_stream),
            lambda: _PathMoves(engine, traffic, one_stream=one_stream),
        )

    def at_peak_ps(self, row: TileRow, size: int) -> int:
        """Return a lower bound of the time of mappings with this tile that move `size` bytes.

        All cycles after the first load and before the last store, or all bytes at the best rate
        of memory and ports, whichever takes longer.
        """
        busy_ps = self._busy_ps.get(row.place) or self._with_ends_ps(row)
        moved_ps = self._launch_ps + self._repeats * size * PS_PER_S // self._rate
        return busy_ps if busy_ps > moved_ps else moved_ps

    def at_memory_ps(self, row: TileRow, size: int) -> int:
        """Return that bound at the peak rate of the memory, however fast the ports are: by it
        equal plans are ranked, whatever engine moves them.
        """
        ends_ps = self._traffic.end_bytes(row.tile) * PS_PER_S // self._peak
        moved_ps = self._repeats * size * PS_PER_S // self._peak
        return self._launch_ps + max(row.busy_ps + ends_ps, moved_ps)

    def _with_ends_ps(self, row: TileRow) -> int:
        """Return the time of launch, of the first load and the last store of a tile at the peak
        rate, and of all cycles.
        """
        ends_ps = self._traffic.end_bytes(row.tile) * PS_PER_S // self._rate
        busy_ps = self._busy_ps[row.place] = self._start_ps + row.busy_ps + ends_ps
        return busy_ps

    def by_transfers_ps(self, row: TileRow, traffic: MappingTraffic) -> int:
        """Return a lower bound by the times of a mapping's transfers at memory and ports."""
        return self._bound_ps(row, self._moves.of(row.tile, traffic))

    def unmixed_ps(self, row: TileRow, traffic: MappingTraffic) -> int:
        """Return that bound at the memory's rate for reads or writes alone."""
        return self._bound_ps(row, self._moves.unmixed(row.tile, traffic))

    def _bound_ps(self, row: TileRow, moves: _Moves) -> int:
        return self._launch_ps + moves.bound_ps(row.busy_ps, *self._space.compute_ps(row.tile))
