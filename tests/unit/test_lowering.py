"""Lowering against brute force: what tiles touch, what the mapper chooses, what traffic adds up."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.hardware.accelerator import Accelerator
from simulator.mapping import mapper
from simulator.mapping.layout import layout
from simulator.mapping.loops import Mapping, block
from simulator.mapping.memories import fits
from simulator.mapping.plan import Plan
from simulator.mapping.problem import Widths
from simulator.mapping.search import AT_PEAK, BY_TRANSFERS, Search
from simulator.mapping.shape import GemmShape
from simulator.mapping.sums import TileSums, traffic_of
from simulator.mapping.tiling import Mapspace, candidates
from simulator.mapping.window import backward_window, forward_window
from simulator.timing.dataflows import Dims, dataflow_of
from simulator.timing.pricing import pricing_of
from simulator.timing.shares import WHOLE
from simulator.trace.op import Conv, Gemm, Role
from tests.builders import array_work, best_within_slack, machine, time_and_traffic

EDGE = machine()
EDGE_MEMORY = pricing_of(EDGE.dram, EDGE.interconnect)
sizes = st.integers(1, 200)


def conv(channels=3, size=(7, 6), kernel=(3, 3), stride=(1, 1), dilation=(1, 1), padding=(1, 1)):
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, d, p in zip(size, kernel, stride, dilation, padding, strict=True)
    )
    return Conv(2, channels, 4, size, out, kernel, stride, padding, dilation)


def forward_touched(c, rows, columns):
    """Distinct input elements under rows x columns of the im2col matrix, by definition."""
    seen = set()
    for row, column in product(rows, columns):
        image, pixel = divmod(row, c.output[0] * c.output[1])
        y, x = divmod(pixel, c.output[1])
        channel, tap = divmod(column, c.kernel[0] * c.kernel[1])
        ky, kx = divmod(tap, c.kernel[1])
        iy = y * c.stride[0] - c.padding[0] + ky * c.dilation[0]
        ix = x * c.stride[1] - c.padding[1] + kx * c.dilation[1]
        if 0 <= iy < c.input[0] and 0 <= ix < c.input[1]:
            seen.add((image, channel, iy, ix))
    return len(seen)


def backward_touched(c, rows, columns):
    """Distinct gradient elements that rows of input pixels x (output channel, tap) read."""
    seen = set()
    for row, column in product(rows, columns):
        image, pixel = divmod(row, c.input[0] * c.input[1])
        iy, ix = divmod(pixel, c.input[1])
        channel, tap = divmod(column, c.kernel[0] * c.kernel[1])
        ky, kx = divmod(tap, c.kernel[1])
        y, off_y = divmod(iy + c.padding[0] - ky * c.dilation[0], c.stride[0])
        x, off_x = divmod(ix + c.padding[1] - kx * c.dilation[1], c.stride[1])
        if not off_y and not off_x and 0 <= y < c.output[0] and 0 <= x < c.output[1]:
            seen.add((image, channel, y, x))
    return len(seen)


def touched_by_all(touched, c, rows, columns, tile):
    """Elements read by all full tiles together, and how many tiles there are."""
    pixels, depth = tile
    corners = product(range(0, rows - pixels + 1, pixels), range(0, columns - depth + 1, depth))
    counts = [touched(c, range(a, a + pixels), range(b, b + depth)) for a, b in corners]
    return sum(counts), len(counts)


TILES = [(16, 9), (32, 18), (49, 36), (64, 16), (100, 27), (128, 36), (196, 9), (784, 36)]


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((3, 3), (1, 1), (1, 1)), ((3, 3), (2, 2), (1, 1))]
)
def test_tiles_of_a_feature_map_read_what_brute_force_counts(tile, kernel, stride, padding):
    c = conv(4, (28, 28), kernel, stride, padding=padding)
    rows, columns = c.images * c.output[0] * c.output[1], 4 * kernel[0] * kernel[1]
    if tile[0] > rows:
        return
    counted, count = touched_by_all(forward_touched, c, rows, columns, tile)
    found = forward_window(c).elements(*tile) * count
    # never less; more, since whole rows are loaded for all taps of a channel, padding included
    assert counted <= found * 1.01
    assert found <= counted * 1.6


@pytest.mark.parametrize("tile", TILES)
def test_tiles_of_a_direct_dgrad_read_what_brute_force_counts(tile):
    c = conv(2, (28, 28), (3, 3), (2, 2), padding=(1, 1))
    rows, columns = c.images * 28 * 28, 4 * 9
    counted, count = touched_by_all(backward_touched, c, rows, columns, tile)
    found = backward_window(c).elements(*tile) * count
    assert counted <= found * 1.01
    assert found <= counted * 1.8


def test_whole_rows_of_a_plain_convolution_are_counted_exactly():
    c = conv(padding=(0, 0))
    window, columns = forward_window(c), 27
    for rows in (1, 5):  # of 5, so that no tile straddles two images
        pixels = rows * c.output[1]
        assert window.elements(pixels, columns) == forward_touched(c, range(pixels), range(columns))
    whole = c.output[0] * c.output[1]
    assert window.elements(2 * whole, columns) == 2 * 3 * 7 * 6


def test_a_weight_gradient_reads_its_feature_map_as_the_forward_pass_does():
    c = conv(padding=(0, 0))
    rows = c.images * c.output[0] * c.output[1]
    shape = GemmShape(1, Dims(4, 27, rows), Widths(8, 32), window_b=forward_window(c))
    assert shape.b_size((4, 27, rows)) == 2 * 3 * 7 * 6


@settings(max_examples=40, deadline=None)
@example(83, 55, 91, "os", 1, "4 KiB", "ideal", 30)  # a slow mapping moves less, and is in time
@example(75, 43, 34, "is", 3, "2 KiB", "ideal", 30)
@given(
    sizes, sizes, sizes, st.sampled_from(["ws", "os", "is"]), st.integers(1, 3),
    st.sampled_from(["4 KiB", "16 KiB"]), st.sampled_from(["ideal", "LPDDR4-3200_x32_1ch"]),
    st.sampled_from([2, 30]),
)  # fmt: skip
def test_the_mapping_is_the_best_of_its_space(
    m, n, k, dataflow, batch, scratchpad, preset, slack_percent
):
    hardware = machine(
        accelerator__rows=16, accelerator__cols=8, accelerator__dataflow=dataflow,
        accelerator__scratchpad=scratchpad, dram__preset=preset,
        accelerator__mapping_slack=f"{slack_percent} %",
    )  # fmt: skip
    array, pricing = hardware.accelerator, pricing_of(hardware.dram, hardware.interconnect)
    shape = GemmShape(batch, Dims(m, n, k), Widths(8, 32), dataflow_of(dataflow))
    chosen = mapper.map_shape(array, pricing, shape, batch * m * n * k)
    plans = [Plan(array, pricing, shape, mapping) for mapping in candidates(array, shape)]
    best = best_within_slack(plans, 10 * slack_percent)
    assert time_and_traffic(chosen.progress, chosen.counts) == best
    assert chosen.mapping_reason == "best"


@settings(max_examples=25, deadline=None)
@example(9, 47, 4, "is", "traffic")  # these have several best plans
@example(2, 2, 63, "ws", "time")
@example(54, 64, 8, "os", "time")
@example(9, 13, 1, "os", "time")  # the last fold of an os array ends a cycle sooner
@given(
    st.integers(1, 64), st.integers(1, 64), st.integers(1, 64),
    st.sampled_from(["ws", "os", "is"]), st.sampled_from(["time", "traffic"]),
)  # fmt: skip
def test_of_equal_plans_that_with_the_lowest_bounds_and_the_first_place_is_taken(
    m, n, k, dataflow, mapping
):
    hardware = machine(
        accelerator__dataflow=dataflow, accelerator__mapping=mapping,
        accelerator__scratchpad="4 KiB", accelerator__mapping_slack="0 %",
    )  # fmt: skip
    array, pricing = hardware.accelerator, pricing_of(hardware.dram, hardware.interconnect)
    shape = GemmShape(1, Dims(m, n, k), Widths(8, 32), dataflow_of(dataflow))
    search = Search(array, pricing, shape)

    def cost(found):
        estimates = list(refined(search, *found))
        objective = found[1].moved_bytes, estimates[-1].time_ps
        return (objective if mapping == "traffic" else objective[::-1]), search.rank(*found)

    _, best = min(mappings_of(search), key=cost)
    assert Search(array, pricing, shape).best().work(1, "").mapping == best.mapping.text


def mappings_of(search):
    """Every mapping that fits, with the row of its tile."""
    rows = [row for level in search.space.rows for row in level]
    return [(row, traffic) for row in rows for traffic in search.space.fitting(row)]


@settings(max_examples=10, deadline=None)
@given(sizes, sizes, sizes, st.integers(1, 64), st.integers(1, 64))
def test_a_mapspace_has_just_those_mappings_of_its_levels_that_fit(m, n, k, scratchpad, sums):
    shape = GemmShape(1, Dims(m, n, k), Widths(8, 32))
    array = machine(
        accelerator__scratchpad=f"{scratchpad} KiB", accelerator__accumulator=f"{sums} KiB"
    ).accelerator
    space, expected = Mapspace(array, shape), []
    levels = 0
    for level in space.on_array.levels():
        pairs = [(row, each) for row in level.rows for each in space.on_array.mappings(row.tile)]
        fitting = [(*pair, fits(array, shape, pair[1].mapping)) for pair in pairs]
        if any(fit for *_, fit in fitting):
            assert all(space.has(row, each) == fit for row, each, fit in fitting)
            expected += [each.mapping for _, each, fit in fitting if fit]
            levels += 1
            if level.last or levels == space.on_array.most_levels:
                break
    assert sorted(space.mappings()) == sorted(expected)


def refined(search, row, traffic):
    """Estimates of a mapping's time, each tighter than the one before, the last one exact."""
    return [search.refine(row, traffic, stage) for stage in (AT_PEAK, BY_TRANSFERS)]


