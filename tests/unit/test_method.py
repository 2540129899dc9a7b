"""Methods laid over steps: against captures of the same method, closed forms, invariants."""

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.activity import Stage
from simulator.errors import InputError
from simulator.lowering.lower import Carry, Lowering
from simulator.replay import Replay, as_trace
from simulator.trace.memory import footprint
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, convolution, valid_convolution
from simulator.trace.passes.file import load_method, method_names
from simulator.trace.passes.overlay import laid_over, resolved, scheduled
from simulator.trace.passes.treatment import (
    Method,
    MethodSchedule,
    Treatment,
    TreatmentRule,
)
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import Segment, StorageKind, Trace
from tests.builders import ACTIONS, StepBuilder, machine, one_step_trace
from tests.method_accounts import accounted

SIX = Treatment(weights=6, activations=6, gradients=6)
QAT = Treatment(weights=8, activations=8, gradients=8, master=True)


def typical(name="lenet_digits"):
    trace = as_trace(name)
    return trace.steps[trace.typical_step]


def everywhere(**treatment):
    return Method("m", (("*", Treatment(**treatment)),))


def macs(step):
    return Counter(
        {
            (op.layer, gemm.role): sum(g.macs for g in op.gemms if g.role is gemm.role)
            for op in step.ops
            for gemm in op.gemms
        }
    )


# Few bits


def test_a_product_takes_the_bits_of_its_wider_operand():
    treatment = Treatment(weights=4, activations=8, gradients=12)
    assert treatment.bits_of(Role.FORWARD) == 8
    assert treatment.bits_of(Role.DGRAD) == 12
    assert treatment.bits_of(Role.WGRAD) == 12
    assert Treatment(weights=4).bits_of(Role.FORWARD) is None


