"""What handing a GEMM over takes: which stages, how often, how long, and what they move."""

import pytest

from simulator.activity import Stage
from simulator.hardware.unit import HOST
from simulator.lowering.lower import Carry, Lowering
from simulator.mapping.layout import replicated
from simulator.replay import Replay
from simulator.timing.shares import WHOLE
from simulator.trace.op import Conv, Gemm, Op, OpKind, Phase, Role, convolution
from simulator.trace.trace import Storage, StorageKind
from tests.builders import StepBuilder, machine, one_step_trace

CONV = Conv(2, 8, 16, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1))
X, Y, W = 4 * 2 * 8 * 64, 4 * 2 * 16 * 64, 4 * 8 * 16 * 9  # bytes
US = 10**6
NATIVE = {"accelerator__precision": "fp32", "cpu__llc__size": "0 B"}
COPIES = {**NATIVE, "runtime__copies": "in_out"}


def pass_of(role, conv=CONV):
    """Return a step of one convolution in one role."""
    builder = StepBuilder()
    x = builder.tensor(conv.images, conv.in_channels, *conv.input)
    y = builder.tensor(conv.images, conv.out_channels, *conv.output)
    w = builder.tensor(conv.out_channels, conv.in_channels // conv.groups, *conv.kernel)
    operands = {Role.FORWARD: (x, w, y), Role.DGRAD: (y, w, x), Role.WGRAD: (y, x, w)}[role]
    phase = Phase.FORWARD if role is Role.FORWARD else Phase.DGRAD
    op = Op(
        "conv", OpKind.GEMM, phase, "conv", operands[:2], operands[2:], (convolution(conv, role),)
    )
    builder.ops.append(op)
    return builder


def lowered(builder, **overrides):
    return Lowering(machine(**overrides)).lower(builder.step(), Carry())[0]


def moved(tasks, stage):
    """Return bytes read and written by each task of a stage."""
    counts = [task.work.counts for task in tasks if task.work.stage is stage]
    return [(count.dram_read_bytes, count.dram_write_bytes) for count in counts]


def durations(tasks, stage):
    works = [task.work for task in tasks if task.work.stage is stage]
    return [work.progress.duration_ps(WHOLE) for work in works]


def test_zero_copy_hands_nothing_over():
    stages = {task.work.stage for task in lowered(pass_of(Role.FORWARD), **NATIVE)}
    assert stages == {Stage.LAUNCH, Stage.GEMM}


@pytest.mark.parametrize(
    ("role", "operands", "result"),
    [(Role.FORWARD, [X, W], Y), (Role.DGRAD, [Y, W], X), (Role.WGRAD, [Y, X], W)],
)
def test_operands_are_copied_in_and_results_out(role, operands, result):
    tasks = lowered(pass_of(role), **COPIES)
    assert moved(tasks, Stage.LOAD) == [(size, size) for size in operands]
    assert moved(tasks, Stage.STORE) == [(result, result)]
    assert {task.work.unit for task in tasks if task.work.stage is not Stage.GEMM} == {HOST}


def test_stages_follow_each_other():
    tasks = lowered(pass_of(Role.FORWARD), **COPIES, runtime__reshape__fixed="1 us")
    assert [task.work.stage.value for task in tasks] == [
        "load", "load", "launch", "gemm", "synchronise", "store", "reshape",
    ]  # fmt: skip
    product, store, reshape = tasks[3], tasks[5], tasks[6]
    assert {0, 1, 2} <= set(product.waits)
    assert 3 in store.waits
    assert 5 in reshape.waits


@pytest.mark.parametrize("stage", [Stage.LOAD, Stage.STORE, Stage.REFIT, Stage.RESHAPE])
def test_a_stage_takes_a_fixed_time_and_so_long_per_byte(stage):
    settings = {f"runtime__{stage}__fixed": "7 us", f"runtime__{stage}__rate": "0.1 GB/s"}
    tasks = lowered(pass_of(Role.DGRAD), **COPIES, runtime__weights="refit", **settings)
    size = {Stage.LOAD: Y, Stage.REFIT: W}.get(stage, X)
    assert durations(tasks, stage) == [7 * US + size * 10**4]  # 10 ns a byte


def test_a_rate_is_at_most_that_of_the_memory():
    (fast,) = durations(lowered(pass_of(Role.FORWARD), **COPIES), Stage.STORE)
    settings = {**COPIES, "runtime__store__rate": "1 TB/s"}
    (limited,) = durations(lowered(pass_of(Role.FORWARD), **settings), Stage.STORE)
    assert limited == fast > 2 * Y * 10**12 // 12_800_000_000  # reads and writes at 12.8 GB/s


def twice(**overrides):
    """Return the tasks of two forward passes with the same input and weights."""
    builder = pass_of(Role.FORWARD)
    builder.ops *= 2
    return lowered(builder, **overrides)


def test_resident_weights_are_loaded_once_and_operands_on_every_call():
    assert moved(twice(**COPIES), Stage.LOAD) == [(X, X), (W, W), (X, X)]


def test_weights_that_change_are_loaded_again():
    builder = pass_of(Role.FORWARD)
    (op,) = builder.ops
    w = op.inputs[1]
    builder.ops += [Op("add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, "conv", (w,), (w,)), op]
    assert len(moved(lowered(builder, **COPIES), Stage.LOAD)) == 4


@pytest.mark.parametrize("updated", [False, True])
def test_copies_of_weights_stay_for_the_next_step_unless_they_are_updated(updated):
    builder = pass_of(Role.FORWARD)
    w = builder.ops[0].inputs[1]
    builder.storages[w.storage] = Storage(W, StorageKind.PARAMETER, "conv.weight")
    if updated:
        step = Op("add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, "conv", (w,), (w,))
        builder.ops.append(step)
    lowering = Lowering(machine(**{**COPIES, "accelerator__precision": "int8"}))
    first, carry = lowering.lower(builder.step(), Carry())
    second, after = lowering.lower(builder.step(), carry)
    third, _ = lowering.lower(builder.step(), after)
    made = [sum(t.work.stage in (Stage.QUANTISE, Stage.LOAD) for t in s) for s in (first, second)]
    assert made == [4, 4 if updated else 2]
    assert [t.work for t in third] == [t.work for t in second]


@pytest.mark.parametrize("base", [NATIVE, COPIES])
def test_an_engine_is_refitted_on_every_call(base):
    tasks = twice(**base, runtime__weights="refit")
    assert moved(tasks, Stage.REFIT) == [(W, W)] * 2
    assert len(moved(tasks, Stage.LOAD)) == (2 if base is COPIES else 0)


def test_a_plain_weight_gradient_and_a_product_of_activations_have_no_weights():
    assert (
        moved(lowered(pass_of(Role.WGRAD), **NATIVE, runtime__weights="refit"), Stage.REFIT) == []
    )
    builder = StepBuilder()
    builder.gemm(64, 64, 64, role=Role.OTHER)
    assert moved(lowered(builder, **NATIVE, runtime__weights="refit"), Stage.REFIT) == []


def test_what_is_copied_in_is_in_the_array_s_precision():
    tasks = lowered(pass_of(Role.FORWARD), **{**COPIES, "accelerator__precision": "int8"})
    assert moved(tasks, Stage.LOAD) == [(X // 4, X // 4), (W // 4, W // 4)]
    assert moved(tasks, Stage.STORE) == [(Y, Y)]  # sums of 32 bits, scaled after


def test_temporaries_of_fused_operations_are_copied_too():
    builder = StepBuilder()
    q, k, v = (builder.tensor(2, 16, 8) for _ in range(3))
    out = builder.tensor(2, 16, 8)
    scores = Gemm(Role.OTHER, 2, 16, 16, 8, 0, 1, -1)
    mixed = Gemm(Role.OTHER, 2, 16, 8, 16, -1, 2, 0)
    name = "aten.attention"
    op = Op(name, OpKind.GEMM, Phase.FORWARD, "a", (q, k, v), (out,), (scores, mixed))
    builder.ops.append(op)
    tasks = lowered(builder, **COPIES)
    assert len(moved(tasks, Stage.LOAD)) == 4  # q, k; v and the weights of attention
    assert len(moved(tasks, Stage.STORE)) == 2


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_replicated_weight_gradient_does_the_same_work_in_more_groups(groups, stride):
    out = (8 // stride,) * 2
    conv = Conv(2, 8, 16, (8, 8), out, (3, 3), (stride,) * 2, (1, 1), (1, 1), groups)
    plain = convolution(conv, Role.WGRAD)
    found = replicated(plain)
    assert found.macs == plain.macs
    assert found.batch == 2 * 8  # images and channels
    assert (found.m, found.n, found.k) == (16 // groups, 9, out[0] * out[1])


def test_a_replicated_gradient_reaches_the_accelerator_once_per_channel():
    tasks = lowered(pass_of(Role.WGRAD), **COPIES, accelerator__wgrad="replicated")
    assert moved(tasks, Stage.REPLICATE) == [(Y, 8 * Y)]
    assert moved(tasks, Stage.LOAD) == [(8 * Y, 8 * Y), (X, X)]
    assert moved(tasks, Stage.STORE) == [(2 * W, 2 * W)]  # a gradient per image
    assert moved(tasks, Stage.REDUCE) == [(2 * W, W)]


def test_a_replicated_gradient_is_refitted_like_weights():
    settings = {"accelerator__wgrad": "replicated", "runtime__weights": "refit"}
    tasks = lowered(pass_of(Role.WGRAD), **COPIES, **settings)
    assert moved(tasks, Stage.REFIT) == [(8 * Y, 8 * Y)]
    assert moved(tasks, Stage.LOAD) == [(X, X)]


def test_a_gradient_of_one_image_and_channel_is_neither_replicated_nor_summed():
    conv = Conv(1, 1, 4, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1))
    tasks = lowered(pass_of(Role.WGRAD, conv), **NATIVE, accelerator__wgrad="replicated")
    assert [task.work.stage for task in tasks] == [Stage.LAUNCH, Stage.GEMM]


def test_only_weight_gradients_are_replicated():
    for role in (Role.FORWARD, Role.DGRAD):
        plain = lowered(pass_of(role), **NATIVE)
        other = lowered(pass_of(role), **NATIVE, accelerator__wgrad="replicated")
        assert [task.work.counts for task in plain] == [task.work.counts for task in other]


@pytest.mark.parametrize("base", [NATIVE, COPIES])
@pytest.mark.parametrize("im2col", ["hardware", "software", "channelwise"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_result_shows_where_the_time_of_an_operation_went(base, im2col, precision):
    settings = {
        **base,
        "accelerator__im2col": im2col,
        "accelerator__precision": precision,
        "accelerator__wgrad": "replicated",
        "runtime__issue": "synchronous",
    }
    result = Replay(machine(**settings), one_step_trace(pass_of(Role.WGRAD))).run()
    assert sum(op["attributed_ps"] for op in result.ops) == result.total["latency_ps"]
    assert result.total["macs"] == convolution(CONV, Role.WGRAD).macs
    stages = {op["stage"] for op in result.ops}
    assert {"launch", "gemm", "synchronise", "reduce", "replicate"} <= stages
    assert ({"load", "store"} <= stages) == (base is COPIES)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_convolutions_of_groups_take_more_steps_and_others_do_not(precision):
    grouped = Conv(2, 8, 16, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1), 4)

    def cycles(conv, steps):
        settings = {**NATIVE, "accelerator__precision": precision}
        tasks = lowered(pass_of(Role.FORWARD, conv), **settings, accelerator__grouped_steps=steps)
        return next(t.work.compute_cycles for t in tasks if t.work.stage is Stage.GEMM)

    assert cycles(CONV, 3) == cycles(CONV, 1)
    assert cycles(grouped, 3) > 2 * cycles(grouped, 1)
