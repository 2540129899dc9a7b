"""Compiled code on a CPU: what its calls, launches, masks and loops cost, and what stays eager."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from simulator import simulate
from simulator.activity import Stage
from simulator.hardware import load_hardware
from simulator.hardware.cpu import CompiledCall, CompiledCode, Kernel, Kernels, ProductSpeed
from simulator.lowering.fusion import fusion_of
from simulator.lowering.lower import Carry, Lowering
from simulator.timing.cores import compiled_kind, dispatch_ps, measured_kernel, product_of
from simulator.trace.compiled_graph import LoopExtras, graph_of
from simulator.trace.op import Conv, Gemm, Op, OpKind, Phase, Role, Tensor, convolution
from simulator.trace.trace import Segment, StorageKind, Trace
from tests.builders import StepBuilder
from tests.system.test_npu import chained_steps

BARE = {"cpu.llc.size": "0 B", "dram.preset": "ideal", "cpu.clock": "1 GHz"}
CHAINS = {"runtime.fusion": "chains"}
COSTS = CompiledCode(
    forward=CompiledCall(call="100 kcycles", tensor="1 kcycles"),
    backward=CompiledCall(call="200 kcycles", tensor="2 kcycles"),
    kernel="3 kcycles",
    extern="4 kcycles",
    mask_write="9 ns",
    mask_read="1 ns",
)


def compiled(code=COSTS, settings=CHAINS | BARE):
    soc = load_hardware("cpu-only", settings)
    return soc.model_copy(update={"cpu": soc.cpu.model_copy(update={"compiled": code})})


def lowered(builder, hardware):
    passes = fusion_of(hardware)
    step = passes[0].apply(builder.step()) if passes else builder.step()
    return step, Lowering(hardware).lower(step, Carry())[0]


def append(builder, name, kind, inputs, outputs, phase=Phase.FORWARD):
    op = Op(f"aten.{name}.default", kind, phase, "net", tuple(inputs), tuple(outputs))
    builder.ops.append(op)
    return outputs[0]


def relu(builder, x):
    out = builder.tensor(*x.shape)
    return append(builder, "relu", OpKind.ELEMENTWISE, (x,), (out,))


def threshold_backward(builder, gradient, result):
    out = builder.tensor(*result.shape)
    inputs = gradient, result
    return append(builder, "threshold_backward", OpKind.ELEMENTWISE, inputs, (out,), Phase.DGRAD)


@pytest.fixture
def builder():
    return StepBuilder()


def test_launches_take_the_place_of_dispatch_and_the_loss_stays_eager(builder):
    x = builder.tensor(64, 64, kind=StorageKind.INPUT)
    made = relu(builder, builder.gemm(64, 64, 64, a=x))
    builder.ops.append(Op("aten.view", OpKind.VIEW, Phase.FORWARD, "", (made,), (made,)))
    builder.elementwise(builder.elementwise(made, phase=Phase.LOSS), phase=Phase.LOSS)
    hardware = compiled()
    _, tasks = lowered(builder, hardware)
    begin, *others = [task.work for task in tasks]
    assert (begin.stage, begin.overhead_ps) == (Stage.BEGIN, 101_000_000)  # one tensor: the weight
    eager = dispatch_ps(hardware.cpu, Phase.LOSS)
    assert [w.overhead_ps for w in others] == [4_000_000, 3_000_000, 0, eager, eager]


def test_a_backward_pass_is_a_call_and_the_optimizer_is_none(builder):
    weight = builder.tensor(64, 64, kind=StorageKind.PARAMETER)
    made = append(
        builder, "mul", OpKind.ELEMENTWISE, (weight,), (builder.tensor(64, 64),), Phase.DGRAD
    )
    builder.elementwise(made, phase=Phase.OPTIMIZER)
    _, tasks = lowered(builder, compiled())
    begins = [task.work.overhead_ps for task in tasks if task.work.stage is Stage.BEGIN]
    assert begins == [202_000_000]


def test_without_chains_nothing_is_compiled(builder):
    made = relu(builder, builder.gemm(64, 64, 64))
    builder.elementwise(made, phase=Phase.LOSS)
    trace = Trace("one", (builder.step(),), (Segment(0, 0, 2),))
    plain, other = simulate(load_hardware("cpu-only", BARE), trace), compiled(settings=BARE)
    assert simulate(other, trace).total == plain.total


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chained_steps())
def test_compiling_at_no_cost_never_costs_time_or_memory(trace):
    apart = simulate("cpu-only", trace)
    fused = simulate(compiled(CompiledCode(), CHAINS), trace)
    assert fused.total["latency_ps"] <= apart.total["latency_ps"]
    assert fused.memory["peak_bytes"] <= apart.memory["peak_bytes"]


def rectified(builder, follows):
    """Append a product, a ReLU, what `follows` it, and the ReLU's backward."""
    x = builder.tensor(64, 64, kind=StorageKind.INPUT)
    made = builder.gemm(64, 64, 64, a=x)
    if follows == "norm before":
        stats = builder.tensor(64), builder.tensor(64)
        out = builder.tensor(64, 64), *stats
        normed = append(builder, "native_batch_norm", OpKind.NORM, (made,), out)
        result = relu(builder, normed)
        back = builder.tensor(64, 64), builder.tensor(64, 64)
        append(builder, "native_batch_norm_backward", OpKind.NORM, (back[0], made), back[1:],
               Phase.DGRAD)  # fmt: skip
    else:
        result = relu(builder, made)
    if follows == "product":
        builder.gemm(64, 64, 64, a=result, phase=Phase.WGRAD)
    number = len(builder.ops)
    threshold_backward(builder, builder.tensor(64, 64), result)
    return number