def test_weights_without_a_master_lie_in_memory_in_their_bits():
    step = typical()
    narrow = laid_over(step, Method("rct", (("*", SIX),)))
    kept = laid_over(step, Method("qat", (("*", QAT),)))
    for before, after, master in zip(step.storages, narrow.storages, kept.storages, strict=True):
        weight = before.kind is StorageKind.PARAMETER and before.name.endswith("weight")
        assert after.bytes == (-(-before.bytes * 6 // 32) if weight else before.bytes)
        assert master.bytes == before.bytes
    assert {gemm.precision for op in narrow.ops for gemm in op.gemms} == {"int6"}
    assert footprint(narrow).parameters < footprint(step).parameters / 5


def test_a_layer_that_no_rule_names_stays_as_it_is():
    step = typical()
    narrow = laid_over(step, Method("m", (("conv*", SIX),)))
    for before, after in zip(step.ops, narrow.ops, strict=True):
        assert before == after or after.layer.startswith("conv") or after.phase is Phase.OPTIMIZER
    precisions = {op.layer: {gemm.precision for gemm in op.gemms} for op in narrow.ops if op.gemms}
    assert precisions["conv1"] == precisions["conv2"] == {"int6"}
    assert precisions["fc1"] == {""}


def one_layer():
    """Return a step of a linear layer of 64 x 64 weights: forward, both gradients, an update."""
    builder = StepBuilder()
    x, y = (builder.tensor(64, 64) for _ in range(2))
    w = builder.tensor(64, 64, kind=StorageKind.PARAMETER, name="fc.weight")
    dx, dw = builder.tensor(64, 64), builder.tensor(64, 64, kind=StorageKind.GRADIENT)
    products = (
        (Phase.FORWARD, Role.FORWARD, (x, w), y),
        (Phase.DGRAD, Role.DGRAD, (y, w), dx),
        (Phase.WGRAD, Role.WGRAD, (x, y), dw),
    )
    for phase, role, operands, out in products:
        gemm = Gemm(role, 1, 64, 64, 64, 0, 1, 0)
        builder.ops.append(
            Op("aten.mm.default", OpKind.GEMM, phase, "fc", operands, (out,), (gemm,))
        )
    update = Op("aten.add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, "fc", (w, dw), (w,))
    builder.ops.append(update)
    return builder


def test_the_demonstration_schedule_saves_what_was_derived_for_it():
    """V18: from 6 bits to 17, one more at a time; MACs on average, memory at its peak, movement
    against int8 with an fp32 master. Derived, not the paper's own schedule.
    """
    trace = Trace("v18", (one_layer().step(),), tuple(Segment(e, 0, 10) for e in range(12)))
    widths = range(6, 18)
    ramp = tuple(TreatmentRule(Treatment(k, k, k), "*", e, e) for e, k in enumerate(widths))
    rct = accounted(scheduled(trace, MethodSchedule("rct", ramp)))
    qat = accounted(scheduled(trace, MethodSchedule("qat", (TreatmentRule(QAT),))))
    fp32 = accounted(trace)
    savings = 1 - rct[0] / fp32[0], 1 - rct[1] / fp32[1], 1 - rct[2] / qat[2]
    assert [round(100 * saving, 1) for saving in savings] == [88.3, 46.9, 47.7]
    assert qat[2] / (64 * 64 * 120) == 8 + 8 + 32 + 32 + 8


# Frozen layers


@pytest.mark.torch
@pytest.mark.parametrize("optimizer", ["sgd", "adam foreach", "adam fused"])
@pytest.mark.parametrize("frozen", [("conv1", "conv2"), ("fc2",), ("conv2", "fc3")])
def test_frozen_layers_leave_the_trace_that_training_without_them_leaves(optimizer, frozen):
    pytest.importorskip("torch")
    whole, less = (_captured(optimizer, names) for names in ((), frozen))
    method = Method("frozen", tuple((name, Treatment(frozen=True)) for name in frozen))
    ours = laid_over(whole, method)
    assert macs(ours) == macs(less)
    assert _backward(ours) == _backward(less)
    found, wanted = footprint(ours), footprint(less)
    assert found.gradients == wanted.gradients
    assert found.optimizer_state == wanted.optimizer_state
    assert found.parameters == wanted.parameters


def _backward(step):
    return Counter(
        (op.name, op.layer, op.read_bytes if op.gemms else 0)
        for op in step.ops
        if op.kind is not OpKind.VIEW and op.phase in (Phase.DGRAD, Phase.WGRAD)
    )


@cache
def _captured(optimizer, frozen):
    import torch

    from workloads.capture import capture
    from workloads.recipes.lenet_digits import LeNet5

    torch.manual_seed(0)
    model = LeNet5()
    for name in frozen:
        model.get_submodule(name).requires_grad_(requires_grad=False)
    learning = [p for p in model.parameters() if p.requires_grad]
    style = {"foreach": "foreach" in optimizer} | ({"fused": True} if "fused" in optimizer else {})
    if optimizer == "sgd":
        trainer = torch.optim.SGD(learning, lr=0.1, momentum=0.9, weight_decay=1e-4)
    else:
        trainer = torch.optim.Adam(learning, **(style if "fused" not in style else {"fused": True}))
    loss_of = torch.nn.CrossEntropyLoss()
    with capture(model, trainer, fake=True) as recording:
        for _ in range(3):
            trainer.zero_grad()
            loss_of(model(torch.rand(8, 1, 28, 28)), torch.randint(10, (8,))).backward()
            trainer.step()
    trace = recording.trace
    return trace.steps[trace.typical_step]


# Block-sparse layers


@settings(deadline=None, max_examples=25)
@given(st.sampled_from([125, 250, 500, 750]))
def test_products_and_weights_shrink_by_the_density(density):
    step = typical("resnet20_digits")
    method = Method("sparse", (("layer*.conv*", Treatment(density=density)),))
    thin = laid_over(step, method)
    before, after = macs(step), macs(thin)
    for (layer, role), count in before.items():
        sparse = layer.startswith("layer") and ".conv" in layer
        assert after[layer, role] * (1000 if sparse else 1) == count * (density if sparse else 1)
    for old, new in zip(step.storages, thin.storages, strict=True):
        if ".conv" in old.name and old.kind is not StorageKind.BUFFER:
            assert new.bytes * 1000 == old.bytes * density
    sparse = sum(s.bytes for s in step.storages if ".conv" in s.name and _is_weight(s))
    lost = footprint(step).gradients - footprint(thin).gradients
    assert lost * 1000 == sparse * (1000 - density)


def _is_weight(storage):
    return storage.kind is StorageKind.PARAMETER


def test_sparse_linear_layers_shrink_in_every_role():
    step = typical("mlp_digits")
    thin = laid_over(step, everywhere(density=500))
    before, after = macs(step), macs(thin)
    assert {key: 2 * count for key, count in after.items()} == before
    for op in thin.ops:
        for gemm in op.gemms:  # products of the very tensors that they name
            sizes = gemm.m * gemm.k, gemm.k * gemm.n, gemm.m * gemm.n
            weight = 2 if gemm.role is Role.WGRAD else 1
            tensor = (op.inputs[gemm.a], op.inputs[gemm.b], op.outputs[gemm.c])[weight]
            assert tensor.elements == sizes[weight]
            if gemm.role is Role.FORWARD:  # all outputs stay, of fewer inputs each
                assert op.outputs[gemm.c].elements == gemm.m * gemm.n


# Over a run


def test_a_schedule_changes_with_the_epochs_and_each_pair_is_simulated_once():
    trace = as_trace("mlp_digits")
    rules = (TreatmentRule(SIX, first=0, last=0), TreatmentRule(replace(SIX, weights=8), first=1))
    laid = scheduled(trace, MethodSchedule("rct", rules))
    assert len(laid.methods) == 2
    whole = resolved(laid)
    pairs = {(s.step, s.method) for s in laid.segments}
    assert len(whole.steps) == len(pairs)
    assert [s.count for s in whole.segments] == [s.count for s in trace.segments]
    assert whole.flops_by_phase() == trace.flops_by_phase()
    result = Replay(machine("edge-16x16-mp"), laid).run().as_dict()
    assert result["method"] == "rct"
    assert set(result["precision"]["executed"]) == {"int6", "int8"}


def test_methods_are_kept_in_a_trace_file(tmp_path):
    laid = scheduled(
        as_trace("mlp_digits"),
        MethodSchedule("m", (TreatmentRule(QAT, "fc1", 0, 1), TreatmentRule(SIX))),
    )
    save_trace(laid, tmp_path / "a.trace")
    again = load_trace(tmp_path / "a.trace")
    assert again.methods == laid.methods
    assert again.segments == laid.segments
    assert again.digest == laid.digest != as_trace("mlp_digits").digest


def test_narrow_products_cost_less_on_an_array_that_has_them():
    builder = StepBuilder()
    builder.gemm(256, 256, 256)
    trace = one_step_trace(builder)
    soc = machine("edge-16x16-mp", runtime__launch="0 us", runtime__synchronise="0 us")
    times = []
    for bits in (16, 8, 4):
        rule = TreatmentRule(Treatment(weights=bits, activations=bits, gradients=bits))
        ops = Replay(soc, scheduled(trace, MethodSchedule("m", (rule,)))).run().ops
        times.append(next(op["compute_cycles"] for op in ops if op["stage"] == "gemm"))
    assert times[0] > 3 * times[1]
    assert times[1] == times[2]


def test_the_next_wider_integer_of_an_array_is_taken():
    array = (
        machine("edge-16x16-mp")
        .accelerator.model_copy(update={"precision": "fp32", "precisions": ("int8", "int4")})
        .interface
    )
    assert [array.executes(f"int{bits}") for bits in (3, 4, 5, 8)] == [
        "int4",
        "int4",
        "int8",
        "int8",
    ]
    assert array.executes("int9") is None
    assert (
        machine().accelerator.interface.executes("int4") is None
    )  # an array of one format has a rule


# The file


def test_a_file_of_rules(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text(
        "name: mine\nrules:\n- {layer: 'conv*', epochs: 0-3, weights: 6}\n"
        "- {epochs: 4-, density: 25 %, frozen: true}\n- {epochs: 7, master: true}\n"
    )
    found = load_method(path)
    assert found.name == "mine"
    assert found.rules == (
        TreatmentRule(Treatment(weights=6), "conv*", 0, 3),
        TreatmentRule(Treatment(density=250, frozen=True), "*", 4, None),
        TreatmentRule(Treatment(master=True), "*", 7, 7),
    )
    assert found.in_epoch(7).of("conv1") == found.rules[1].treatment


@pytest.mark.parametrize("name", method_names())
def test_every_method_that_ships_runs_on_every_trace_that_does(name):
    for trace in ("lenet_digits", "resnet20_digits"):
        laid = resolved(scheduled(as_trace(trace), load_method(name)))
        assert laid.flops_by_phase()["forward"] > 0


def test_a_method_that_is_not_there():
    with pytest.raises(InputError, match="no method at nowhere: give a YAML file or one of"):
        load_method("nowhere")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [{bits: 6}]", "rules.0.bits: unknown key; known: layer, epochs"),
        ("rules: [{weights: 40}]", "rules.0.weights: 40"),
        ("rules: [{epochs: 5-2}]", "rules.0.epochs: '5-2': write one epoch, or a range"),
        ("rules: []", "rules: []"),
        ("name: x", "rules: missing; add it, such as {layer"),
        ("- 1", "expected keys as workloads/methods/int8.yaml has them"),
        ("rules: [", "line 1: not YAML"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, text, said):
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_method(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def executed(treatment):
    """Return the tasks of a step of one layer, all of whose numbers are treated so."""
    laid = scheduled(one_step_trace(one_layer()), MethodSchedule("m", (TreatmentRule(treatment),)))
    soc = machine("edge-16x16-mp", cpu__llc__size="0 B")
    return Lowering(soc).lower(resolved(laid).steps[0], Carry())[0]


def test_an_array_reads_narrower_weights_as_they_are():
    stages = Counter(
        task.work.stage for task in executed(Treatment(weights=6, activations=8, gradients=8))
    )
    wide = Counter(task.work.stage for task in executed(QAT))
    assert stages[Stage.QUANTISE] == 2  # x and dy, once each
    assert wide[Stage.QUANTISE] == 3  # and the master copy of the weights


def test_a_product_is_counted_in_its_own_precision_alone():
    counts = [task.work.counts for task in executed(SIX) if task.work.stage is Stage.GEMM]
    assert [each[ACTIONS["array_macs_in_int6"]] for each in counts] == [64**3] * 3
    assert {each[ACTIONS["array_macs_issued"]] for each in counts} == {0}


def test_a_convolution_of_no_role_is_thinned_as_a_forward_one():
    builder = StepBuilder()
    image, made = builder.tensor(1, 4, 6, 6), builder.tensor(1, 8, 4, 4)
    weight = builder.tensor(8, 4, 3, 3, kind=StorageKind.PARAMETER, name="blur.weight")
    conv = convolution(valid_convolution(4, 8, (6, 6), (3, 3), 1))
    gemm = replace(conv, role=Role.OTHER)
    builder.ops.append(
        Op("aten.convolution", OpKind.GEMM, Phase.DATA, "blur", (image, weight), (made,), (gemm,))
    )
    thin = laid_over(builder.step(), Method("half", (("*", Treatment(density=500)),)))
    assert thin.ops[0].gemms[0].k == 2 * 9