MEMORIES = [
    {"prefetch": "0 B"}, {"prefetch": "8 KiB"}, {"prefetch": "1 KiB"}, {"prefetch": "2 KiB"},
    {"scratchpad": "32 KiB"}, {"weight_buffer": "4 KiB"}, {"accumulator": "2 KiB"},
]  # fmt: skip


@settings(max_examples=5, deadline=None)
@given(sizes, sizes, sizes, st.permutations(MEMORIES))
def test_the_mapping_is_the_best_whatever_memories_were_searched_before(m, n, k, memories):
    shape = GemmShape(1, Dims(m, n, k), Widths(8, 32))
    for changes in memories:
        own = {"scratchpad": "8 KiB", "accumulator": "16 KiB"} | changes
        array = machine(**{f"accelerator__{name}": size for name, size in own.items()}).accelerator
        chosen = mapper.map_shape(array, EDGE_MEMORY, shape, 1)
        plans = [Plan(array, EDGE_MEMORY, shape, each) for each in candidates(array, shape)]
        assert time_and_traffic(chosen.progress, chosen.counts) == best_within_slack(plans)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, st.sampled_from(["ws", "os", "is"]), st.integers(1, 3))
def test_the_mapping_of_least_traffic_is_that_of_its_space(m, n, k, dataflow, batch):
    hardware = machine(
        accelerator__dataflow=dataflow,
        accelerator__scratchpad="8 KiB",
        accelerator__mapping="traffic",
    )
    array, pricing = hardware.accelerator, pricing_of(hardware.dram, hardware.interconnect)
    shape = GemmShape(batch, Dims(m, n, k), Widths(8, 32), dataflow_of(dataflow))
    counts = mapper.map_shape(array, pricing, shape, 1).counts
    sums = TileSums(array, traffic_of(shape))
    found = [sums.totals(tile_of(shape, mapping), mapping) for mapping in candidates(array, shape)]
    least = min(total.read_bytes + total.write_bytes for total in found)
    assert counts.dram_read_bytes + counts.dram_write_bytes == batch * least


