"""An operation under one mapping: its tiles, their prices, and the work that they make up."""

from collections.abc import Iterator
from typing import NamedTuple

from simulator.activity import (
    ARRAY_MACS,
    SCRATCHPAD_READS,
    SCRATCHPAD_WRITES,
    SUM_READS,
    SUM_WRITES,
    Action,
    Counts,
    Repeat,
    Stage,
    TileRun,
    Work,
)
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.unit import ACCELERATOR
from simulator.mapping.loops import Mapping
from simulator.mapping.nest import TileVisit, census, nest
from simulator.mapping.problem import ProblemShape
from simulator.memo import Memo
from simulator.timing.dataflows import Accesses
from simulator.timing.pipeline import Pipelined, Tile, TileLoop
from simulator.timing.pricing import Pricing, Traffic, permille_written
from simulator.timing.schedules import schedule_of
from simulator.units import Clock, ceil_div


class TiledOp(NamedTuple):
    """An operation under one mapping, on any array: its tiles, how often each occurs, what each
    moves, and the write fraction (permille) of the traffic beside which it does so.
    """

    tiles: tuple[TileVisit | Repeat[TileVisit], ...]
    census: dict[TileVisit, int]
    runs: dict[TileVisit, TileRun]
    written: dict[TileVisit, int]
    serial: bool  # each store leaves with its own tile, on a machine in lockstep


# A guess, enough for a sweep over memories of all sizes: mappings refined to a plan, of about 4 kB.
_TILED: Memo[TiledOp] = Memo("tiled operations", 8192)


def tiled(shape: ProblemShape, mapping: Mapping) -> TiledOp:
    """Return `shape` under `mapping`; arrays and memories share equal ones."""
    return _TILED.get((shape.key, mapping), lambda: _tiled(shape, mapping))


def _tiled(shape: ProblemShape, mapping: Mapping) -> TiledOp:
    tiles = nest(shape, mapping)
    times = census(tiles)
    runs = {visit: _run(shape, visit) for visit in times}
    mixed = permille_written(*_overlapped_bytes(times, runs))
    written = {
        visit: mixed if visit.computes else permille_written(*_bytes(run))
        for visit, run in runs.items()
    }
    serial = any(loop.axis in shape.c_axes for loop in mapping.loops[mapping.region_from :])
    return TiledOp(tiles, times, runs, written, serial)


def _run(shape: ProblemShape, visit: TileVisit) -> TileRun:
    """Return the loads and stores of a tile; its cycles depend on the array and are 0 here."""
    sizes = visit.sizes
    loads = [shape.a(sizes)] if visit.load_a else []
    loads += [shape.b(visit.b_sizes or sizes)] if visit.load_b else []
    if visit.load_c:
        loads.append(shape.c(sizes, shape.widths.sum)._replace(write=False))
    bits = {"final": shape.widths.output, "partial": shape.widths.sum}
    stores = (shape.c(sizes, bits[visit.store]),) if visit.store else ()
    return TileRun(tuple(loads), 0, stores)


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


