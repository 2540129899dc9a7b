"""Who converts to the array's precision and back: every byte, op and dispatch counted by hand."""

import pytest

from simulator.activity import Stage
from simulator.hardware.cpu import Dispatch
from simulator.hardware.unit import HOST
from simulator.lowering.lower import Carry, Lowering
from simulator.replay import Replay
from simulator.timing.shares import WHOLE
from simulator.trace.op import Conv, Gemm, Op, OpKind, Phase, Role, Tensor, convolution
from tests.builders import ACTIONS, StepBuilder, machine, one_step_trace

M, N, K = 32, 16, 24
A, B, C = M * K, K * N, M * N  # elements
DISPATCH_PS = 20 * 10**6  # 28,000 cycles at 1.4 GHz
WAYS = ["fused", "eager", "unit"]
DISPATCH = ("op_overhead", "dispatch__forward", "dispatch__backward", "dispatch__optimizer")
BARE = {"cpu__llc__size": "0 B"} | {f"cpu__{name}": "28 kcycles" for name in DISPATCH}


def seven_ops(n):
    """Bytes that abs, amax, / 127, / scale, round, clamp and a cast read and write, of n floats."""
    x = 4 * n
    return [(x, x), (x, 4), (4, 4), (x + 4, x), (x, x), (x, x), (x, n)]


def product(bias=False, dtype="float32"):
    builder = StepBuilder()
    a, b = builder.tensor(M, K, dtype=dtype), builder.tensor(K, N, dtype=dtype)
    inputs = (a, b, builder.tensor(N)) if bias else (a, b)
    gemm = Gemm(Role.FORWARD, 1, M, N, K, 0, 1, 0)
    made = (builder.tensor(M, N, dtype=dtype),)
    builder.ops.append(Op("aten.addmm", OpKind.GEMM, Phase.FORWARD, "fc", inputs, made, (gemm,)))
    return builder


def lowered(builder, conversions, **overrides):
    hardware = machine(runtime__conversions=conversions, **{**BARE, **overrides})
    return Lowering(hardware).lower(builder.step(), Carry())[0]


def of_stage(tasks, stage):
    return [task.work for task in tasks if task.work.stage is stage]


def moved(tasks, stage):
    """Return bytes read and written by each task of a stage."""
    counts = [work.counts for work in of_stage(tasks, stage)]
    return [(count.dram_read_bytes, count.dram_write_bytes) for count in counts]


def dispatched(tasks):
    """Return how often PyTorch dispatches an op; the offload's own is in its launch."""
    launch_ps = 10 * 10**6
    overheads = [t.work.overhead_ps for t in tasks if t.work.unit == HOST]
    return sum(ps in (DISPATCH_PS, DISPATCH_PS + launch_ps) for ps in overheads)


def stages(tasks):
    return [task.work.stage.value for task in tasks]


def test_a_compiled_driver_reads_twice_writes_once_and_dispatches_nothing():
    tasks = lowered(product(), "fused")
    assert stages(tasks) == ["quantise", "quantise", "launch", "gemm", "synchronise", "dequantise"]
    assert moved(tasks, Stage.QUANTISE) == [(8 * A, A), (8 * B, B)]
    assert moved(tasks, Stage.GEMM) == [(A + B, 4 * C)]
    assert moved(tasks, Stage.DEQUANTISE) == [(4 * C, 4 * C)]
    assert dispatched(tasks) == 1


def test_an_eager_driver_has_seven_ops_in_and_two_back_each_dispatched():
    tasks = lowered(product(), "eager")
    assert moved(tasks, Stage.QUANTISE) == seven_ops(A) + seven_ops(B)
    assert moved(tasks, Stage.GEMM) == [(A + B, 4 * C)]
    assert moved(tasks, Stage.DEQUANTISE) == [(4 * C, 4 * C), (4 * C, 4 * C)]
    assert dispatched(tasks) == 1 + 7 + 7 + 2


def test_a_unit_that_converts_moves_the_traced_format_and_leaves_the_cpu_the_launch():
    tasks = lowered(product(), "unit")
    assert stages(tasks) == ["launch", "gemm"]
    (work,) = of_stage(tasks, Stage.GEMM)
    assert moved(tasks, Stage.GEMM) == [(4 * (A + B), 4 * C)]
    assert work.counts[ACTIONS["scratchpad_write_bytes"]] == A + B
    assert work.counts[ACTIONS["interconnect_bytes"]] == 4 * (A + B + C)


