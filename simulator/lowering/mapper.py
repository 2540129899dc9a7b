"""The best tiling of a GEMM for this accelerator and memory, and the work that it becomes."""

from collections.abc import Hashable
from itertools import product
from typing import NamedTuple

from simulator.activity import Counts, Repeat, Stage, TileRun, Unit, Work
from simulator.hardware.soc import Accelerator
from simulator.lowering.pricing import Pricing, permille_written
from simulator.lowering.shape import GemmShape
from simulator.lowering.tiling import Tiling, candidates, cut, tiles
from simulator.timing.pipeline import Pipelined
from simulator.timing.shares import WHOLE
from simulator.timing.systolic import Dims, accesses, fill_cycles, total_cycles
from simulator.units import PS_PER_S, Clock, ceil_div


class _Candidate(NamedTuple):
    """A tiling with a time that it can never beat, its cycles and its bytes, per repeat."""

    least_ps: int
    cycles: int
    read_bytes: int
    write_bytes: int
    tiling: Tiling

    @property
    def written(self) -> int:
        """Share of writes in its traffic, in permille."""
        return permille_written(self.read_bytes, self.write_bytes)


class _Cuts(NamedTuple):
    """Sizes and counts of the tiles along m, n and k, and how often all of A and B are loaded."""

    m: list[tuple[int, int]]
    n: list[tuple[int, int]]
    k: list[tuple[int, int]]
    a_rounds: int
    b_rounds: int


_MAPPED: dict[Hashable, Work] = {}
_MOST = 100_000  # mappings kept by one process; enough for a sweep of any size over one trace


def mapped(array: Accelerator, pricing: Pricing, shape: GemmShape, useful_macs: int) -> Work:
    """Return `map_gemm`, remembered for every equal array, memory path and shape."""
    key = (array, pricing, shape.key, useful_macs)
    work = _MAPPED.get(key)
    if work is None:
        if len(_MAPPED) >= _MOST:
            _MAPPED.clear()
        work = _MAPPED[key] = map_gemm(array, shape, useful_macs, pricing)
    return work


def map_gemm(array: Accelerator, shape: GemmShape, useful_macs: int, pricing: Pricing) -> Work:
    """Return the accelerator's work for `shape` under the fastest tiling of the mapper's space.

    `useful_macs` are those that the operation asks for; the array may execute more.
    Raises Infeasible when no tile fits.
    """
    found = sorted(_candidate(array, shape, t, pricing) for t in candidates(array, shape))
    best, progress = found[0], _progress(array, shape, found[0], pricing)
    best_ps = progress.duration_ps(WHOLE)
    for candidate in found[1:]:
        if candidate.least_ps >= best_ps:
            break
        if _memory_ps(shape, candidate, pricing) >= best_ps:
            continue
        challenger = _progress(array, shape, candidate, pricing)
        if challenger.duration_ps(WHOLE) < best_ps:
            best, progress, best_ps = candidate, challenger, challenger.duration_ps(WHOLE)
    return _work(array, shape, best, progress, useful_macs, pricing)


