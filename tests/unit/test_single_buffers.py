"""Operands that stay in one buffer: room, traffic, waits and time against walks of loops."""

from math import prod

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator.activity import Counts, Stage, Task, Work
from simulator.hardware.unit import ACCELERATOR
from simulator.machine.step import run_step
from simulator.mapping import mapper
from simulator.mapping.convolution import ConvShape
from simulator.mapping.loops import For, Mapping, block, reusing
from simulator.mapping.memories import demand_on
from simulator.mapping.nest import nest
from simulator.mapping.plan import Plan
from simulator.mapping.problem import Widths
from simulator.mapping.search import Search
from simulator.mapping.shape import GemmShape
from simulator.mapping.sums import TileSums, traffic_of
from simulator.mapping.taps import backward_taps, forward_taps
from simulator.mapping.tiling import candidates
from simulator.timing.dataflows import Dims, dataflow_of
from simulator.timing.pipeline import Pipelined, Tile, Transfer
from simulator.timing.pricing import pricing_of
from simulator.timing.schedules import InTurn, Lockstep, SideBySide, TwoSlots
from simulator.timing.shares import WHOLE
from simulator.trace.op import Conv, Gemm, Phase, Role
from simulator.units import Clock
from tests.builders import (
    array_work,
    best_within_slack,
    gemm_at_both_fidelities,
    machine,
    tiles_of,
    time_and_traffic,
    unrolled,
)

OPERANDS = {"a": "mk", "b": "nk"}
STREAMS = [
    ("shared", "decoupled"), ("duplex", "decoupled"), ("operand", "slots"), ("duplex", "lockstep"),
]  # fmt: skip
sizes = st.integers(20, 150)
dataflows = st.sampled_from(["ws", "os", "is"])
CONV = Conv(2, 24, 20, (12, 11), (12, 11), (3, 3), (1, 1), (1, 1), (1, 1))


def on(**changes):
    """A machine whose scratchpad is small, and the path to its memory."""
    settings_ = {"scratchpad": "8 KiB", "single_buffer": True} | changes
    hardware = machine(**{f"accelerator__{name}": value for name, value in settings_.items()})
    return hardware, pricing_of(hardware.dram, hardware.interconnect)


def of_product(dims, dataflow="ws", repeats=1):
    return GemmShape(repeats, Dims(*dims), Widths(8, 32), dataflow_of(dataflow))


def of_convolution(role):
    taps = backward_taps(CONV) if role is Role.DGRAD else forward_taps(CONV, role)
    return ConvShape(1, taps, Widths(8, 32))


def in_one_buffer(array, shape):
    return [mapping for mapping in candidates(array, shape) if mapping.single]


