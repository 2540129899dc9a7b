"""An operation under one mapping: its tiles, their prices, and the work that they make up."""

from dataclasses import dataclass
from functools import cached_property

from simulator.activity import (
    ARRAY_CYCLES,
    ARRAY_MACS,
    SCRATCHPAD_READS,
    SCRATCHPAD_WRITES,
    SUM_READS,
    SUM_WRITES,
    VECTOR_OPS,
    AccessPattern,
    Action,
    Counts,
    Repeat,
    Stage,
    TileRun,
    Work,
)
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.shared_cache import SharedCache
from simulator.hardware.unit import ACCELERATOR
from simulator.mapping.cache_hits import CacheHits, cache_hits
from simulator.mapping.cycles import TileCycles
from simulator.mapping.loops import Mapping
from simulator.mapping.nest import TileVisit, nest
from simulator.mapping.problem import ProblemShape
from simulator.mapping.spills import spills
from simulator.memo import Memo
from simulator.timing.dataflows import Accesses
from simulator.timing.pipeline import Pipelined, Tile
from simulator.timing.pricing import EnginePricing, Pricing, Traffic, permille_written
from simulator.timing.repeats import Nodes, Numbered, census, numbered
from simulator.timing.schedules import schedule_of
from simulator.timing.vector import vector_ps
from simulator.units import Clock, ceil_div


@dataclass(frozen=True, slots=True, eq=False)
class TiledOp:
    """An operation under one mapping, on any array: its tiles, how often each occurs, what each
    moves, and the write fraction (permille) of the traffic beside which it does so.
    """

    nodes: Nodes  # numbers of different tiles, in the order of `census`
    census: dict[TileVisit, int]
    runs: dict[TileVisit, TileRun]
    written: dict[TileVisit, int]
    serial: bool  # each store leaves with its own tile, on a machine in lockstep
    filled_bytes: int  # that all loads of one repeat write to the scratchpads, in their width there


# A guess, enough for a sweep over memories of all sizes: mappings refined to a plan, of about 4 kB.
_TILED: Memo[TiledOp] = Memo("tiled operations", 8192)


def tiled(shape: ProblemShape, mapping: Mapping, cache: SharedCache | None = None) -> TiledOp:
    """Return `shape` under `mapping`, behind a shared `cache` or none; arrays and memories share
    equal ones.
    """
    key = shape.key, mapping, cache
    return _TILED.get(key, lambda: _tiled(shape, mapping, cache))


def _tiled(shape: ProblemShape, mapping: Mapping, cache: SharedCache | None) -> TiledOp:
    tiles = nest(shape, mapping)
    times = census(tiles)
    hits = cache_hits(shape, mapping, cache, times.items())
    runs = {visit: _run(shape, visit, hits) for visit in times}
    mixed = permille_written(*_overlapped_bytes(times, runs))
    written = {
        visit: mixed if visit.computes else permille_written(*_bytes(run))
        for visit, run in runs.items()
    }
    serial = any(loop.axis in shape.c_axes for loop in mapping.loops[mapping.region_from :])
    filled = sum(count * _loaded_bytes(shape, visit) for visit, count in times.items())
    return TiledOp(numbered(tiles).nodes, times, runs, written, serial, filled)


def _loaded_bytes(shape: ProblemShape, visit: TileVisit) -> int:
    sizes = visit.sizes
    a = shape.a_size(sizes) if visit.load_a and "a" not in shape.resident else 0
    b = shape.b_size(visit.b_sizes or sizes) if visit.load_b and "b" not in shape.resident else 0
    sums = shape.c(sizes, shape.widths.sum).bytes if visit.load_c else 0
    return a + b + sums + sum(pattern.bytes for pattern in _epilogue_loads(shape, visit))


def _run(shape: ProblemShape, visit: TileVisit, hits: CacheHits) -> TileRun:
    """Return the loads and stores of a tile; its cycles depend on the array and are 0 here."""
    sizes = visit.sizes
    loads = [*hits.parts("a", shape.a(sizes))] if visit.load_a else []
    loads += hits.parts("b", shape.b(visit.b_sizes or sizes)) if visit.load_b else []
    if visit.load_c:
        loads.append(shape.c(sizes, shape.widths.sum)._replace(write=False))
    stores = [shape.c(sizes, bits) for bits in _stored_bits(shape, visit)]
    return TileRun((*loads, *_epilogue_loads(shape, visit)), 0, tuple(stores))


