"""Which ops fuse, what a fused op reads and writes, and what that costs on each unit."""

import pytest

from simulator.activity import VECTOR_OPS, Action, Stage
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.fusion import fusion_of
from simulator.lowering.lower import Carry, Lowering
from simulator.timing.cores import dispatch_ps
from simulator.timing.shares import WHOLE
from simulator.trace.memory import footprint
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role
from simulator.trace.passes.fuse import Fuse, saved_bytes
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine

NPU = "edge-16x16-npu"
BARE = {"cpu__llc__size": "0 B", "dram__preset": "ideal"}


class Everything:
    """A machine that joins whatever can be joined."""

    def joins(self, head, rider):  # noqa: ARG002
        return True

    def recomputes(self, head):  # noqa: ARG002
        return False

    def copies(self, step):
        return (0,) * len(step.ops)

    def __repr__(self):
        return "everything"


def fused(builder, joining=None):
    return Fuse.everywhere(joining or Everything()).apply(builder.step())


def op_names(step):
    return [op.name.removeprefix("aten.") for op in step.ops]


def append(builder, name, kind, inputs, outputs, phase=Phase.FORWARD):
    builder.ops.append(Op(f"aten.{name}", kind, phase, "net", tuple(inputs), tuple(outputs)))
    return outputs[0]


def add(builder, x, y, **more):
    out = builder.tensor(*x.shape)
    return append(builder, "add", OpKind.ELEMENTWISE, (x, y), (out,), **more)


def relu(builder, x, **more):
    return append(builder, "relu", OpKind.ELEMENTWISE, (x,), (builder.tensor(*x.shape),), **more)


@pytest.fixture
def builder():
    return StepBuilder()


def test_a_run_of_ops_over_elements_is_one_and_stores_its_end(builder):
    x, y = builder.tensor(64, 64), builder.tensor(64, 64)
    end = relu(builder, add(builder, relu(builder, x), y))
    (op,) = fused(builder).ops
    assert op.name == "aten.relu + add + relu"
    assert (op.inputs, op.outputs) == ((x, y), (end,))
    assert saved_bytes(op) == 4 * x.bytes  # two tensors, each written and read
    assert op.read_bytes + op.write_bytes == 3 * x.bytes


def test_what_others_read_is_stored(builder):
    x = builder.tensor(64, 64, kind=StorageKind.PARAMETER)
    first = relu(builder, x)
    second = relu(builder, first)
    builder.gemm(64, 8, 64, a=first)
    op, _ = fused(builder).ops
    assert op.outputs == (first, second)


def test_gradients_are_stored(builder):
    x = builder.tensor(64, 64, kind=StorageKind.PARAMETER)
    gradient = builder.tensor(64, 64, kind=StorageKind.GRADIENT)
    append(builder, "mul", OpKind.ELEMENTWISE, (x,), (gradient,))
    end = relu(builder, gradient)
    (op,) = fused(builder).ops
    assert op.outputs == (gradient, end)


def test_in_place_ops_read_and_write_once(builder):
    x = builder.tensor(64, 64)
    made = relu(builder, x)
    append(builder, "relu_", OpKind.ELEMENTWISE, (made,), (made,))
    (op,) = fused(builder).ops
    assert (op.inputs, op.outputs) == ((x,), (made,))


def test_views_between_are_parts_and_others_stay(builder):
    x, other = builder.tensor(64, 64), builder.tensor(4)
    made = relu(builder, x)
    builder.ops.append(Op("aten.view", OpKind.VIEW, Phase.FORWARD, "", (made,), (made,)))
    builder.ops.append(Op("aten.t", OpKind.VIEW, Phase.FORWARD, "", (other,), (other,)))
    relu(builder, made)
    step = fused(builder)
    assert op_names(step) == ["t", "relu + relu"]
    assert [part.base_name for part in step.ops[1].parts] == ["relu", "view", "relu"]