def walk(extents, mapping):
    """Return the bytes that are read, and which tiles begin another block of what has one buffer,
    by scratchpads as sets of what is in them.
    """
    read, waits = 0, []
    here = dict.fromkeys(OPERANDS, (None, set()))
    for counters, ranges in tiles_of(extents, mapping.loops):
        begins = False
        for (name, axes), level in zip(OPERANDS.items(), mapping.reuse_levels, strict=False):
            where, seen = here[name]
            if where != counters[:level]:
                where, seen = counters[:level], set()
                begins = begins or name in mapping.single
            part = tuple(ranges[axis] for axis in axes)
            read += prod(end - start for start, end in part) if part not in seen else 0
            here[name] = where, seen | {part}
        waits.append(begins)
    return read, waits


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, dataflows, st.integers(1, 2), st.data())
def test_a_walk_of_the_loops_finds_the_same_traffic_and_waits(m, n, k, dataflow, repeats, data):
    hardware, pricing = on(dataflow=dataflow)
    array, shape = hardware.accelerator, of_product((m, n, k), dataflow, repeats)
    mappings = in_one_buffer(array, shape)
    assume(mappings)
    mapping = data.draw(st.sampled_from(mappings))
    read, waits = walk(shape.extents, mapping)
    assert [visit.waits for visit in unrolled(nest(shape, mapping))] == waits
    counts = Plan(array, pricing, shape, mapping).work(1, "").counts
    assert counts.dram_read_bytes == repeats * read
    tile = block(shape, mapping, len(mapping.loops))
    assert TileSums(array, traffic_of(shape)).totals(tile, mapping).read_bytes == read


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, dataflows, st.integers(1, 2))
def test_there_is_room_for_one_of_each_block_that_stays(m, n, k, dataflow, repeats):
    array = on(dataflow=dataflow)[0].accelerator
    shape = of_product((m, n, k), dataflow, repeats)
    for mapping in in_one_buffer(array, shape):
        needed = 0
        for (name, axes), level in zip(OPERANDS.items(), mapping.reuse_levels, strict=False):
            steps = {loop.axis: loop.step for loop in mapping.loops[:level]}
            size = prod(steps.get(axis, shape.extents[axis]) for axis in axes)
            once = name in mapping.single or (repeats == 1 and not level)
            assert name not in mapping.single or level < len(mapping.loops) or not mapping.loops
            needed += size if once else 2 * size
        assert demand_on(array, shape, mapping).scratchpad == needed <= array.scratchpad


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("role", [Role.FORWARD, Role.DGRAD, Role.WGRAD])
def test_tiles_of_a_convolution_add_up_to_what_the_search_counts(role, batch):
    hardware, pricing = on(rows=8, cols=8)
    array, shape = hardware.accelerator, of_convolution(role)
    sums, seen = TileSums(array, traffic_of(shape)), 0
    for mapping in in_one_buffer(array, shape)[:: 7 * batch]:
        counts = Plan(array, pricing, shape, mapping).work(1, "").counts
        found = sums.totals(block(shape, mapping, 9), mapping)
        assert found[1:] == (counts.dram_read_bytes, counts.dram_write_bytes)
        seen += 1
    assert seen


@settings(max_examples=6, deadline=None)
@given(*[st.integers(40, 110)] * 3, dataflows, st.integers(1, 2))
def test_the_mapping_is_the_best_of_the_wider_space(m, n, k, dataflow, batch):
    hardware, pricing = on(dataflow=dataflow)
    array, shape = hardware.accelerator, of_product((m, n, k), dataflow, batch)
    chosen = mapper.map_shape(array, pricing, shape, 1)
    plans = [Plan(array, pricing, shape, mapping) for mapping in candidates(array, shape)]
    assert time_and_traffic(chosen.progress, chosen.counts) == best_within_slack(plans)


@settings(max_examples=4, deadline=None)
@given(sizes, sizes, sizes, st.permutations(["4 KiB", "6 KiB", "8 KiB", "12 KiB", "32 KiB"]))
def test_it_is_whatever_memories_were_searched_before(m, n, k, scratchpads):
    shape = of_product((m, n, k))
    for scratchpad in scratchpads:
        hardware, pricing = on(scratchpad=scratchpad, accumulator="16 KiB")
        array = hardware.accelerator
        chosen = mapper.map_shape(array, pricing, shape, 1)
        plans = [Plan(array, pricing, shape, mapping) for mapping in candidates(array, shape)]
        assert time_and_traffic(chosen.progress, chosen.counts) == best_within_slack(plans)


@settings(max_examples=15, deadline=None)
@given(
    *[st.integers(1, 150)] * 3, dataflows, st.integers(1, 2), st.sampled_from(["time", "traffic"]),
    st.sampled_from(["4 KiB", "8 KiB", "32 KiB"]), st.booleans(), st.sampled_from(STREAMS),
)  # fmt: skip
def test_the_space_only_grows(m, n, k, dataflow, batch, objective, scratchpad, spill, how):
    """So that neither time nor traffic is ever more than without, as the objective says."""
    streams, schedule = how
    shape, spaces, costs = of_product((m, n, k), dataflow, batch), [], []
    for single in (False, True):
        hardware, pricing = on(
            single_buffer=single, dataflow=dataflow, mapping=objective, mapping_slack="0 %",
            scratchpad=scratchpad, spill=spill, dma__streams=streams, schedule=schedule,
        )  # fmt: skip
        array = hardware.accelerator
        spaces.append(list(candidates(array, shape)))
        work = mapper.map_shape(array, pricing, shape, 1)
        costs.append(time_and_traffic(work.progress, work.counts)[objective == "traffic"])
    assert set(spaces[0]) <= set(spaces[1])
    assert costs[1] <= costs[0]