@settings(max_examples=6, deadline=None)
@given(
    *[st.integers(1, 64)] * 3, st.sampled_from(["energy", "edp"]), st.integers(1, 3)
)  # fmt: skip
def test_the_mapping_of_least_energy_is_that_of_its_space(m, n, k, mapping, batch):
    """The memory's: of the bytes of bursts from open rows, and of standby for the time."""
    hardware = machine(accelerator__scratchpad="8 KiB", accelerator__mapping=mapping)
    array, device = hardware.accelerator, hardware.dram.device
    pricing = pricing_of(hardware.dram, hardware.interconnect)
    shape = GemmShape(batch, Dims(m, n, k), Widths(8, 32))
    burst_aj = device.energy.read + 8 * device.granule * device.energy.io_read

    def cost(progress, counts):
        time_ps, moved = time_and_traffic(progress, counts)
        energy = burst_aj // device.granule * moved + device.energy.standby * time_ps
        return energy * time_ps if mapping == "edp" else energy

    work = mapper.map_shape(array, pricing, shape, 1)
    plans = [Plan(array, pricing, shape, each) for each in candidates(array, shape)]
    least = min(cost(plan.progress, plan.work(1, "").counts) for plan in plans)
    assert cost(work.progress, work.counts) == least


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, sizes, st.sampled_from(["ws", "os", "is"]), st.data())
def test_tiles_add_up_to_the_gemm(m, n, k, dataflow, data):
    hardware = machine(accelerator__dataflow=dataflow, accelerator__scratchpad="16 KiB")
    array: Accelerator = hardware.accelerator
    pricing = pricing_of(hardware.dram, hardware.interconnect)
    shape = GemmShape(1, Dims(m, n, k), Widths(8, 32), dataflow_of(dataflow))
    mapping = data.draw(st.sampled_from(list(candidates(array, shape))))
    assert fits(array, shape, mapping)
    found = TileSums(array, traffic_of(shape)).totals(tile_of(shape, mapping), mapping)
    work = Plan(array, pricing, shape, mapping).work(1, "")
    assert work.compute_cycles == found.cycles + shape.dataflow.fill_cycles(array)
    assert work.counts.dram_read_bytes == found.read_bytes
    assert work.counts.dram_write_bytes == found.write_bytes == 4 * m * n


