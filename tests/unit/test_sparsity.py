"""What zeros save: the expected work of arrays against draws and closed forms, and patterns."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import prod
from random import Random

import pytest

from simulator.activity import ARRAY_MACS, SCRATCHPAD_READS, Action
from simulator.energy import prices
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.shipped import CONFIGS
from simulator.hardware.unit import ACCELERATOR
from simulator.mapping.array_shape import shape_of
from simulator.mapping.layout import layout
from simulator.mapping.mapper import map_shape
from simulator.mapping.plan import Plan
from simulator.mapping.sparse_shape import with_zeros
from simulator.mapping.tiling import candidates
from simulator.replay import Replay
from simulator.sparsity import BlockPattern, GroupPattern, density_of, index_bits_of, pattern_of
from simulator.timing.dataflows import Dims, dataflow_of
from simulator.timing.pricing import pricing_of
from simulator.timing.sparsity import CommandShares, busy_share, fullest, skipping_cycles
from simulator.timing.systolic import tile_cycles
from simulator.trace.op import Gemm, Role, convolution, valid_convolution
from simulator.trace.passes.overlay import scheduled
from simulator.trace.passes.treatment import MethodSchedule, Treatment, TreatmentRule
from simulator.trace.sparsity import SparseOperand, SparseOperands
from tests.builders import array_work, best_within_slack, machine, one_step_trace, time_and_traffic
from tests.unit.test_method import one_layer

QUARTER = Fraction(1, 4)
ISSUED = Action(ACCELERATOR, ARRAY_MACS)
SIDE = 16  # of the array in these machines


def skipping(**more):
    """Return a machine of 16 x 16 that skips blocks, with little but the array to wait for."""
    return machine(
        accelerator__sparsity__blocks=True, dram__preset="ideal", accelerator__clock="1 MHz", **more
    )


def with_groups(soc, *groups):
    """Return a machine whose array has patterns N:M."""
    array = soc.accelerator
    skips = array.sparsity.model_copy(update={"groups": groups})
    return soc.model_copy(update={"accelerator": array.model_copy(update={"sparsity": skips})})


def sparse_gemm(m, n, k, pattern, role=Role.FORWARD, batch=1):
    weights = SparseOperand(pattern, "k", "n", density_of(pattern, k), index_bits_of(pattern, k, n))
    return Gemm(role, batch, m, n, k, 0, 1, 0, sparsity=SparseOperands(b=weights))


def dense(gemm):
    return replace(gemm, sparsity=SparseOperands())


# Tiles


@pytest.mark.parametrize("block", [(16, 16), (32, 16), (16, 64), (48, 48)])
def test_blocks_that_cover_tiles_leave_their_density_of_them(block):
    for density in (QUARTER, Fraction(1, 3), Fraction(1)):
        assert busy_share(BlockPattern(*block, density), (192, 96), (16, 16)) == density


@pytest.mark.parametrize(("block", "blocks"), [((8, 16), 2), ((8, 8), 4), ((4, 4), 16)])
def test_tiles_of_several_blocks_are_empty_when_all_of_them_are(block, blocks):
    share = busy_share(BlockPattern(*block, QUARTER), (64, 64), (16, 16))
    assert share == pytest.approx(1 - 0.75**blocks, abs=1e-12)


def test_single_values_leave_no_tile_empty():
    share = busy_share(BlockPattern(1, 1, Fraction(1, 8)), (512, 512), (16, 16))
    assert share == 1


@pytest.mark.parametrize("block", [(24, 16), (5, 7), (10, 40), (3, 100)])
def test_the_share_of_tiles_is_the_mean_over_masks_drawn_at_random(block):
    """Blocks that neither cover tiles nor divide them, and a matrix that ends within a tile."""
    rows, cols, tile = 70, 90, 16
    random, busy, tiles, draws = Random(1), 0, 0, 400
    for _ in range(draws):
        mask = {
            (r, c)
            for r in range(-(-rows // block[0]))
            for c in range(-(-cols // block[1]))
            if random.random() < 0.25
        }
        for top, left in product(range(0, rows, tile), range(0, cols, tile)):
            bottom, right = min(top + tile, rows), min(left + tile, cols)
            touched = product(
                range(top // block[0], (bottom - 1) // block[0] + 1),
                range(left // block[1], (right - 1) // block[1] + 1),
            )
            busy, tiles = busy + any(each in mask for each in touched), tiles + 1
    share = busy_share(BlockPattern(*block, QUARTER), (rows, cols), (tile, tile))
    assert float(share) == pytest.approx(busy / tiles, abs=0.02)


# Arrays that wait for each other


@pytest.mark.parametrize(("arrays", "folds"), [(2, 1), (2, 5), (3, 4), (4, 3)])
def test_the_fullest_array_is_the_mean_over_all_outcomes(arrays, folds):
    share, expected = Fraction(1, 3), Fraction(0)
    for outcome in product((0, 1), repeat=arrays * folds):
        chance = prod(share if busy else 1 - share for busy in outcome)
        most = max(sum(outcome[at::arrays]) for at in range(arrays))
        expected += chance * most
    assert float(fullest(arrays, folds, share)) == pytest.approx(float(expected), rel=1e-15)


def test_many_folds_even_out_and_few_do_not():
    over = [float(fullest(8, folds, QUARTER)) / (folds / 4) for folds in (4, 64, 4096)]
    assert over[0] > 2.2 > over[1] > over[2]
    assert over[2] < 1.04
    assert fullest(8, 40, Fraction(1)) == 40
    assert fullest(1, 40, QUARTER) == 10


@pytest.mark.parametrize("arrays", [1, 4])
@pytest.mark.parametrize("name", ["ws", "os", "is"])
def test_what_has_no_zeros_takes_as_long_as_ever(arrays, name):
    array = machine(accelerator__arrays=arrays).accelerator
    for dims in (Dims(50, 70, 90), Dims(1, 16, 400), Dims(300, 17, 1)):
        cycles = skipping_cycles(array, dims, dataflow_of(name), CommandShares())
        assert cycles == tile_cycles(array, dims, dataflow_of(name))


# A product on an array


@pytest.mark.parametrize("density", [Fraction(1, n) for n in (2, 4, 8)])
@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
def test_blocks_that_cover_tiles_save_as_much_time_as_macs(dataflow, density):
    soc = skipping(accelerator__dataflow=dataflow)
    gemm = sparse_gemm(256, 128, 256, BlockPattern(32, 16, density))
    before, after = (array_work(soc, each, 32) for each in (dense(gemm), gemm))
    assert after.counts.macs == density * before.counts.macs
    assert after.counts[ISSUED] == density * before.counts[ISSUED]
    assert after.skipped_macs == (1 - density) * before.counts[ISSUED]
    computing = after.compute_ps + after.skipped_ps
    if dataflow == "ws":  # folds are left out whole; others stream less, and have their ends
        assert after.skipped_ps == pytest.approx((1 - density) * computing, rel=2e-3)
    else:
        assert 0.6 * (1 - density) < after.skipped_ps / computing <= 1 - density


def test_smaller_blocks_save_less_time_than_macs_and_single_values_none():
    soc = skipping()
    saved = []
    for side in (16, 8, 4, 1):
        work = array_work(soc, sparse_gemm(256, 128, 256, BlockPattern(side, side, QUARTER)), 32)
        assert work.counts.macs == 256 * 128 * 256 // 4
        saved.append(work.skipped_ps / (work.skipped_ps + work.compute_ps))
    wanted = [1 - (1 - 0.75 ** (256 // side**2)) for side in (16, 8, 4, 1)]
    assert saved == pytest.approx(wanted, abs=2e-3)
    assert saved[3] == 0


def test_an_array_without_the_means_multiplies_every_zero():
    gemm = sparse_gemm(64, 64, 64, BlockPattern(16, 16, QUARTER))
    work, whole = (array_work(machine(), each, 32) for each in (gemm, dense(gemm)))
    assert (work.skipped_macs, work.skipped_ps) == (0, 0)
    assert work.counts.macs_issued == 64**3 == 4 * work.counts.macs
    assert work.compute_cycles == whole.compute_cycles


def test_n_of_m_shortens_the_reduction_where_the_array_has_it():
    soc = with_groups(skipping(), "2:4")
    half = Gemm(Role.FORWARD, 1, 128, 64, 128, 0, 1, 0)
    has, lacks = (
        array_work(soc, sparse_gemm(128, 64, 256, pattern), 32)
        for pattern in (GroupPattern(2, 4), GroupPattern(1, 4))
    )
    assert has.compute_cycles == array_work(soc, half, 32).compute_cycles
    assert has.counts.macs == has.counts.macs_issued == 128 * 64 * 128
    assert lacks.counts.macs_issued == 128 * 64 * 256 == 4 * lacks.counts.macs
    # all of A is read, to be selected from, and half of the weights with an index
    reads = has.counts[Action(ACCELERATOR, SCRATCHPAD_READS)]
    assert reads == 128 * 256 * 64 // SIDE + 128 * 64


def test_pruned_outputs_are_no_reduction():
    """In a dgrad the weights' groups run along its columns: 2:4 hardware computes it dense."""
    soc = with_groups(machine(), "2:4")
    weights = SparseOperand(GroupPattern(2, 4), "n", "k", Fraction(1, 2))
    gemm = Gemm(Role.DGRAD, 1, 64, 64, 64, 0, 1, 0, sparsity=SparseOperands(b=weights))
    work = array_work(soc, gemm, 32)
    assert work.counts.macs_issued == 64**3 == 2 * work.counts.macs