@pytest.mark.parametrize("role", [Role.FORWARD, Role.DGRAD, Role.WGRAD])
@pytest.mark.parametrize("objective", ["time", "traffic"])
def test_nor_of_a_convolution(role, objective):
    shape, costs = of_convolution(role), []
    for single in (False, True):
        hardware, pricing = on(
            single_buffer=single, mapping=objective, mapping_slack="0 %", rows=8, cols=8,
            scratchpad="4 KiB", accumulator="8 KiB",
        )  # fmt: skip
        work = mapper.map_shape(hardware.accelerator, pricing, shape, 1)
        costs.append(time_and_traffic(work.progress, work.counts)[objective == "traffic"])
    assert costs[1] <= costs[0]


def test_what_fits_once_but_not_twice_is_read_once():
    """Of A and B in the scratchpad, 128 rows of A fit once beside two tiles of B, not twice."""
    m = n = k = 512
    moved = {}
    for single in (False, True):
        hardware, pricing = on(single_buffer=single, mapping="traffic", scratchpad="80 KiB")
        work = mapper.map_shape(hardware.accelerator, pricing, of_product((m, n, k)), 1)
        moved[single] = work.counts.dram_bytes
        assert ("in one buffer" in work.mapping) == single
    # two panels of A would be of 64 rows, for which B is read 8 times
    assert moved[True] == m * k + 4 * k * n + 4 * m * n < moved[False]


def durations(progress):
    """Its time by the recurrence and by events."""
    work = Work(ACCELERATOR, Stage.GEMM, progress, Counts(), 0, 0, 0)
    task = Task(work, 0, Phase.FORWARD, "", ())
    return [run_step([task], "dataflow", each).duration_ps for each in ("flow", "tile")]


@pytest.mark.parametrize("schedule", [InTurn(), SideBySide(), TwoSlots(), Lockstep()])
def test_the_load_of_another_block_is_exposed(schedule):
    """Two rows of two tiles, each of 4 ns; a row's operand takes 2 ns, a tile's own 1 ns. The first
    load is exposed; with one buffer, so is the first of the second row.
    """
    nothing = Transfer(0, 0)
    first, second = (Tile(Transfer(ps, 0), 4, nothing, ends=False) for ps in (3000, 1000))
    for waits, expected in ((False, 3000 + 4 * 4000), (True, 2 * 3000 + 4 * 4000)):
        row = (first._replace(waits=waits), second)
        progress = Pipelined(row * 2, 0, 0, Clock(10**9), schedule)
        assert durations(progress) == [expected, expected]


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_next_block_comes_after_the_last_tile_that_uses_the_present_one(name):
    """Of two by two tiles the third begins another block: its load was hidden, and is exposed."""
    hardware, pricing = on(scratchpad="64 KiB", dma__streams="duplex")
    shape = of_product((64, 64, 64))
    plain = reusing([For(axis, 32) for axis in ("mn" if name == "a" else "nm")], shape)
    two, one = (
        Plan(hardware.accelerator, pricing, shape, mapping).progress
        for mapping in (plain, plain._replace(single=(name,)))
    )
    tiles = list(unrolled(one.body))
    assert [tile.waits for tile in tiles] == [True, False, True, False]
    exposed_ps = one.duration_ps(WHOLE) - two.duration_ps(WHOLE)
    assert 0 < exposed_ps <= tiles[2].load.duration_ps(WHOLE)


def test_an_operand_that_is_loaded_once_waits_for_nothing():
    """It had one buffer all along, so that there is nothing to choose."""
    array, shape = on()[0].accelerator, of_product((100, 60, 80))
    for mapping in in_one_buffer(array, shape):
        for name, level in zip("ab", mapping.reuse_levels, strict=False):
            assert level or name not in mapping.single