def test_what_the_unit_reads_more_takes_its_time_at_the_port():
    slow = {"accelerator__dma__bandwidth": "0.1 GB/s", "dram__preset": "ideal"}
    alone = {
        way: of_stage(lowered(product(), way, **slow), Stage.GEMM)[0].progress.duration_ps(WHOLE)
        for way in WAYS
    }
    assert alone["eager"] == alone["fused"]
    assert alone["unit"] - alone["fused"] == 3 * (A + B) * 10**4  # 10 ns a byte


def test_an_op_of_the_driver_costs_what_it_costs_in_a_trace():
    builder, scalar = StepBuilder(), (1,)
    x = builder.tensor(M, K)
    for name, kind, shape, dtype in (
        ("abs", OpKind.ELEMENTWISE, (M, K), "float32"),
        ("amax", OpKind.REDUCTION, scalar, "float32"),
        ("div", OpKind.ELEMENTWISE, scalar, "float32"),
    ):
        made = builder.tensor(*shape, dtype=dtype)
        builder.ops.append(Op(f"aten.{name}", kind, Phase.FORWARD, "fc", (x,), (made,)))
        x = made
    traced = lowered(builder, "eager")
    drivers = of_stage(lowered(product(), "eager"), Stage.QUANTISE)[:3]
    for ours, task in zip(drivers, traced, strict=True):
        assert ours.counts == task.work.counts
        assert ours.overhead_ps == task.work.overhead_ps
        assert ours.progress.duration_ps(WHOLE) == task.work.progress.duration_ps(WHOLE)


def test_a_bias_is_added_on_the_way_back_or_in_the_accumulator():
    back = {way: lowered(product(bias=True), way) for way in WAYS}
    raw = 4 * C
    assert moved(back["fused"], Stage.DEQUANTISE) == [(raw + 4 * N, raw)]
    assert moved(back["eager"], Stage.DEQUANTISE) == [(raw, raw), (raw, raw), (raw + 4 * N, raw)]
    assert stages(back["unit"]) == ["launch", "gemm"]


@pytest.mark.parametrize(
    ("way", "copies"), [("fused", [(4, 2)]), ("eager", [(4, 2)]), ("unit", [])]
)
def test_to_floats_it_is_a_cast_and_sums_of_floats_need_no_way_back(way, copies):
    tasks = lowered(product(), way, accelerator__precision="bf16")
    wanted = [(n * read, n * write) for n in (A, B) for read, write in copies]
    assert moved(tasks, Stage.QUANTISE) == wanted
    assert moved(tasks, Stage.DEQUANTISE) == []
    assert dispatched(tasks) == 1 + (2 if way == "eager" else 0)


def test_results_go_back_in_the_format_of_the_trace():
    native = {"accelerator__precision": "fp32"}
    tasks = {way: lowered(product(dtype="bfloat16"), way, **native) for way in WAYS}
    assert moved(tasks["fused"], Stage.DEQUANTISE) == [(4 * C, 2 * C)]
    assert moved(tasks["eager"], Stage.DEQUANTISE) == [(4 * C, 2 * C)]
    assert moved(tasks["unit"], Stage.GEMM) == [(2 * (A + B), 2 * C)]


def test_the_slices_of_several_passes_are_added_by_the_cpu():
    several = {"accelerator__on_unsupported_precision": "multipass"}
    tasks = {way: lowered(product(), way, **several) for way in WAYS}
    passes = 16  # 25 bits of an fp32 significand and its sign in 8: four slices, squared
    assert moved(tasks["fused"], Stage.DEQUANTISE) == [(passes * 4 * C, 4 * C)]
    back = moved(tasks["eager"], Stage.DEQUANTISE)
    assert len(back) == 3 * passes - 1  # cast, scale, add; the first adds to nothing
    assert sum(read for read, _ in back) == (4 * passes - 2) * 4 * C
    assert moved(tasks["unit"], Stage.REDUCE) == [(passes * 4 * C, 4 * C)]
    (adds,) = of_stage(tasks["unit"], Stage.REDUCE)
    (scales,) = of_stage(tasks["fused"], Stage.DEQUANTISE)
    assert adds.compute_ps * passes == pytest.approx(scales.compute_ps * (passes - 1), rel=1e-3)