@pytest.mark.parametrize("follows", ["product", "norm before", ""])
def test_a_mask_is_kept_where_nothing_else_is(builder, follows):
    """A product's wgrad has the ReLU's result anyway; a norm's follows from what its own has."""
    number = rectified(builder, follows)
    masks = {} if follows else {1: LoopExtras(4096, 0), number: LoopExtras(0, 4096)}
    assert graph_of(builder.step()).extras == masks


def test_what_is_random_is_a_mask_that_is_only_read(builder):
    mask, x = builder.tensor(64, 64), builder.tensor(64, 64, kind=StorageKind.INPUT)
    append(builder, "bernoulli_", OpKind.RANDOM, (mask,), (mask,))
    append(builder, "mul", OpKind.ELEMENTWISE, (x, mask), (builder.tensor(64, 64),))
    inputs = builder.tensor(64, 64), mask
    append(builder, "mul", OpKind.ELEMENTWISE, inputs, (builder.tensor(64, 64),), Phase.DGRAD)
    assert graph_of(builder.step()).extras == {2: LoopExtras(0, 4096)}


def test_masks_take_their_time(builder):
    number = rectified(builder, "")
    free = COSTS.model_copy(update={"mask_write": 0, "mask_read": 0})
    (_, tasks), (_, plain) = lowered(builder, compiled()), lowered(builder, compiled(free))
    more = {a.op: a.work.compute_ps - b.work.compute_ps for a, b in zip(tasks, plain, strict=True)}
    assert {op: ps for op, ps in more.items() if ps} == {1: 9_000 * 4096, number: 1_000 * 4096}


def test_a_norm_reads_again_what_leads_to_it(builder):
    """Gradient, result and input twice each, the norm's gradient once: the masked gradient between
    is never stored.
    """
    shape = 8, 16, 64, 64
    gradient, result, x = (builder.tensor(*shape, kind=StorageKind.PARAMETER) for _ in range(3))
    masked = threshold_backward(builder, gradient, result)
    out = builder.tensor(*shape)
    append(builder, "native_batch_norm_backward", OpKind.NORM, (masked, x), (out,), Phase.DGRAD)
    step, tasks = lowered(builder, compiled())
    assert [op.base_name for op in step.ops] == ["threshold_backward"]
    (work,) = [task.work for task in tasks if task.work.stage is Stage.OP]
    assert work.counts.dram_read_bytes == 6 * x.bytes
    assert work.counts.dram_write_bytes == x.bytes
    eager, _ = lowered(builder, load_hardware("cpu-only", CHAINS | BARE))
    assert len(eager.ops) == 2


def test_a_norm_does_not_read_many_tensors_again(builder):
    shape = 8, 16, 64, 64
    made, x, *others = (builder.tensor(*shape, kind=StorageKind.PARAMETER) for _ in range(5))
    for other in others:
        made = append(
            builder, "add", OpKind.ELEMENTWISE, (made, other), (builder.tensor(*shape),),
            Phase.DGRAD,
        )  # fmt: skip
    out = builder.tensor(*shape)
    append(builder, "native_batch_norm_backward", OpKind.NORM, (made, x), (out,), Phase.DGRAD)
    step, _ = lowered(builder, compiled())
    assert len(step.ops) == 2