def tile_of(shape, mapping):
    return block(shape, mapping, len(mapping.loops))


@settings(max_examples=20, deadline=None)
@example(  # loads and stores of like length, side by side
    256, 256, 32, "os", 1, "full", "0 B", "duplex", "decoupled", "100 MB/s", 16, False
)
@example(  # one operand takes longer at the channel, the other one at the port
    160, 48, 89, "os", 1, "preload", "0 B", "shared", "decoupled", "4 GB/s", 4, False
)
@given(
    sizes, sizes, sizes, st.sampled_from(["ws", "os", "is"]), st.integers(1, 3),
    st.sampled_from(["none", "preload", "drain", "full"]),
    st.sampled_from(["0 B", "1 KiB", "8 KiB"]),
    st.sampled_from(["shared", "duplex", "operand"]),
    st.sampled_from(["decoupled", "slots", "lockstep"]),
    st.sampled_from(["100 MB/s", "4 GB/s", "20 GB/s"]), st.sampled_from([4, 16]), st.booleans(),
)  # fmt: skip
def test_no_bound_of_the_search_is_above_what_it_leads_to(
    m, n, k, dataflow, batch, overlap, prefetch, streams, schedule, bandwidth, side, spill
):
    hardware = machine(
        accelerator__rows=side, accelerator__cols=side,
        accelerator__dataflow=dataflow, accelerator__overlap=overlap,
        accelerator__prefetch=prefetch, accelerator__scratchpad="16 KiB",
        accelerator__dma__streams=streams, accelerator__dma__latency="100 ns",
        accelerator__schedule=schedule, accelerator__dma__bandwidth=bandwidth,
        accelerator__spill=spill,
    )  # fmt: skip
    array, pricing = hardware.accelerator, pricing_of(hardware.dram, hardware.interconnect)
    search = Search(
        array, pricing, GemmShape(batch, Dims(m, n, k), Widths(8, 32), dataflow_of(dataflow))
    )
    for row, traffic in mappings_of(search):
        assert_ascending(search, row, traffic)


def assert_ascending(search, row, traffic):
    """No bound is above the next one, nor above one of fewer bytes."""
    bounds, least_bytes = search._bounds, search.space.on_array.traffic.least_bytes
    at_peak_ps = bounds.at_peak_ps(row, traffic.moved_bytes)
    exact_ps = search._plan(traffic.mapping).progress.duration_ps(WHOLE)
    assert least_bytes <= traffic.moved_bytes
    of_tile_ps = bounds.at_peak_ps(row, search.space.on_array.moves_at_least(row))
    assert row.busy_ps <= bounds.at_peak_ps(row, least_bytes) <= of_tile_ps
    assert of_tile_ps <= at_peak_ps <= exact_ps
    assert bounds.unmixed_ps(row, traffic) <= exact_ps
    assert bounds.by_transfers_ps(row, traffic) <= exact_ps


@pytest.mark.parametrize("dims", [(100, 100, 100), (256, 256, 256), (300, 200, 64)])
def test_operands_that_fit_are_read_once(dims):
    shape = GemmShape(1, Dims(*dims), Widths(8, 32))
    work = mapper.map_shape(EDGE.accelerator, EDGE_MEMORY, shape, 10**6)
    m, n, k = dims
    assert work.counts.dram_read_bytes == m * k + k * n


@pytest.mark.parametrize("dims", [(1, 1, 1), (1, 1000, 1), (1000, 1, 1), (1, 1, 1000)])
def test_degenerate_gemms_map(dims):
    shape = GemmShape(1, Dims(*dims), Widths(8, 32))
    work = mapper.map_shape(EDGE.accelerator, EDGE_MEMORY, shape, 1)
    assert work.progress.duration_ps(WHOLE) > 0


