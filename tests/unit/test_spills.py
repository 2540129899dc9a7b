"""Sums that leave the accumulator and return: traffic, room and time against walks of loops."""

from itertools import pairwise
from math import prod

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from simulator.mapping import mapper
from simulator.mapping.convolution import ConvShape
from simulator.mapping.loops import block
from simulator.mapping.objectives import memory_energy
from simulator.mapping.plan import Plan
from simulator.mapping.problem import Widths
from simulator.mapping.rules import prescribed
from simulator.mapping.search import Search
from simulator.mapping.shape import GemmShape
from simulator.mapping.spills import spills
from simulator.mapping.sums import TileSums, traffic_of
from simulator.mapping.taps import backward_taps, forward_taps
from simulator.mapping.tiling import candidates
from simulator.timing.dataflows import Dims, dataflow_of
from simulator.timing.pricing import pricing_of
from simulator.timing.shares import WHOLE
from simulator.trace.op import Conv, Gemm, Role
from tests.builders import (
    array_work,
    best_within_slack,
    gemm_at_both_fidelities,
    machine,
    tiles_of,
    time_and_traffic,
)

SUM_BYTES = 4
OPERANDS = {"a": "mk", "b": "nk"}
sizes = st.integers(20, 150)


def on(**changes):
    """A machine whose accumulator is small beside its scratchpad, and the path to its memory."""
    settings = {"scratchpad": "16 KiB", "accumulator": "2 KiB", "spill": True} | changes
    hardware = machine(**{f"accelerator__{name}": value for name, value in settings.items()})
    return hardware, pricing_of(hardware.dram, hardware.interconnect)


def of_product(dims, dataflow="ws", output=32):
    return GemmShape(1, Dims(*dims), Widths(8, output), dataflow_of(dataflow))


def spilled(array, shape):
    """Those mappings that cut the reduction outside of other loops."""
    found = [mapping for mapping in candidates(array, shape) if len(mapping.loops) > 1]
    return [mapping for mapping in found if mapping.loops[0].axis == "k"]


def part(ranges, axes):
    return tuple(ranges[axis] for axis in axes)


def area(spans):
    return prod(end - start for start, end in spans)


def walk(extents, mapping, output):
    """Return bytes read and written, the times that sums return, and the least tiles between."""
    read = returns = 0
    here = dict.fromkeys(OPERANDS, (None, set()))
    tiles = list(tiles_of(extents, mapping.loops))
    visits = {}
    for index, (counters, ranges) in enumerate(tiles):
        for (name, axes), level in zip(OPERANDS.items(), mapping.reuse_levels, strict=False):
            where, seen = here[name]
            if where != counters[:level]:
                where, seen = counters[:level], set()
            if part(ranges, axes) not in seen:
                read += area(part(ranges, axes))
            here[name] = where, seen | {part(ranges, axes)}
        visits.setdefault(part(ranges, "mn"), []).append((counters[: mapping.c_from], index))
    between = [len(tiles)]
    for spans, moments in visits.items():
        for (one, start), (two, end) in pairwise(moments):
            if one != two:
                returns += area(spans)
                between.append(end - start)
    written = SUM_BYTES * returns + output // 8 * extents["m"] * extents["n"]
    return read + SUM_BYTES * returns, written, returns, min(between)


@settings(max_examples=25, deadline=None)
@given(
    sizes, sizes, sizes, st.sampled_from(["ws", "os", "is"]), st.sampled_from([8, 32]), st.data()
)
def test_traffic_is_what_a_walk_of_the_loops_counts(m, n, k, dataflow, output, data):
    hardware, pricing = on(dataflow=dataflow)
    array, shape = hardware.accelerator, of_product((m, n, k), dataflow, output)
    mappings = spilled(array, shape)
    assume(mappings)
    mapping = data.draw(st.sampled_from(mappings))
    read, written, returns, between = walk(shape.extents, mapping, output)
    work = Plan(array, pricing, shape, mapping).work(1, "")
    assert (work.counts.dram_read_bytes, work.counts.dram_write_bytes) == (read, written)
    totals = TileSums(array, traffic_of(shape)).totals(block(shape, mapping, 9), mapping)
    assert totals[1:] == (read, written)
    assert work.mapping.endswith(f"sums spilled x {returns // (m * n)}")
    assert between >= 4, "a store takes place before the load of the same sums starts"