@pytest.mark.parametrize("why", ["phase", "elements", "between", "part", "kind", "statistics"])
def test_what_does_not_follow_element_by_element_stays_apart(builder, why):
    x = builder.tensor(64, 64)
    made = relu(builder, x)
    if why == "phase":
        relu(builder, made, phase=Phase.LOSS)
    elif why == "elements":
        append(builder, "expand", OpKind.COPY, (made,), (builder.tensor(4, 64, 64),))
    elif why == "between":
        relu(builder, builder.tensor(64, 64))
        relu(builder, made)
    elif why == "part":
        half = made.__class__(made.storage, "float32", (32, 64), (64, 1), 2048)
        relu(builder, half)
    elif why == "kind":
        append(builder, "sort", OpKind.SORT, (made,), (builder.tensor(64, 64),))
    else:
        total = append(builder, "sum", OpKind.REDUCTION, (x,), (builder.tensor(1),))
        append(builder, "div", OpKind.ELEMENTWISE, (x, total), (builder.tensor(64, 64),))
    assert all(not op.parts for op in fused(builder).ops)


def test_a_reduction_ends_what_reads_it(builder):
    x = builder.tensor(64, 64)
    made = relu(builder, x)
    total = append(builder, "sum", OpKind.REDUCTION, (made,), (builder.tensor(64),))
    relu(builder, total)
    assert op_names(fused(builder)) == ["relu + sum", "relu"]


def test_a_batch_norm_begins_a_chain_and_does_not_join_one(builder):
    x = builder.tensor(8, 16, 64, 64)
    stats = [builder.tensor(16) for _ in range(2)]
    made = relu(builder, x)
    out = builder.tensor(8, 16, 64, 64)
    append(builder, "native_batch_norm", OpKind.NORM, (made,), (out, *stats))
    relu(builder, out)
    assert op_names(fused(builder)) == ["relu", "native_batch_norm + relu"]


def test_rows_of_two_ops_may_differ(builder):
    """A softmax along another dimension needs columns of what the norm made by rows."""
    x, normed = builder.tensor(64, 64), builder.tensor(64, 64)
    append(builder, "native_layer_norm", OpKind.NORM, (x,), (normed,))
    append(builder, "_softmax", OpKind.SOFTMAX, (normed,), (builder.tensor(64, 64),))
    assert op_names(fused(builder)) == ["native_layer_norm", "_softmax"]


def test_gradients_find_their_forward_op(builder):
    x = builder.tensor(64, 64)
    end = relu(builder, relu(builder, x))
    grad = builder.tensor(64, 64)
    builder.ops.append(
        Op(
            "aten.threshold_backward",
            OpKind.ELEMENTWISE,
            Phase.DGRAD,
            "net",
            (end,),
            (grad,),
            (),
            0,
        )
    )
    step = fused(builder)
    assert [op.forward for op in step.ops] == [-1, 0]


def test_a_fused_step_holds_less(builder):
    x = builder.tensor(256, 256)
    for _ in range(3):
        x = relu(builder, x)
    before, after = footprint(builder.step()), footprint(fused(builder))
    assert after.peak_bytes == before.peak_bytes == 2 * x.bytes
    assert after.activations == 2 * x.bytes


def test_a_rider_that_would_need_more_memory_stays_apart(builder):
    """One op would hold `x` beside both results; two ops hold two tensors at a time."""
    x = builder.tensor(256, 256)
    first = relu(builder, x)
    relu(builder, first)
    builder.gemm(256, 1, 256, a=first)
    step = builder.step()
    assert footprint(step).peak_bytes < 3 * x.bytes
    assert op_names(fused(builder)) == ["relu", "relu", "mm.default"]


def lowered(builder, hardware):
    (joining,) = fusion_of(hardware)
    return Lowering(hardware).lower(joining.apply(builder.step()), Carry())[0]


def test_a_chain_on_the_cpu_adds_arithmetic_and_moves_the_ends(builder):
    x, y = builder.tensor(256, 256), builder.tensor(256, 256)
    relu(builder, add(builder, relu(builder, x), y))
    hardware = machine("cpu-only", runtime__fusion="chains", **BARE)
    apart = machine("cpu-only", **BARE)
    (task,) = lowered(builder, hardware)
    singles = [t.work for t in Lowering(apart).lower(builder.step(), Carry())[0]]
    assert task.work.compute_ps == sum(work.compute_ps for work in singles)
    assert task.work.overhead_ps == dispatch_ps(hardware.cpu, Phase.FORWARD)
    assert task.work.counts.dram_bytes == 3 * x.bytes
    assert sum(work.counts.dram_bytes for work in singles) == 7 * x.bytes