def _candidate(
    array: Accelerator, shape: GemmShape, tiling: Tiling, pricing: Pricing
) -> _Candidate:
    """Return the tiling with its bound: all cycles after the first load and before the last
    store, or all bytes at the peak rate, whichever takes longer.
    """
    cuts = _cuts(shape, tiling)
    cycles = total_cycles(array, cuts.m, cuts.n, cuts.k)
    read = cuts.a_rounds * sum(p * q * shape.a_bytes(m, k) for m, p in cuts.m for k, q in cuts.k)
    read += cuts.b_rounds * sum(p * q * shape.b_bytes(k, n) for k, p in cuts.k for n, q in cuts.n)
    write = shape.c_bytes(shape.dims.m, shape.dims.n)
    tile = tiling.tile
    ends = shape.a_bytes(tile.m, tile.k) + shape.b_bytes(tile.k, tile.n)
    ends += shape.c_bytes(cuts.m[-1][0], cuts.n[-1][0])
    peak = pricing.peak_bytes_per_s
    busy_ps = Clock(array.clock).cycles_to_ps(shape.repeats * cycles + fill_cycles(array))
    memory_ps = shape.repeats * (read + write) * PS_PER_S // peak
    return _Candidate(
        max(busy_ps + ends * PS_PER_S // peak, memory_ps), cycles, read, write, tiling
    )


def _cuts(shape: GemmShape, tiling: Tiling) -> _Cuts:
    m, n, k = (cut(d, t) for d, t in zip(shape.dims, tiling.tile, strict=True))
    m_tiles, n_tiles, k_tiles = (sum(count for _, count in sizes) for sizes in (m, n, k))
    a_outer = tiling.outer == "m"
    a_stays = (k_tiles == 1 and (a_outer or m_tiles == 1)) or (tiling.resident and not a_outer)
    b_stays = (k_tiles == 1 and (not a_outer or n_tiles == 1)) or (tiling.resident and a_outer)
    return _Cuts(m, n, k, 1 if a_stays else n_tiles, 1 if b_stays else m_tiles)


def _memory_ps(shape: GemmShape, candidate: _Candidate, pricing: Pricing) -> int:
    """Return the memory time of all transfers of a candidate."""
    cuts, written = _cuts(shape, candidate.tiling), candidate.written
    total = 0
    for m, p in cuts.m:
        for k, q in cuts.k:
            cost = pricing.cost(shape.a_pattern(m, k), written)
            total += cuts.a_rounds * p * q * cost.channel_ps
        for n, q in cuts.n:
            total += p * q * pricing.cost(shape.c_pattern(m, n), written).channel_ps
    for k, p in cuts.k:
        for n, q in cuts.n:
            cost = pricing.cost(shape.b_pattern(k, n), written)
            total += cuts.b_rounds * p * q * cost.channel_ps
    return shape.repeats * total


def _body(
    array: Accelerator, shape: GemmShape, candidate: _Candidate
) -> tuple[TileRun | Repeat, ...]:
    body = tiles(array, shape, candidate.tiling)
    return (Repeat(shape.repeats, body),) if shape.repeats > 1 else body


def _progress(
    array: Accelerator, shape: GemmShape, candidate: _Candidate, pricing: Pricing
) -> Pipelined:
    body = _body(array, shape, candidate)
    return Pipelined(
        pricing.priced(body, array.dma_bandwidth, candidate.written),
        fill_cycles(array),
        array.launch_latency,
        Clock(array.clock),
    )


def _work(
    array: Accelerator,
    shape: GemmShape,
    chosen: _Candidate,
    progress: Pipelined,
    useful_macs: int,
    pricing: Pricing,
) -> Work:
    dims = shape.dims
    cycles = shape.repeats * chosen.cycles + fill_cycles(array)
    moved = shape.repeats * (chosen.read_bytes + chosen.write_bytes)
    return Work(
        unit=Unit.ACCELERATOR,
        stage=Stage.GEMM,
        progress=progress,
        counts=_counts(array, shape, chosen, useful_macs, pricing),
        overhead_ps=array.launch_latency,
        compute_ps=Clock(array.clock).cycles_to_ps(cycles),
        memory_ps=max(progress.channel_ps, pricing.port_ps(moved, array.dma_bandwidth)),
        batch=shape.batch,
        m=dims.m,
        n=dims.n,
        k=dims.k,
        compute_cycles=cycles,
    )


def _counts(
    array: Accelerator,
    shape: GemmShape,
    chosen: _Candidate,
    useful_macs: int,
    pricing: Pricing,
) -> Counts:
    traffic = pricing.body_traffic(_body(array, shape, chosen), chosen.written)
    operand_reads, sums = _array_accesses(array, shape, chosen)
    issued = shape.repeats * shape.dims.m * shape.dims.n * shape.dims.k
    return Counts(
        macs=useful_macs,
        macs_issued=issued,
        array_macs=useful_macs,
        array_macs_issued=issued,
        scratchpad_read_bytes=shape.repeats * ceil_div(operand_reads * shape.bits, 8),
        scratchpad_write_bytes=traffic.read_bytes,
        accumulator_read_bytes=shape.repeats * sums * shape.accumulator_bits // 8,
        accumulator_write_bytes=shape.repeats * sums * shape.accumulator_bits // 8,
        interconnect_bytes=traffic.read_bytes + traffic.write_bytes,
        dram_read_bytes=traffic.read_bytes,
        dram_write_bytes=traffic.write_bytes,
        dram_activates=traffic.activates,
        dram_read_bursts=traffic.read_bursts,
        dram_write_bursts=traffic.write_bursts,
    )


def _array_accesses(array: Accelerator, shape: GemmShape, chosen: _Candidate) -> tuple[int, int]:
    """Return the operand words that the array reads, and the partial sums that it writes."""
    cuts = _cuts(shape, chosen.tiling)
    operands = sums = 0
    for (m, p), (n, q), (k, r) in product(cuts.m, cuts.n, cuts.k):
        words = accesses(array, Dims(m, n, k))
        operands += p * q * r * (words.a_reads + words.b_reads)
        sums += p * q * r * words.partial_sums
    return operands, sums