class Plan:
    """An operation under one mapping on one array and memory path."""

    def __init__(
        self, array: Accelerator, pricing: Pricing, shape: ProblemShape, mapping: Mapping
    ) -> None:
        """Tile `shape` for `array` as `mapping` says, and price its transfers."""
        self._array, self._pricing, self._shape, self._mapping = array, pricing, shape, mapping
        self._tiled = tiled(shape, mapping)
        self._cycles = {
            visit: shape.cycles(array, visit.sizes) if visit.computes else 0
            for visit in self._tiled.census
        }
        self.progress = self._progress()

    def work(self, useful_macs: int, reason: str) -> Work:
        """Return the work; `reason` says why it has this mapping."""
        array, shape = self._array, self._shape
        counts = self._counts(useful_macs)
        once = sum(n * self._cycles[visit] for visit, n in self._tiled.census.items())
        cycles = shape.repeats * once + shape.dataflow.fill_cycles(array)
        return Work(
            unit=ACCELERATOR,
            stage=Stage.GEMM,
            progress=self.progress,
            counts=counts,
            overhead_ps=self._launch_ps(),
            compute_ps=Clock(array.clock).cycles_to_ps(cycles),
            memory_ps=self._memory_ps(),
            compute_cycles=cycles,
            mapping=self._mapping.text,
            mapping_reason=reason,
        )

    def _progress(self) -> Pipelined:
        array, op, price = self._array, self._tiled, self._pricing.tile
        tiles = {
            visit: price(run._replace(compute_cycles=self._cycles[visit]), array, op.written[visit])
            ._replace(ends=visit.ends, drains=visit.drains, serial=op.serial)
            for visit, run in op.runs.items()
        }  # fmt: skip
        body = _priced(op.tiles, tiles)
        if self._shape.repeats > 1:
            body = (TileLoop(self._shape.repeats, body),)
        fill = self._shape.dataflow.fill_cycles(array)
        return Pipelined(body, fill, self._launch_ps(), Clock(array.clock), schedule_of(array))

    def _launch_ps(self) -> int:
        """Return the latency of the command, the host's own search for the mapping included."""
        array = self._array
        search = self._mapping.evaluated * array.mapping_step
        return array.launch_latency + Clock(array.clock).cycles_to_ps(search)

    def _memory_ps(self) -> int:
        """Return the time of all transfers in turn, at the channel or at the ports."""
        return max(self.progress.channel_ps, self.progress.port_ps)

    def _counts(self, useful_macs: int) -> Counts:
        shape = self._shape
        words, filled = self._array_words(), self._filled_bytes()
        traffic = self._dram_traffic()
        summed_bytes = words.partial_sums * shape.widths.sum // 8
        on_array = {
            ARRAY_MACS: shape.macs,
            SCRATCHPAD_READS: ceil_div((words.a_reads + words.b_reads) * shape.widths.operand, 8),
            SCRATCHPAD_WRITES: filled,
            SUM_READS: summed_bytes,
            SUM_WRITES: summed_bytes,
        }
        amounts = {Action(ACCELERATOR, what): amount for what, amount in on_array.items()}
        return Counts(amounts | traffic.actions, useful_macs, shape.macs)

    def _census(self) -> Iterator[tuple[TileVisit, int]]:
        """Yield each different tile, and how often it occurs in all repeats."""
        for visit, count in self._tiled.census.items():
            yield visit, count * self._shape.repeats

    def _dram_traffic(self) -> Traffic:
        op, traffic = self._tiled, Traffic()
        for visit, count in self._census():
            run = op.runs[visit]
            tile_traffic = self._pricing.traffic((*run.loads, *run.stores), op.written[visit])
            traffic = traffic.plus(tile_traffic, count)
        return traffic

    def _array_words(self) -> Accesses:
        """Return the words between the array and its memories."""
        a_reads = b_reads = sums = 0
        for visit, count in self._census():
            if visit.computes:
                words = self._shape.accesses(self._array, visit.sizes)
                a_reads += count * words.a_reads
                b_reads += count * words.b_reads
                sums += count * words.partial_sums
        return Accesses(a_reads, b_reads, sums)

    def _filled_bytes(self) -> int:
        """Return the bytes that all loads write to the scratchpads, in their width there."""
        return sum(count * self._loaded_bytes(visit) for visit, count in self._census())

    def _loaded_bytes(self, visit: TileVisit) -> int:
        shape, sizes = self._shape, visit.sizes
        a = shape.a_size(sizes) if visit.load_a else 0
        b = shape.b_size(visit.b_sizes or sizes) if visit.load_b else 0
        return a + b + (shape.c(sizes, shape.widths.sum).bytes if visit.load_c else 0)


def _bytes(run: TileRun) -> tuple[int, int]:
    """Return the bytes that a tile loads and stores."""
    loaded, stored = (sum(p.bytes for p in patterns) for patterns in (run.loads, run.stores))
    return loaded, stored


def _priced(
    body: "tuple[TileVisit | Repeat[TileVisit], ...]", tiles: dict[TileVisit, Tile]
) -> tuple[Tile | TileLoop, ...]:
    return tuple(
        TileLoop(node.times, _priced(node.body, tiles)) if isinstance(node, Repeat) else tiles[node]
        for node in body
    )
