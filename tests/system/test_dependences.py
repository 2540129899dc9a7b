"""Work never runs before what it needs: what lowering says against what the trace says."""

import itertools

import pytest

from simulator import memo
from simulator.activity import Stage
from simulator.lowering.binding import Binding
from simulator.lowering.lower import Carry, Lowering
from simulator.machine.step import run_step
from simulator.replay import as_trace
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role
from simulator.trace.trace import dependences
from tests.builders import StepBuilder, machine

VARIANTS = {
    "int8": {},
    "native": {"accelerator.precision": "fp32"},
    "software": {"accelerator.im2col": "software", "accelerator.transposer": "false"},
    "col2im": {"accelerator.dgrad": "col2im"},
    "multipass": {"accelerator.on_unsupported_precision": "multipass"},
    "cpu": {"accelerator.on_unsupported_precision": "cpu"},
    "blocking": {"runtime.issue": "synchronous"},
}


def fused_step():
    """An addmm with a bias, an attention with hidden scores, updates in place, random draws."""
    builder = StepBuilder()
    x, bias = builder.tensor(16, 32), builder.gemm(1, 32, 8)
    weight, y = builder.tensor(32, 32), builder.tensor(16, 32)
    product = Gemm(Role.FORWARD, 1, 16, 32, 32, 1, 2, 0)
    addmm = Op("aten.addmm", OpKind.GEMM, Phase.FORWARD, "fc", (bias, x, weight), (y,), (product,))
    q, k, v = (builder.elementwise(y) for _ in range(3))
    out = builder.tensor(16, 32)
    scores = Gemm(Role.FORWARD, 1, 16, 16, 32, 0, 1, -1)
    values = Gemm(Role.FORWARD, 1, 16, 32, 16, -1, 2, 0)
    name = "aten._scaled_dot_product_flash_attention_for_cpu"
    attention = Op(
        name, OpKind.GEMM, Phase.FORWARD, "attn", (q, k, v), (out,), (scores, values), random=True
    )
    noise = builder.tensor(16, 32)
    draw = Op("aten.normal_", OpKind.RANDOM, Phase.FORWARD, "", (), (noise,), random=True)
    update = Op("aten.add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, "fc", (bias, noise), (bias,))
    builder.ops[1:1] = [addmm]
    builder.ops += [attention, draw, update]
    builder.gemm(16, 8, 32, a=out)
    return builder.step()


def bundled_step(name):
    trace = as_trace(name)
    return trace.steps[trace.typical_step]


STEPS = {
    "fused": fused_step,
    "lenet": lambda: bundled_step("lenet_digits"),
    "resnet20": lambda: bundled_step("resnet20_digits"),
}


@pytest.fixture
def lowered(monkeypatch):
    """Lower a step and return its tasks with the tokens that each reads and writes."""
    touched = []
    original = Binding.append

    def recorded(self, work, site, reads, writes, **options):
        reads, writes = list(reads), list(writes)
        index = original(self, work, site, reads, writes, **options)
        touched.append((index, {r for r in reads if r is not None}, set(writes), options))
        return index

    monkeypatch.setattr(Binding, "append", recorded)

    def lower(step, overrides):
        touched.clear()
        memo.clear()  # or a step that was lowered before binds nothing
        tasks, _ = Lowering(
            machine(**{k.replace(".", "__"): v for k, v in overrides.items()})
        ).lower(step, Carry())
        return tasks, [entry[1:] for entry in sorted(touched, key=lambda entry: entry[0])]

    return lower


def ancestors(tasks):
    """All tasks that must be over before each task can start."""
    before = []
    for task in tasks:
        mine = 0
        for wait in task.waits:
            mine |= before[wait] | (1 << wait)
        before.append(mine)
    return before


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", STEPS)
def test_every_operand_is_read_after_its_last_writer(name, variant, lowered):
    step = STEPS[name]()
    tasks, touched = lowered(step, VARIANTS[variant])
    before = ancestors(tasks)
    by_op = {}
    for index, task in enumerate(tasks):
        by_op.setdefault(task.op, []).append(index)
    writer, copied = {}, {}
    for number, op in enumerate(step.ops):
        if op.kind is OpKind.VIEW:
            continue
        mine = by_op[number]
        for storage in {tensor.storage for tensor in op.inputs}:
            readers = [i for i in mine if storage in touched[i][0]] + copied.get(storage, [])
            assert readers, f"{op.name} never reads storage {storage}"
            last = writer.get(storage)
            assert last is None or all(before[i] >> last & 1 for i in readers)
        for index in mine:
            for storage in touched[index][0]:
                copied.setdefault(storage, []).append(index)
        for storage in {tensor.storage for tensor in op.outputs}:
            writers = [i for i in mine if storage in touched[i][1]]
            assert writers, f"{op.name} never writes storage {storage}"
            for reader in copied.get(storage, []):
                assert (
                    reader in writers or before[writers[-1]] >> reader & 1 or reader > writers[-1]
                )
            writer[storage] = writers[-1]
            copied[storage] = []


@pytest.mark.parametrize("variant", VARIANTS)
def test_random_draws_keep_their_order(variant, lowered):
    tasks, touched = lowered(fused_step(), VARIANTS[variant])
    before = ancestors(tasks)
    draws = [i for i, entry in enumerate(touched) if entry[2].get("random")]
    assert len(draws) >= 2
    assert all(before[b] >> a & 1 for a, b in itertools.pairwise(draws))


@pytest.mark.parametrize("variant", ["int8", "native", "software"])
def test_scores_of_an_attention_pass_through_a_softmax(variant, lowered):
    tasks, _ = lowered(fused_step(), VARIANTS[variant])
    before = ancestors(tasks)
    gemms = [i for i, t in enumerate(tasks) if t.layer == "attn" and t.work.stage is Stage.GEMM]
    softmax = [i for i, t in enumerate(tasks) if t.layer == "attn" and t.work.stage is Stage.OP]
    assert len(gemms) == 2
    assert len(softmax) == 1
    assert before[softmax[0]] >> gemms[0] & 1
    assert before[gemms[1]] >> softmax[0] & 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_dataflow_is_never_slower_than_blocking_for_one_op_at_a_time(variant, lowered):
    tasks, _ = lowered(bundled_step("lenet_digits"), VARIANTS[variant])
    assert run_step(tasks, "in_order").duration_ps <= run_step(tasks, "synchronous").duration_ps


def test_the_trace_itself_knows_who_waits_for_whom():
    waits = list(dependences(fused_step()))
    assert waits[1] == (0,)  # the addmm needs the product that made its bias
    assert waits[5] == (2, 3, 4)  # the attention its three operands
    assert waits[6] == (5,)  # the draw comes after the attention's own
    assert set(waits[7]) == {0, 1, 6}  # the update after its reader, its writer and the noise