def offloaded(role, sizes, conv_, **settings_):
    """The work of one convolution's product in int8, in one tile: all fits, nothing overlaps."""
    hardware = machine(
        accelerator__overlap="none",
        accelerator__scratchpad="8 MiB", accelerator__accumulator="8 MiB",
        **{f"accelerator__{key}": value for key, value in settings_.items()},
    )  # fmt: skip
    gemm = Gemm(role, 1, *sizes, 0, 1, 0, conv_)
    return array_work(hardware, gemm, 8)


MAPS = Conv(2, 3, 4, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1))
X, W, Y = 2 * 3 * 64, 4 * 3 * 9, 2 * 4 * 64  # bytes of input, weight and output


@pytest.mark.parametrize(
    ("role", "sizes", "reads"),
    [
        (Role.FORWARD, (128, 4, 27), X + W),
        (Role.DGRAD, (128, 27, 4), Y + W),  # direct: the gradient and the weights
        (Role.WGRAD, (4, 27, 128), Y + X),
    ],
)
def test_hardware_im2col_reads_every_tensor_once(role, sizes, reads):
    assert offloaded(role, sizes, MAPS).counts.dram_read_bytes == reads


def test_software_im2col_reads_the_matrix_that_the_cpu_wrote():
    work = offloaded(Role.FORWARD, (128, 4, 27), MAPS, im2col="software")
    assert work.counts.dram_read_bytes == 128 * 27 + W


UP = Conv(2, 3, 4, (8, 8), (16, 16), (2, 2), (2, 2), (0, 0), (1, 1), transposed=True)
BIG = 2 * 4 * 256  # bytes of the larger map, which a transposed convolution writes


@pytest.mark.parametrize(
    ("role", "sizes", "reads"),
    [
        (Role.FORWARD, (128, 16, 3), X + 3 * 16),
        (Role.DGRAD, (128, 3, 16), BIG + 3 * 16),
        (Role.WGRAD, (3, 16, 128), X + BIG),
    ],
)
def test_a_transposed_convolution_gathers_from_its_output(role, sizes, reads):
    assert offloaded(role, sizes, UP).counts.dram_read_bytes == reads


@pytest.mark.parametrize(("stride", "factor"), [(1, 1), (2, 4)])
def test_a_direct_dgrad_multiplies_the_zeros_between_gradients(stride, factor):
    out = 8 // stride
    kernel, taps = (stride, stride), stride**2
    c = Conv(2, 3, 4, (8, 8), (out, out), kernel, (stride, stride), (0, 0), (1, 1))
    work = offloaded(Role.DGRAD, (2 * out * out, 3 * taps, 4), c)
    assert work.counts.macs_issued == factor * work.counts.macs
    assert (work.m, work.n, work.k) == (2 * out * out, 3 * taps, 4)  # the product asked for


@pytest.mark.parametrize(("size", "out"), [(8, 4), (7, 4)])
def test_a_sampling_dgrad_is_a_small_product_whose_outputs_are_scattered_among_zeros(size, out):
    c = Conv(2, 3, 4, (size, size), (out, out), (1, 1), (2, 2), (0, 0), (1, 1))
    work = offloaded(Role.DGRAD, (2 * out * out, 3, 4), c)
    assert work.counts.macs_issued == work.counts.macs == 2 * out * out * 3 * 4
    assert work.counts.dram_write_bytes == 2 * size * size * 3  # all of the input's gradient
    assert work.counts.dram_read_bytes == 2 * out * out * 4 + 3 * 4


@pytest.mark.parametrize(
    ("settings_", "role", "unfold", "fold_back"),
    [
        ({}, Role.FORWARD, None, False),
        ({"im2col": "software"}, Role.FORWARD, 0, False),
        ({"im2col": "software"}, Role.WGRAD, 1, False),
        ({"im2col": "software"}, Role.DGRAD, None, True),
        ({"dgrad": "col2im"}, Role.DGRAD, None, True),
        ({}, Role.DGRAD, None, False),
    ],
)
def test_who_unfolds_and_who_folds_back(settings_, role, unfold, fold_back):
    array = machine(**{f"accelerator__{k}": v for k, v in settings_.items()}).accelerator
    found = layout(Gemm(role, 1, 128, 4, 27, 0, 1, 0, MAPS), array)
    assert (found.unfold, found.fold_back) == (unfold, fold_back)


@pytest.mark.parametrize(("batch", "fitting"), [(1, True), (2, False)])
def test_the_next_product_of_a_batch_needs_memory_of_its_own(batch, fitting):
    array = machine(accelerator__scratchpad="40 KiB", accelerator__accumulator="1 MiB").accelerator
    dims = Dims(512, 64, 64)  # operands of 36 KiB
    whole = Mapping((), 0, 0, 0)
    assert fits(array, GemmShape(batch, dims, Widths(8, 32)), whole) == fitting