@settings(max_examples=15, deadline=None)
@given(sizes, sizes, sizes, st.sampled_from(["ws", "os", "is"]))
def test_there_is_room_for_two_of_each_block(m, n, k, dataflow):
    array = on(dataflow=dataflow)[0].accelerator
    shape = of_product((m, n, k), dataflow)
    for mapping in spilled(array, shape):
        blocks = [
            {**shape.extents, **{loop.axis: loop.step for loop in mapping.loops[:level]}}
            for level in mapping.reuse_levels
        ]
        a, b = (
            each[one] * each[two]
            for each, (one, two) in zip(blocks, OPERANDS.values(), strict=False)
        )
        assert 2 * (a + b) <= array.scratchpad
        assert 2 * SUM_BYTES * blocks[2]["m"] * blocks[2]["n"] <= array.accumulator


@settings(max_examples=8, deadline=None)
@given(*[st.integers(100, 200)] * 3, st.sampled_from(["ws", "os", "is"]), st.integers(1, 2))
def test_the_mapping_is_the_best_of_the_wider_space(m, n, k, dataflow, batch):
    hardware, pricing = on(dataflow=dataflow)
    array = hardware.accelerator
    shape = GemmShape(batch, Dims(m, n, k), Widths(8, 32), dataflow_of(dataflow))
    chosen = mapper.map_shape(array, pricing, shape, 1)
    plans = [Plan(array, pricing, shape, mapping) for mapping in candidates(array, shape)]
    assert time_and_traffic(chosen.progress, chosen.counts) == best_within_slack(plans)


def cost(objective, dims, *, spill):
    hardware, pricing = on(spill=spill, mapping=objective, mapping_slack="0 %")
    work = mapper.map_shape(hardware.accelerator, pricing, of_product(dims), 1)
    time_ps, moved = time_and_traffic(work.progress, work.counts)
    byte_aj, ps_aj = memory_energy(hardware.dram)
    energy = byte_aj * moved + ps_aj * time_ps
    return {"time": time_ps, "traffic": moved, "energy": energy, "edp": energy * time_ps}[objective]


@settings(max_examples=10, deadline=None)
@example(300, 96, 40, "time")
@given(sizes, sizes, sizes, st.sampled_from(["time", "traffic", "energy", "edp"]))
def test_a_wider_space_is_never_worse(m, n, k, objective):
    narrow, wide = (cost(objective, (m, n, k), spill=spill) for spill in (False, True))
    assert wide <= narrow


def test_a_long_reduction_beside_a_small_accumulator_is_loaded_once():
    """Of 256 x 256 sums 512 fit: A alone stays, and B is loaded 8 times or more. Slices of 256 of
    the reduction fit, for which all sums move 15 times to memory and back.
    """
    moved = {}
    for spill in (False, True):
        hardware, pricing = on(scratchpad="256 KiB", accumulator="4 KiB", spill=spill)
        work = mapper.map_shape(hardware.accelerator, pricing, of_product((256, 256, 4096)), 1)
        moved[spill] = work.counts.dram_bytes
        assert work.mapping.endswith("sums spilled x 15") == spill
    assert moved[True] == 2 * 256 * 4096 + (2 * 15 + 1) * SUM_BYTES * 256 * 256
    assert moved[False] >= (1 + 8) * 256 * 4096 + SUM_BYTES * 256 * 256


@pytest.mark.parametrize(
    ("streams", "schedule", "dims"),
    [
        ("shared", "decoupled", (64, 96, 1600)),
        ("duplex", "decoupled", (80, 70, 1500)),
        ("operand", "slots", (64, 64, 2000)),
        ("duplex", "lockstep", (65, 96, 1601)),
    ],
)
def test_tiles_as_events_take_what_the_recurrence_says(streams, schedule, dims):
    hardware, _ = on(
        dma__streams=streams, schedule=schedule, mapping="traffic", scratchpad="64 KiB"
    )
    work = array_work(hardware, Gemm(Role.FORWARD, 1, *dims, 0, 1, 0), 32)
    assert "sums spilled" in work.mapping
    flow_ps, tile_ps = gemm_at_both_fidelities(hardware, *dims)
    assert flow_ps == tile_ps