CONV = Conv(2, 8, 16, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1))
X, Y, W = 2 * 8 * 64, 2 * 16 * 64, 8 * 16 * 9  # elements
BY_CPU = {"accelerator__im2col": "software"}


def pass_of(role, bias=False):
    builder = StepBuilder()
    x, y = builder.tensor(2, 8, 8, 8), builder.tensor(2, 16, 8, 8)
    w = builder.tensor(16, 8, 3, 3)
    operands = {Role.FORWARD: (x, w, y), Role.DGRAD: (y, w, x), Role.WGRAD: (y, x, w)}[role]
    made = (operands[2], builder.tensor(16)) if bias else operands[2:]
    gemm = convolution(CONV, role)
    phase = Phase(role.value)
    builder.ops.append(Op("conv", OpKind.GEMM, phase, "c", operands[:2], made, (gemm,)))
    return builder


@pytest.mark.parametrize(("way", "size"), [("fused", 1), ("eager", 1), ("unit", 4)])
def test_an_im2col_matrix_has_the_format_that_the_array_reads(way, size):
    tasks = lowered(pass_of(Role.FORWARD), way, **BY_CPU)
    matrix = 2 * 64 * 8 * 9  # pixels x channels x taps
    assert moved(tasks, Stage.IM2COL) == [(size * X, size * matrix)]
    (unfolding,) = of_stage(tasks, Stage.IM2COL)
    assert unfolding.overhead_ps == (DISPATCH_PS if way == "eager" else 0)


@pytest.mark.parametrize("way", WAYS)
def test_overlapping_outputs_are_scaled_before_or_while_they_are_summed(way):
    tasks = lowered(pass_of(Role.DGRAD), way, **BY_CPU)
    overlapping = 4 * 2 * 64 * 8 * 9  # bytes: int32 sums, or scaled to fp32 by the unit
    assert moved(tasks, Stage.COL2IM) == [(overlapping, 4 * X)]
    scaled = [(overlapping, overlapping)] * 2 if way == "eager" else []
    assert moved(tasks, Stage.DEQUANTISE) == scaled
    (folding,) = of_stage(tasks, Stage.COL2IM)
    assert folding.overhead_ps == (DISPATCH_PS if way == "eager" else 0)


@pytest.mark.parametrize("way", WAYS)
def test_a_transposed_operand_is_laid_out_in_the_format_that_the_array_reads(way):
    builder = product()
    (op,) = builder.ops
    a = Tensor(op.inputs[0].storage, "float32", (M, K), (1, M))
    builder.ops = [Op(op.name, op.kind, op.phase, "fc", (a, op.inputs[1]), op.outputs, op.gemms)]
    tasks = lowered(builder, way, accelerator__transposer="false")
    size = 4 * A if way == "unit" else A
    assert moved(tasks, Stage.TRANSPOSE) == [(size, size)]


@pytest.mark.parametrize("way", WAYS)
def test_a_gradient_of_a_bias_is_an_op_of_an_eager_driver_alone(way):
    tasks = lowered(pass_of(Role.WGRAD, bias=True), way)
    (reduction,) = of_stage(tasks, Stage.OP)
    assert reduction.overhead_ps == (DISPATCH_PS if way == "eager" else 0)
    assert reduction.counts.dram_read_bytes == 4 * Y


def test_ops_of_a_driver_take_the_dispatch_of_their_phase():
    base = machine(runtime__conversions="eager")
    dispatch = Dispatch(forward="14 kcycles", backward="56 kcycles", optimizer="28 kcycles")
    cpu = base.cpu.model_copy(update={"dispatch": dispatch})
    lowering = Lowering(base.model_copy(update={"cpu": cpu}))
    for role, micros in ((Role.FORWARD, 10), (Role.WGRAD, 40)):
        tasks, _ = lowering.lower(pass_of(role).step(), Carry())
        works = of_stage(tasks, Stage.QUANTISE)
        assert {work.overhead_ps for work in works} == {micros * 10**6}


