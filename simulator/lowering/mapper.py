"""The best tiling of a GEMM for this accelerator and memory, and the work that it becomes."""

from typing import NamedTuple

from simulator.activity import Counts, Repeat, Stage, TileRun, Unit, Work
from simulator.hardware.soc import Accelerator
from simulator.lowering.pricing import Pricing, permille_written
from simulator.lowering.shape import GemmShape
from simulator.lowering.tiling import Tiling, candidates, cut, tiles
from simulator.timing.pipeline import Pipelined
from simulator.timing.shares import WHOLE
from simulator.timing.systolic import Dims, accesses, fill_cycles, tile_cycles
from simulator.units import PS_PER_S, Clock, ceil_div


class _Bound(NamedTuple):
    """A tiling with its cycles, its bytes, and a time that it can never beat."""

    ps: int
    cycles: int
    read_bytes: int
    write_bytes: int
    tiling: Tiling


def map_gemm(array: Accelerator, shape: GemmShape, useful_macs: int, pricing: Pricing) -> Work:
    """Return the accelerator's work for `shape` under the fastest tiling of the mapper's space.

    `useful_macs` are those that the operation asks for; the array may execute more.
    Raises Infeasible when no tile fits.
    """
    bounds = sorted(_bound(array, shape, tiling, pricing) for tiling in candidates(array, shape))
    best, best_ps = None, 0
    for bound in bounds:
        if best is not None and bound.ps >= best_ps:
            break
        planned = _plan(array, shape, bound, pricing)
        duration = planned.progress.duration_ps(WHOLE)
        if best is None or duration < best_ps:
            best, best_ps = planned, duration
    assert best is not None, "candidates() yields at least one tiling or raises"
    return _work(array, shape, best, useful_macs)


class _Plan(NamedTuple):
    bound: _Bound
    progress: Pipelined
    counts: Counts


def _bound(array: Accelerator, shape: GemmShape, tiling: Tiling, pricing: Pricing) -> _Bound:
    cycles, read, write = 0, 0, 0
    m_tiles, n_tiles, k_tiles = (
        ceil_div(d, t) for d, t in zip(shape.dims, tiling.tile, strict=True)
    )
    rounds_a, rounds_b = _rounds(tiling, m_tiles, n_tiles, k_tiles)
    sizes = [cut(d, t) for d, t in zip(shape.dims, tiling.tile, strict=True)]
    for m, m_count in sizes[0]:
        for k, k_count in sizes[2]:
            read += rounds_a * m_count * k_count * shape.a_bytes(m, k)
            for n, n_count in sizes[1]:
                cycles += m_count * n_count * k_count * tile_cycles(array, Dims(m, n, k))
        for n, n_count in sizes[1]:
            write += m_count * n_count * shape.c_bytes(m, n)
    for k, k_count in sizes[2]:
        for n, n_count in sizes[1]:
            read += rounds_b * k_count * n_count * shape.b_bytes(k, n)
    repeats = shape.batch * shape.passes
    compute_ps = Clock(array.clock).cycles_to_ps(repeats * cycles + fill_cycles(array))
    tile = tiling.tile
    ends = shape.a_bytes(tile.m, tile.k) + shape.b_bytes(tile.k, tile.n)
    exposed = ends * PS_PER_S // pricing.peak_bytes_per_s
    memory = repeats * (read + write) * PS_PER_S // pricing.peak_bytes_per_s
    return _Bound(
        max(compute_ps + exposed, memory), repeats * cycles, repeats * read, repeats * write, tiling
    )


def _rounds(tiling: Tiling, m_tiles: int, n_tiles: int, k_tiles: int) -> tuple[int, int]:
    """Return how often all of A and all of B are loaded."""
    a_rounds = 1 if k_tiles == 1 and (tiling.outer == "m" or m_tiles == 1) else n_tiles
    b_rounds = 1 if k_tiles == 1 and (tiling.outer == "n" or n_tiles == 1) else m_tiles
    return a_rounds, b_rounds


def _plan(array: Accelerator, shape: GemmShape, bound: _Bound, pricing: Pricing) -> _Plan:
    body: tuple[TileRun | Repeat, ...] = tiles(array, shape, bound.tiling)
    repeats = shape.batch * shape.passes
    if repeats > 1:
        body = (Repeat(repeats, body),)
    written = permille_written(bound.read_bytes, bound.write_bytes)
    progress = Pipelined(
        pricing.priced(body, array.dma_bandwidth, written),
        fill_cycles(array),
        array.launch_latency,
        Clock(array.clock),
    )
    traffic = pricing.body_traffic(body, written)
    counts = Counts(
        interconnect_bytes=traffic.read_bytes + traffic.write_bytes,
        dram_read_bytes=traffic.read_bytes,
        dram_write_bytes=traffic.write_bytes,
        dram_activates=traffic.activates,
        dram_read_bursts=traffic.read_bursts,
        dram_write_bursts=traffic.write_bursts,
        scratchpad_write_bytes=traffic.read_bytes,
    )
    return _Plan(bound, progress, counts)


def _work(array: Accelerator, shape: GemmShape, plan: _Plan, useful_macs: int) -> Work:
    dims, repeats = shape.dims, shape.batch * shape.passes
    words = accesses(array, dims)
    issued = repeats * dims.m * dims.n * dims.k
    operand_bits = (words.a_reads + words.b_reads) * shape.bits
    counts = plan.counts._replace(
        macs=useful_macs,
        macs_issued=issued,
        array_macs=useful_macs,
        array_macs_issued=issued,
        scratchpad_read_bytes=repeats * ceil_div(operand_bits, 8),
        accumulator_write_bytes=repeats * words.partial_writes * shape.out_bits // 8,
        accumulator_read_bytes=repeats * words.partial_reads * shape.out_bits // 8,
    )
    cycles = plan.bound.cycles + fill_cycles(array)
    return Work(
        unit=Unit.ACCELERATOR,
        stage=Stage.GEMM,
        progress=plan.progress,
        counts=counts,
        compute_ps=Clock(array.clock).cycles_to_ps(cycles),
        batch=shape.batch,
        m=dims.m,
        n=dims.n,
        k=dims.k,
        compute_cycles=cycles,
    )