@pytest.mark.parametrize(("lanes", "pipes"), [(1, 1), (1, 2), (16, 4), (1024, 1)])
def test_a_chain_on_a_vector_unit_takes_lanes_times_clock_or_the_port(builder, lanes, pipes):
    x, y = builder.tensor(256, 256), builder.tensor(256, 256)
    relu(builder, add(builder, relu(builder, x), y))
    sizes = {"accelerator__vector__lanes": lanes, "accelerator__vector__pipes": pipes}
    hardware = machine(NPU, **sizes, **BARE)
    launch, task = lowered(builder, hardware)
    assert (launch.work.stage, task.work.unit) == (Stage.LAUNCH, ACCELERATOR)
    operations, moved = 3 * x.elements, 3 * x.bytes
    assert task.work.counts[Action(ACCELERATOR, VECTOR_OPS)] == operations
    assert task.work.counts.dram_bytes == moved
    cycles = -(-operations // (lanes * pipes))  # of 1 ns
    port_ps = moved * 1000 // 16  # 16 B per ns
    alone_ps = task.work.progress.duration_ps(WHOLE)
    assert alone_ps == hardware.accelerator.launch_latency + max(cycles * 1000, port_ps)


def test_a_residual_rides_on_a_product(builder):
    """The product's own result is never stored: the addend is read and the sum written instead."""
    shortcut = builder.tensor(128, 64)
    relu(builder, add(builder, builder.gemm(128, 64, 32), shortcut))
    hardware = machine(NPU, accelerator__precision="fp32", **BARE)
    (gemm,) = [t for t in lowered(builder, hardware) if t.work.stage is Stage.GEMM]
    operands = 4 * (128 * 32 + 32 * 64)
    assert gemm.work.counts.dram_read_bytes == operands + shortcut.bytes
    assert gemm.work.counts.dram_write_bytes == shortcut.bytes
    assert gemm.work.counts[Action(ACCELERATOR, VECTOR_OPS)] == 2 * shortcut.elements


def test_a_slow_vector_unit_bounds_the_stores(builder):
    relu(builder, builder.gemm(128, 64, 32))
    times = []
    for lanes in (1, 1024):
        sizes = {"accelerator__vector__lanes": lanes, "accelerator__precision": "fp32"}
        tasks = lowered(builder, machine(NPU, **sizes, **BARE))
        (gemm,) = [task for task in tasks if task.work.stage is Stage.GEMM]
        times.append(gemm.work.progress.duration_ps(WHOLE))
    assert times[0] >= 128 * 64 * 1000 > times[1]


def test_what_rides_follows_by_itself_where_a_search_moves_the_product(builder):
    relu(builder, builder.gemm(128, 64, 32))
    hardware = machine(NPU, **BARE)
    (joining,) = fusion_of(hardware)
    step = joining.apply(builder.step())
    assert len(step.ops) == 1
    tasks, _ = Lowering(hardware).lower(step, Carry(), (HOST,))
    assert [task.work.stage for task in tasks] == [Stage.GEMM, Stage.OP]


def test_what_joins_several_results_does_not_ride(builder):
    """A `cat` of two gradients of one op: each is written by a product of its own."""
    x, y = builder.tensor(64, 64), builder.tensor(64, 64)
    made = builder.tensor(64, 64), builder.tensor(64, 64)
    gemms = tuple(Gemm(Role.DGRAD, 1, 64, 64, 64, 0, 1, c) for c in (0, 1))
    builder.ops.append(Op("aten.both", OpKind.GEMM, Phase.DGRAD, "net", (x, y), made, gemms))
    whole = builder.tensor(64, 128)
    append(builder, "cat", OpKind.COPY, made, (whole,), phase=Phase.DGRAD)
    hardware = machine(NPU, accelerator__precision="fp32", **BARE)
    tasks = lowered(builder, hardware)
    assert [task.work.stage for task in tasks if task.work.stage is Stage.GEMM] == [Stage.GEMM] * 2
    (joining,) = fusion_of(hardware)
    assert len(joining.apply(builder.step()).ops) == 2


def test_a_batch_norm_in_evaluation_rides(builder):
    """Its statistics are known, so that what it would save of them is empty."""
    made = builder.gemm(4096, 16, 16)
    out, empty = builder.tensor(4096, 16), [builder.tensor(0) for _ in range(2)]
    append(builder, "native_batch_norm", OpKind.NORM, (made,), (out, *empty))
    tasks = lowered(builder, machine(NPU, accelerator__precision="fp32", **BARE))
    assert [task.work.stage for task in tasks] == [Stage.LAUNCH, Stage.GEMM]


def test_results_that_nobody_reads_are_stored_as_before(builder):
    x, y = builder.tensor(64, 64), builder.tensor(64, 64)
    made = builder.tensor(64, 64), builder.tensor(32, 64)
    gemms = (Gemm(Role.DGRAD, 1, 64, 64, 64, 0, 1, 0), Gemm(Role.WGRAD, 1, 32, 64, 64, 1, 0, 1))
    builder.ops.append(Op("aten.both", OpKind.GEMM, Phase.DGRAD, "net", (x, y), made, gemms))
    end = relu(builder, made[0], phase=Phase.DGRAD)
    (op,) = fused(builder).ops
    assert op.outputs == (made[1], end)
    assert [gemm.c for gemm in op.gemms] == [1, 0]


def test_small_ops_stay_on_the_cpu(builder):
    relu(builder, builder.tensor(8, 8))
    (task,) = lowered(builder, machine(NPU, **BARE))
    assert task.work.unit == HOST


def test_a_vector_unit_converts_what_the_array_multiplies(builder):
    """fp32 in memory, int8 in the array: two loops before, none after, no pass of the CPU."""
    builder.gemm(128, 64, 32)
    tasks = lowered(builder, machine(NPU, accelerator__vector__memory="0 B", **BARE))
    stages = [(task.work.unit, task.work.stage) for task in tasks]
    assert stages == [
        (HOST, Stage.LAUNCH),
        (ACCELERATOR, Stage.QUANTISE),
        (ACCELERATOR, Stage.QUANTISE),
        (ACCELERATOR, Stage.GEMM),
    ]
    operands = tasks[1].work, tasks[2].work
    elements = 128 * 32, 32 * 64
    for work, count in zip(operands, elements, strict=True):
        assert work.counts.dram_read_bytes == 2 * 4 * count  # the range, then the values
        assert work.counts.dram_write_bytes == count
        assert work.counts[Action(ACCELERATOR, VECTOR_OPS)] == 4 * count
    assert tasks[3].work.counts.dram_write_bytes == 4 * 128 * 64


class WithCopies(Everything):
    """A machine whose units hold so many bytes of copies during the first op."""

    def __init__(self, size):
        self.size = size

    def recomputes(self, head):  # noqa: ARG002
        return False

    def copies(self, step):
        return (self.size, *(0 for _ in step.ops[1:]))


@pytest.mark.parametrize(("more", "ops"), [(0, 1), (1, 2)])
def test_a_product_fuses_as_far_as_its_copies_have_room(builder, more, ops):
    """Fused it holds its operand x, the residual y and the sum at once, in place of the product,
    y and the sum: room for copies of the size of the product less x.
    """
    x, y = builder.tensor(64, 2), builder.tensor(64, 64)
    product = builder.gemm(64, 64, 2, a=x)
    add(builder, product, y)
    room = product.bytes - x.bytes
    assert len(fused(builder, WithCopies(room + more)).ops) == ops


def test_without_fusion_there_is_no_pass():
    assert fusion_of(machine()) == ()
    assert fusion_of(machine(NPU, runtime__fusion="none")) == ()


def test_epilogues_leave_other_runs_alone(builder):
    x = builder.tensor(256, 256)
    relu(builder, relu(builder, x))
    tasks = lowered(builder, machine(NPU, runtime__fusion="epilogue", **BARE))
    assert len([task for task in tasks if task.work.unit == ACCELERATOR]) == 2


def test_figures_name_a_fused_op_by_its_parts():
    from simulator.views.plots.profile import _name

    task = {"stage": "op", "op": "aten.mul_.Tensor + add_ + add_"}
    assert _name(task) == "mul + add + add"
    assert _name({"stage": "op", "op": "aten.convolution.default"}) == "convolution"