def _stored_bits(shape: ProblemShape, visit: TileVisit) -> tuple[int, ...]:
    """Return the bits per output of each tensor that a tile writes."""
    if not visit.store:
        return ()
    if visit.store == "partial":
        return (shape.widths.sum,)
    if "c" in shape.resident:
        return ()
    return shape.epilogue.writes if shape.epilogue else (shape.widths.output,)


def _epilogue_loads(shape: ProblemShape, visit: TileVisit) -> list[AccessPattern]:
    """Return what a tile's epilogue reads beside its outputs."""
    if shape.epilogue is None or visit.store != "final":
        return []
    return [shape.c(visit.sizes, bits)._replace(write=False) for bits in shape.epilogue.reads]


def _vector_ops(shape: ProblemShape, visit: TileVisit) -> int:
    """Return the operations of a vector unit in a tile's epilogue."""
    if shape.epilogue is None or visit.store != "final":
        return 0
    outputs = shape.c(visit.sizes, 8).bytes
    return ceil_div(outputs * shape.epilogue.millioperations, 1000)


def _overlapped_bytes(
    times: dict[TileVisit, int], runs: dict[TileVisit, TileRun]
) -> tuple[int, int]:
    """Return the bytes that tiles with a computation read and write."""
    read = write = 0
    for visit, count in times.items():
        if visit.computes:
            loaded, stored = _bytes(runs[visit])
            read, write = read + count * loaded, write + count * stored
    return read, write


class _TilePrices:
    """What the tiles of an operation move through one DMA engine: each different tile without its
    cycles, in the order of the census, and the traffic of one repeat.
    """

    def __init__(self, op: TiledOp, engine: EnginePricing) -> None:
        """Price the tiles of `op`."""
        self._op, self._path = op, engine.path
        self.tiles = tuple(
            [
                Tile(
                    engine.load(run.loads, op.written[visit]),
                    0,
                    engine.store(run.stores, op.written[visit]),
                    visit.ends,
                    visit.drains,
                    op.serial,
                    visit.waits,
                )
                for visit, run in op.runs.items()
            ]
        )

    @cached_property
    def traffic(self) -> Traffic:
        """The traffic of one repeat."""
        op, total = self._op, Traffic()
        for visit, count in op.census.items():
            run = op.runs[visit]
            once = self._path.traffic((*run.loads, *run.stores), op.written[visit])
            total = total.plus(once, count)
        return total


# A guess: arrays of all sizes with the same engine share them, of about 2 kB.
_PRICES: Memo[_TilePrices] = Memo("transfers of tiled operations", 2048)


def _prices(op: TiledOp, engine: EnginePricing) -> _TilePrices:
    return _PRICES.get((op, engine), lambda: _TilePrices(op, engine))