def test_the_next_product_of_a_batch_may_wait_for_the_operands():
    """100 x 100 bytes of A and B fit once; two copies of each do not."""
    shape = of_product((100, 100, 100), repeats=4)
    array, pricing = on(scratchpad="24 KiB", accumulator="80 KiB")[0].accelerator, on()[1]
    once = Mapping((), 0, 0, 0, single=("a", "b"))
    assert once in in_one_buffer(array, shape)
    assert once.text == "whole, a stays from 0 in one buffer, b stays from 0 in one buffer"
    work = Plan(array, pricing, shape, once)
    tiles = list(unrolled(work.progress.body))
    assert len(tiles) == 4
    assert all(tile.waits for tile in tiles)
    load_ps = tiles[0].load.duration_ps(WHOLE)
    # loads and computations in turn; stores of all but the last are hidden or in the way
    assert work.progress.duration_ps(WHOLE) >= 4 * (load_ps + tiles[0].cycles * 1000)


@pytest.mark.parametrize("dims", [(256, 200, 150), (300, 130, 257)])
@pytest.mark.parametrize(("streams", "schedule"), STREAMS)
def test_tiles_as_events_take_what_the_recurrence_says(streams, schedule, dims):
    hardware, _ = on(
        dma__streams=streams, schedule=schedule, mapping="traffic", scratchpad="24 KiB",
        accumulator="16 KiB",
    )  # fmt: skip
    work = array_work(hardware, Gemm(Role.FORWARD, 1, *dims, 0, 1, 0), 32)
    assert "in one buffer" in work.mapping
    flow_ps, tile_ps = gemm_at_both_fidelities(hardware, *dims)
    assert flow_ps == tile_ps


@pytest.mark.parametrize(("streams", "schedule"), STREAMS)
@pytest.mark.parametrize("role", [Role.FORWARD, Role.DGRAD, Role.WGRAD])
def test_so_do_tiles_of_a_convolution(streams, schedule, role):
    hardware, pricing = on(
        rows=8, cols=8, dma__streams=streams, schedule=schedule, dma__latency="100 ns",
        scratchpad="6 KiB", accumulator="8 KiB",
    )  # fmt: skip
    array, shape = hardware.accelerator, of_convolution(role)
    mappings = in_one_buffer(array, shape)
    for mapping in mappings[:: len(mappings) // 4]:
        flow, tile = durations(Plan(array, pricing, shape, mapping).progress)
        assert flow == tile


@pytest.mark.parametrize(("side", "bandwidth"), [(16, "100 MB/s"), (2, "20 GB/s")])
@pytest.mark.parametrize(("streams", "schedule"), STREAMS)
@pytest.mark.parametrize(("dims", "repeats"), [((100, 60, 150), 1), ((64, 129, 70), 2)])
def test_no_bound_is_above_what_it_leads_to(streams, schedule, side, bandwidth, dims, repeats):
    hardware, pricing = on(
        rows=side, cols=side, schedule=schedule, scratchpad="8 KiB",
        dma__streams=streams, dma__bandwidth=bandwidth, dma__latency="100 ns",
    )  # fmt: skip
    shape = of_product(dims, repeats=repeats)
    search, seen = Search(hardware.accelerator, pricing, shape), 0
    bounds = search._bounds
    for row in (row for level in search.space.rows for row in level):
        for traffic in search.space.fitting(row):
            if traffic.mapping.single:
                plan = Plan(hardware.accelerator, pricing, shape, traffic.mapping)
                exact_ps = plan.progress.duration_ps(WHOLE)
                assert bounds.at_peak_ps(row, traffic.moved_bytes) <= exact_ps
                assert bounds.unmixed_ps(row, traffic) <= exact_ps
                assert bounds.by_transfers_ps(row, traffic) <= exact_ps
                seen += 1
    assert seen


@pytest.mark.parametrize("changes", [{"single_buffer": False}, {"weight_buffer": "16 KiB"}])
def test_operands_have_two_buffers_unless_one_may_do(changes):
    array = on(**changes)[0].accelerator
    found = [mapping.single for mapping in candidates(array, of_product((128, 128, 128)))]
    assert found
    assert not any("b" in single for single in found)