@pytest.mark.parametrize(("side", "bandwidth"), [(16, "100 MB/s"), (2, "20 GB/s")])
@pytest.mark.parametrize(
    ("streams", "schedule"),
    [
        ("shared", "decoupled"),
        ("duplex", "decoupled"),
        ("operand", "slots"),
        ("duplex", "lockstep"),
    ],
)
@pytest.mark.parametrize("dims", [(100, 60, 150), (64, 129, 70)])
def test_no_bound_of_spilled_sums_is_above_what_it_leads_to(
    streams, schedule, side, bandwidth, dims
):
    hardware, pricing = on(
        rows=side, cols=side, schedule=schedule,
        dma__streams=streams, dma__bandwidth=bandwidth, dma__latency="100 ns",
    )  # fmt: skip
    shape = of_product(dims)
    search, seen = Search(hardware.accelerator, pricing, shape), 0
    bounds = search._bounds
    for row in (row for level in search.space.rows for row in level):
        for traffic in search.space.fitting(row):
            if traffic.spills:
                plan = Plan(hardware.accelerator, pricing, shape, traffic.mapping)
                exact_ps = plan.progress.duration_ps(WHOLE)
                assert bounds.at_peak_ps(row, traffic.moved_bytes) <= exact_ps
                assert bounds.unmixed_ps(row, traffic) <= exact_ps
                assert exact_ps * 3 // 10 <= bounds.by_transfers_ps(row, traffic) <= exact_ps
                seen += 1
    assert seen


CONV = Conv(2, 24, 20, (12, 11), (12, 11), (3, 3), (1, 1), (1, 1), (1, 1))


@pytest.mark.parametrize("role", [Role.FORWARD, Role.DGRAD, Role.WGRAD])
def test_so_do_sums_of_a_convolution(role):
    """Its channels outermost, or its pixels where weights are summed; what each of the tiles moves
    adds up to what the search counts.
    """
    hardware, pricing = on(rows=8, cols=8, accumulator="8 KiB")
    array = hardware.accelerator
    taps = backward_taps(CONV) if role is Role.DGRAD else forward_taps(CONV, role)
    shape, seen = ConvShape(1, taps, Widths(8, 32)), 0
    sums = TileSums(array, traffic_of(shape))
    for mapping in candidates(array, shape):
        often = spills(shape, mapping)
        if often:
            counts = Plan(array, pricing, shape, mapping).work(1, "").counts
            found = sums.totals(block(shape, mapping, 9), mapping)
            assert found[1:] == (counts.dram_read_bytes, counts.dram_write_bytes)
            whole = tuple(shape.extents.values())
            assert counts.dram_write_bytes == (often + 1) * shape.c(whole, 32).bytes
            seen += 1
    assert seen


def test_a_mapping_as_text_may_spill():
    hardware, pricing = on()
    shape = of_product((64, 64, 64))
    mapping = prescribed("L3[WIO] C4 P4 K4 - L2[WI] C16 P16 K16", shape)
    work = Plan(hardware.accelerator, pricing, shape, mapping).work(1, "")
    assert work.mapping == "k/16, m/16, n/16, sums spilled x 3"
    read, written, *_ = walk(shape.extents, mapping, 32)
    assert (work.counts.dram_read_bytes, work.counts.dram_write_bytes) == (read, written)


@pytest.mark.parametrize("changes", [{"spill": False}, {"weight_buffer": "4 KiB"}])
def test_sums_stay_unless_they_may_leave(changes):
    array = on(**changes)[0].accelerator
    shape = of_product((128, 128, 128))
    assert not any(spills(shape, mapping) for mapping in candidates(array, shape))


def test_progress_is_bounded_by_every_transfer():
    """Even where the memory is all that a plan waits for, its sums are in its time."""
    hardware, pricing = on(dma__bandwidth="100 MB/s")
    shape = of_product((128, 128, 128))
    for mapping in spilled(hardware.accelerator, shape):
        plan = Plan(hardware.accelerator, pricing, shape, mapping)
        moved = plan.work(1, "").counts.dram_bytes
        assert plan.progress.duration_ps(WHOLE) >= moved * 10_000