class Plan:
    """An operation under one mapping on one array and memory path."""

    def __init__(
        self,
        array: Accelerator,
        pricing: Pricing,
        shape: ProblemShape,
        mapping: Mapping,
        cycles: TileCycles | None = None,
    ) -> None:
        """Tile `shape` for `array` as `mapping` says, and price its transfers.

        `cycles`: those on this array, if some are known.
        """
        self._array, self._shape, self.mapping = array, shape, mapping
        self._tiled = tiled(shape, mapping, pricing.cache)
        self._prices = _prices(self._tiled, pricing.engine(array))
        self._cycles = cycles or TileCycles(array, shape)
        self.progress = self._progress()

    def work(self, useful_macs: int, reason: str) -> Work:
        """Return the work; `reason` says why it has this mapping. Equal ones are one."""
        return _WORKS.get((self, useful_macs, reason), lambda: self._work(useful_macs, reason))

    def _work(self, useful_macs: int, reason: str) -> Work:
        array = self._array
        census = self._tiled.census.items()
        shape = self._shape
        once = sum([n * self._cycles.of(visit.sizes) for visit, n in census if visit.computes])
        skipped = sum([n * shape.skipped_cycles(array, v.sizes) for v, n in census if v.computes])
        cycles = shape.repeats * once + self._cycles.fill
        counts = self._counts(useful_macs, cycles)
        return Work(
            unit=ACCELERATOR,
            stage=Stage.GEMM,
            progress=self.progress,
            counts=counts,
            overhead_ps=self._launch_ps(),
            compute_ps=Clock(array.clock).cycles_to_ps(cycles),
            memory_ps=self._memory_ps(),
            compute_cycles=cycles,
            mapping=self._text,
            mapping_reason=reason,
            skipped_macs=shape.skipped_macs,
            skipped_ps=Clock(array.clock).cycles_to_ps(shape.repeats * skipped),
        )

    @property
    def _text(self) -> str:
        """The mapping in words, and how often its sums move to memory and back."""
        often = spills(self._shape, self.mapping)
        return f"{self.mapping.text}, sums spilled x {often}" if often else self.mapping.text

    def _progress(self) -> Pipelined:
        array, op, cycles = self._array, self._tiled, self._cycles
        tiles = tuple(
            [
                Tile(tile.load, cycles.of(visit.sizes), *tile[2:]) if visit.computes else tile
                for visit, tile in zip(op.census, self._prices.tiles, strict=True)
            ]
        )
        if self._shape.epilogue is not None:
            tiles = tuple(map(self._with_epilogue, op.census, tiles))
        repeats = self._shape.repeats
        nodes = (Repeat(repeats, op.nodes),) if repeats > 1 else op.nodes
        body, clock = Numbered(nodes, tiles), Clock(array.clock)
        return Pipelined(body, cycles.fill, self._launch_ps(), clock, schedule_of(array))

    def _with_epilogue(self, visit: TileVisit, tile: Tile) -> Tile:
        """Return a tile whose outputs pass the vector unit, which may be slower than the port."""
        computed_ps = vector_ps(self._array, _vector_ops(self._shape, visit))
        store = tile.store
        return tile._replace(store=store._replace(port_ps=max(store.port_ps, computed_ps)))

    def _launch_ps(self) -> int:
        """Return the latency of the command, the host's own search for the mapping included."""
        array = self._array
        search = self.mapping.evaluated * array.mapping_step
        return array.launch_latency + Clock(array.clock).cycles_to_ps(search)

    def _memory_ps(self) -> int:
        """Return the time of all transfers in turn, at the channel or at the ports."""
        return max(self.progress.channel_ps, self.progress.port_ps)

    def _counts(self, useful_macs: int, cycles: int) -> Counts:
        shape = self._shape
        words, filled = self._array_words(), shape.repeats * self._tiled.filled_bytes
        traffic = Traffic().plus(self._prices.traffic, shape.repeats)
        a, b = shape.widths.of("a"), shape.widths.of("b")
        read_bits = words.a_reads * a.scratchpad + words.b_reads * b.scratchpad
        summed_bytes = words.partial_sums * shape.widths.sum // 8
        on_array = {
            ARRAY_MACS: shape.macs,
            ARRAY_CYCLES: self._array.elements * cycles,
            SCRATCHPAD_READS: ceil_div(read_bits, 8),
            SCRATCHPAD_WRITES: filled,
            SUM_READS: summed_bytes,
            SUM_WRITES: summed_bytes,
        }
        census = self._tiled.census.items()
        on_vector = shape.repeats * sum(n * _vector_ops(shape, visit) for visit, n in census)
        on_array |= {VECTOR_OPS: on_vector} if on_vector else {}
        amounts = {Action(ACCELERATOR, what): amount for what, amount in on_array.items()}
        return Counts(amounts | traffic.actions, useful_macs, shape.macs)

    def _array_words(self) -> Accesses:
        """Return the words between the array and its memories."""
        repeats, total = self._shape.repeats, Accesses(0, 0, 0)
        for visit, count in self._tiled.census.items():
            if visit.computes:
                often, each = repeats * count, self._shape.accesses(self._array, visit.sizes)
                total = Accesses(*[n + often * m for n, m in zip(total, each, strict=True)])
        return total


# A guess: the best plans of some tens of designs, each of about 4 kB.
_WORKS: Memo[Work] = Memo("works of plans", 2048)


def _bytes(run: TileRun) -> tuple[int, int]:
    """Return the bytes that a tile loads and stores."""
    loaded, stored = (sum(p.bytes for p in patterns) for patterns in (run.loads, run.stores))
    return loaded, stored