def test_memory_has_the_values_and_their_index():
    """64 x 64 int8 weights: 2:4 keeps 2048 with 2 bits each; of 16 blocks of 16 x 16 at 1/4, 4 are
    expected, with 2 bits each.
    """
    soc, whole = skipping(), 64 * 64
    for pattern, size in (
        (GroupPattern(2, 4), 2048 + 2048 * 2 // 8),
        (BlockPattern(16, 16, QUARTER), 1024 + 1),
    ):
        gemm = sparse_gemm(64, 64, 64, pattern)
        read = [array_work(soc, each, 32).counts.dram_read_bytes for each in (dense(gemm), gemm)]
        assert 0 <= whole - size - (read[0] - read[1]) <= 16  # a tile's part is whole bytes


def test_two_sparse_operands_leave_what_both_keep():
    gradient = SparseOperand(BlockPattern(16, 16, QUARTER), "k", "m", QUARTER)
    weights = SparseOperand(BlockPattern(16, 16, Fraction(1, 2)), "n", "k", Fraction(1, 2))
    sparsity = SparseOperands(a=gradient, b=weights)
    gemm = Gemm(Role.DGRAD, 1, 256, 64, 64, 0, 1, 0, sparsity=sparsity)
    work = array_work(skipping(), gemm, 32)
    assert 8 * work.counts.macs == 8 * work.counts.macs_issued == gemm.dense_macs


def test_arrays_wait_for_the_fullest_unless_all_share_each_fold():
    """With one vector there is nothing to share, and 4 arrays have 4 of 16 folds each."""
    soc = skipping(accelerator__arrays=4)
    gemm = sparse_gemm(1, 64, 64, BlockPattern(16, 16, QUARTER))
    array = soc.accelerator
    cycles = skipping_cycles(array, Dims(1, 64, 64), dataflow_of("ws"), CommandShares(QUARTER))
    fold = dataflow_of("ws").fold_cycles(array, 1)
    assert cycles == -(-fullest(4, 4, QUARTER) * fold // 1)
    assert cycles > array_work(soc, gemm, 32).counts.macs * fold / 1024
    whole = skipping_cycles(array, Dims(1, 64, 64), dataflow_of("ws"), CommandShares())
    assert Fraction(cycles, whole) > QUARTER


# Mappings


@pytest.mark.parametrize("im2col", ["hardware", "channelwise"])
@pytest.mark.parametrize("pattern", [GroupPattern(1, 4), BlockPattern(8, 8, QUARTER)])
@pytest.mark.parametrize("arrays", [1, 3])
def test_the_search_finds_the_best_of_all_mappings(im2col, pattern, arrays):
    soc = with_groups(
        machine(
            accelerator__sparsity__blocks=True, accelerator__im2col=im2col,
            accelerator__arrays=arrays, accelerator__scratchpad="8 KiB",
            accelerator__accumulator="4 KiB",
        ),
        "1:4",
    )  # fmt: skip
    conv = convolution(valid_convolution(24, 40, (10, 10), (3, 3), 1))
    weights = sparse_gemm(conv.m, conv.n, conv.k, pattern).sparsity
    gemm = replace(conv, sparsity=weights)
    array, pricing = soc.accelerator, pricing_of(soc.dram, soc.interconnect)
    shape = with_zeros(shape_of(gemm, layout(gemm, array), array, 32), gemm, array)
    mappings = list(candidates(array, shape))
    every = [Plan(array, pricing, shape, mapping) for mapping in mappings]
    assert len(every) > 20
    best = map_shape(array, pricing, shape, gemm.macs)
    assert time_and_traffic(best.progress, best.counts) == best_within_slack(every)
    for mapping, plan in zip(mappings, every, strict=True):
        work = plan.work(gemm.macs, "")
        assert work.counts.macs_issued + work.skipped_macs == conv.macs
        whole = work.compute_ps + work.skipped_ps
        assert whole == Plan(array, pricing, shape.dense, mapping).work(0, "").compute_ps


def test_taps_are_products_of_their_own_with_the_same_share_of_zeros():
    """32 channels are two tiles of rows: 9 taps of 2 x 2 folds, of which a quarter is left."""
    soc = skipping(accelerator__im2col="channelwise")
    conv = convolution(valid_convolution(32, 32, (18, 18), (3, 3), 1))
    gemm = replace(conv, sparsity=sparse_gemm(256, 32, 288, BlockPattern(16, 16, QUARTER)).sparsity)
    work, whole = array_work(soc, gemm, 32), array_work(soc, conv, 32)
    assert 4 * work.counts.macs == 4 * work.counts.macs_issued == conv.macs
    fold = dataflow_of("ws").fold_cycles(soc.accelerator, 256)
    fill = dataflow_of("ws").fill_cycles(soc.accelerator)
    assert whole.compute_cycles == 36 * fold + fill
    assert work.compute_cycles == 9 * fold + fill


def test_energy_follows_what_the_array_executes():
    soc = skipping()
    gemm = sparse_gemm(256, 128, 256, BlockPattern(16, 16, QUARTER))
    cost = prices(soc)
    spent = [
        cost.dynamic_aj[ISSUED] * array_work(soc, each, 32).counts[ISSUED]
        for each in (gemm, dense(gemm))
    ]
    assert 4 * spent[0] == spent[1] == cost.dynamic_aj[ISSUED] * 256 * 128 * 256


@pytest.mark.parametrize("arrays", [1, 2])
def test_tiles_as_events_take_what_the_recurrence_says(arrays):
    treatment = Treatment(settings=(("sparsity", BlockPattern(8, 8, QUARTER)),))
    schedule = MethodSchedule("m", (TreatmentRule(treatment),))
    trace = scheduled(one_step_trace(one_layer()), schedule)
    soc = machine(accelerator__sparsity__blocks=True, accelerator__arrays=arrays)
    flow, tile = (Replay(soc, trace, fidelity=each).run().total for each in ("flow", "tile"))
    assert flow["latency_ps"] == tile["latency_ps"]


# Patterns


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("2:4", GroupPattern(2, 4)),
        ({"block": "16x8", "density": "1/4"}, BlockPattern(16, 8, QUARTER)),
        ({"block": "1x1", "density": "12.5 %"}, BlockPattern(1, 1, Fraction(1, 8))),
    ],
)
def test_a_pattern_as_people_write_it(written, pattern):
    assert pattern_of(written) == pattern == pattern_of(pattern)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("[2-4]", "accelerator.sparsity.groups.0: '2-4' is no pattern N:M: write it as 2:4"),
        ("[4:2]", "accelerator.sparsity.groups.0: 4:2 keeps all: keep fewer than 2"),
    ],
)
def test_mistakes_of_a_machine_are_one_sentence(tmp_path, groups, said):
    text = (CONFIGS / "edge-16x16.yaml").read_text(encoding="utf-8")
    path = tmp_path / "soc.yaml"
    path.write_text(
        text.replace("accelerator:\n", f"accelerator:\n  sparsity: {{groups: {groups}}}\n")
    )
    with pytest.raises(InputError) as caught:
        load_hardware(path)
    assert str(caught.value).startswith(f"soc.yaml: {said}")


def test_how_much_is_kept_and_how_it_is_indexed():
    assert density_of(GroupPattern(2, 4), 10) == Fraction(6, 10)
    assert density_of(GroupPattern(1, 4), 27) == Fraction(7, 27)
    assert index_bits_of(GroupPattern(2, 4), 64, 64) == 2
    assert index_bits_of(GroupPattern(1, 5), 64, 64) == 3
    assert index_bits_of(BlockPattern(16, 4, QUARTER), 64, 100) == Fraction(5, 64)
    assert index_bits_of(BlockPattern(64, 64, QUARTER), 27, 64) == 0