def convolved(builder, role, groups):
    """Append a convolution of 16 channels in this role, and return its result."""
    conv = Conv(4, 16, 16, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1), groups)
    maps = [builder.tensor(4, 16, 8, 8, kind=StorageKind.INPUT) for _ in range(2)]
    weight = builder.tensor(16, 16 // groups, 3, 3, kind=StorageKind.PARAMETER)
    phase = Phase.FORWARD if role is Role.FORWARD else Phase.DGRAD
    gemm = replace(convolution(conv, role), a=0, b=1, c=0)
    inputs = maps[0], weight
    builder.ops.append(
        Op("aten.convolution", OpKind.GEMM, phase, "net", inputs, (maps[1],), (gemm,))
    )
    return maps[1]


@pytest.mark.parametrize(("groups", "scans"), [(1, 0), (16, 2)])
def test_a_norm_turns_the_gradient_of_a_depthwise_convolution_in_each_scan(builder, groups, scans):
    gradient = convolved(builder, Role.DGRAD, groups)
    x, out = builder.tensor(4, 16, 8, 8, kind=StorageKind.INPUT), builder.tensor(4, 16, 8, 8)
    append(builder, "native_batch_norm_backward", OpKind.NORM, (gradient, x), (out,), Phase.DGRAD)
    turned = {1: LoopExtras(turned=scans * x.elements)} if scans else {}
    assert graph_of(builder.step()).extras == turned


@pytest.mark.parametrize(("groups", "turned"), [(1, 2304), (16, 0)])
def test_weights_over_pixels_and_channels_are_turned(builder, groups, turned):
    convolved(builder, Role.FORWARD, groups)
    extras = {0: LoopExtras(turned=turned)} if turned else {}
    assert graph_of(builder.step()).extras == extras


def test_turning_takes_the_time_of_copies(builder):
    convolved(builder, Role.FORWARD, 1)
    code = CompiledCode(kernels=Kernels(copies=Kernel(element="1 ns")))
    (_, tasks), (_, plain) = (lowered(builder, compiled(each)) for each in (code, CompiledCode()))
    more = [a.work.compute_ps - b.work.compute_ps for a, b in zip(tasks, plain, strict=True)]
    assert more[-1] == 2304 * 1000


def tensor(*shape, strides):
    return Tensor(0, "float32", shape, strides)


def test_only_a_copy_that_turns_is_one_in_compiled_code():
    rows, columns = tensor(8, 4, strides=(4, 1)), tensor(8, 4, strides=(1, 8))
    same = Op("aten.clone", OpKind.COPY, Phase.FORWARD, "", (rows,), (rows,))
    turned = Op("aten.clone", OpKind.COPY, Phase.FORWARD, "", (columns,), (rows,))
    kinds = [compiled_kind(op) for op in (same, turned)]
    assert kinds == [OpKind.ELEMENTWISE, OpKind.COPY]


def test_compiled_loops_go_before_eager_kernels_and_those_stand_in():
    own, eager = Kernel(element="1 ps"), Kernel(element="2 ps")
    speed = ProductSpeed(efficiency="50 %")
    bare = load_hardware("cpu-only").cpu
    code = CompiledCode(kernels=Kernels(elementwise=own))
    kernels = Kernels(operations={"relu": eager, "exp": eager}, gemm=speed)
    cpu = bare.model_copy(update={"kernels": kernels, "compiled": code})
    x = tensor(8, strides=(1,))
    rectify = Op("aten.relu", OpKind.ELEMENTWISE, Phase.FORWARD, "", (x,), (x,))
    exponential = Op("aten.exp", OpKind.TRANSCENDENTAL, Phase.FORWARD, "", (x,), (x,))
    assert measured_kernel(cpu, rectify) == eager
    assert measured_kernel(cpu, rectify, compiled=True) == own
    assert measured_kernel(cpu, exponential, compiled=True) == eager
    gemm = Gemm(Role.FORWARD, 1, 8, 8, 8, 0, 1, 0)
    product = Op("aten.mm", OpKind.GEMM, Phase.FORWARD, "", (x, x), (x,), (gemm,))
    assert product_of(cpu, product, gemm, compiled=True) == speed


def test_costs_of_compiling_can_exceed_what_fusion_saves(builder):
    relu(builder, builder.gemm(8, 8, 8))
    trace = Trace("tiny", (builder.step(),), (Segment(0, 0, 2),))
    slow = simulate(
        compiled(CompiledCode(forward=CompiledCall(call="1000 kcycles")), CHAINS), trace
    )
    assert slow.total["latency_ps"] > simulate("cpu-only", trace).total["latency_ps"]
    assert slow.as_dict()["fusion"]["compiled"]
    assert "compiled" not in simulate("cpu-only", trace, CHAINS).as_dict()["fusion"]