def attention():
    builder = StepBuilder()
    q, k, v, out = (builder.tensor(2, 16, 8) for _ in range(4))
    scores = Gemm(Role.OTHER, 2, 16, 16, 8, 0, 1, -1)
    mixed = Gemm(Role.OTHER, 2, 16, 8, 16, -1, 2, 0)
    name = "aten.attention"
    builder.ops.append(
        Op(name, OpKind.GEMM, Phase.FORWARD, "a", (q, k, v), (out,), (scores, mixed))
    )
    return builder


def test_a_softmax_between_two_products_works_on_floats():
    tasks = {way: lowered(attention(), way) for way in WAYS}
    x, s = 2 * 16 * 8, 2 * 16 * 16  # elements of q, k, v and of the scores
    assert moved(tasks["fused"], Stage.OP) == [(4 * s, s)]
    assert moved(tasks["fused"], Stage.GEMM) == [(2 * x, 4 * s), (s + x, 4 * x)]
    assert moved(tasks["eager"], Stage.OP) == [(4 * s, 4 * s)]
    assert moved(tasks["eager"], Stage.QUANTISE) == 2 * seven_ops(x) + seven_ops(s) + seven_ops(x)
    assert moved(tasks["eager"], Stage.DEQUANTISE) == [(4 * s, 4 * s)] * 2 + [(4 * x, 4 * x)] * 2
    assert moved(tasks["unit"], Stage.OP) == [(4 * s, 4 * s)]
    assert moved(tasks["unit"], Stage.GEMM) == [(8 * x, 4 * s), (4 * (s + x), 4 * x)]


def test_a_softmax_follows_the_product_before_and_goes_before_the_one_after():
    tasks = lowered(attention(), "eager")
    names = stages(tasks)
    first, softmax = names.index("gemm"), names.index("op")
    second = names.index("gemm", first + 1)

    def follows(later, earlier):
        waits = tasks[later].waits
        return earlier in waits or any(follows(each, earlier) for each in waits)

    assert follows(softmax, first)
    assert follows(second, softmax)


@pytest.mark.parametrize("way", ["fused", "eager"])
def test_a_tensor_is_converted_once_for_all_that_read_it(way):
    builder = product()
    builder.ops *= 2
    once = len(of_stage(lowered(product(), way), Stage.QUANTISE))
    assert len(of_stage(lowered(builder, way), Stage.QUANTISE)) == once


def test_copies_of_what_a_unit_converts_are_in_the_traced_format():
    tasks = lowered(product(), "unit", runtime__copies="in_out")
    assert moved(tasks, Stage.LOAD) == [(4 * A, 4 * A), (4 * B, 4 * B)]
    assert moved(tasks, Stage.STORE) == [(4 * C, 4 * C)]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_converted_that_the_array_takes_as_it_is(way):
    tasks = lowered(product(), way, accelerator__precision="fp32")
    assert stages(tasks) == ["launch", "gemm"]
    assert moved(tasks, Stage.GEMM) == [(4 * (A + B), 4 * C)]
    narrow = lowered(product(dtype="int8"), way)
    assert moved(narrow, Stage.GEMM)[0][0] == A + B


@pytest.mark.parametrize("way", WAYS)
def test_a_convolution_tap_by_tap_is_converted_like_any(way):
    tasks = lowered(pass_of(Role.FORWARD), way, accelerator__im2col="channelwise")
    size = 4 if way == "unit" else 1
    assert moved(tasks, Stage.GEMM) == [(size * (X + W), 4 * Y)]
    (work,) = of_stage(tasks, Stage.GEMM)
    assert work.counts[ACTIONS["scratchpad_write_bytes"]] == X + W


@pytest.mark.parametrize(
    ("way", "shown"),
    [("fused", {"quantise", "dequantise"}), ("eager", {"quantise", "dequantise"}), ("unit", set())],
)
def test_a_result_shows_the_conversions_by_stage(way, shown):
    hardware = machine(runtime__conversions=way, **BARE)
    result = Replay(hardware, one_step_trace(product(bias=True))).run()
    assert {op["stage"] for op in result.ops} - {"launch", "gemm", "synchronise"} == shown
    assert sum(op["attributed_ps"] for op in result.ops) == result.total["latency_ps"]
