"""Pruned weights and gradients of a step: what is stored, which products have zeros, the file."""

from dataclasses import replace
from fractions import Fraction

import pytest

from simulator.activity import Stage
from simulator.errors import InputError
from simulator.lowering.lower import Carry, Lowering
from simulator.replay import Replay, as_trace
from simulator.sparsity import BlockPattern, GroupPattern, pattern_of
from simulator.trace.memory import footprint
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role
from simulator.trace.passes.file import load_method
from simulator.trace.passes.overlay import laid_over, resolved, scheduled
from simulator.trace.passes.treatment import Method, MethodSchedule, Treatment, TreatmentRule
from simulator.trace.sparsity import DENSE
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine
from tests.unit.test_method import macs, typical

QUARTER = Fraction(1, 4)
BLOCKS = BlockPattern(4, 4, QUARTER)


def sparse(layer="*", **patterns):
    """Return a method that prunes a layer."""
    return Method("m", ((layer, Treatment(settings=tuple(patterns.items()))),))


def products(step):
    """Return the products of a step with their ops."""
    return [(op, gemm) for op in step.ops for gemm in op.gemms]


@pytest.mark.parametrize("trace", ["lenet_digits", "resnet20_digits", "mlp_digits"])
def test_every_product_of_pruned_weights_has_their_density_of_macs(trace):
    step = typical(trace)
    before, after = macs(step), macs(laid_over(step, sparse(sparsity=BLOCKS)))
    assert after == {key: round(count / 4) for key, count in before.items()}


def test_other_layers_stay_and_the_digest_tells():
    step = typical()
    rewritten = laid_over(step, sparse("conv2", sparsity=BLOCKS))
    assert {op.layer for op, gemm in products(rewritten) if gemm.sparsity != DENSE} == {"conv2"}
    other = laid_over(step, sparse("conv2", sparsity=BLOCKS._replace(rows=8, cols=2)))
    assert len({step.digest, rewritten.digest, other.digest}) == 3
    assert laid_over(step, sparse("nothing", sparsity=BLOCKS)) == step


def test_storages_have_the_values_that_are_kept_and_an_index():
    """fc1 of LeNet: 120 x 400 weights. 2:4 keeps half, with 2 bits each."""
    step = typical()
    rewritten = laid_over(step, sparse("fc1", sparsity=GroupPattern(2, 4)))
    sizes = {s.name: s.bytes for s in rewritten.storages if s.name}
    assert sizes["fc1.weight"] == 120 * 400 * 4 // 2
    assert sizes["fc1.weight.index"] == 120 * 400 // 2 * 2 // 8
    assert sizes["fc1.bias"] == 120 * 4
    before, after = footprint(step), footprint(rewritten)
    assert before.gradients - after.gradients == 120 * 400 * 4 // 2
    assert before.optimizer_state - after.optimizer_state in (0, 120 * 400 * 4 // 2)
    assert before.parameters - after.parameters == 120 * 400 * 4 // 2 - sizes["fc1.weight.index"]
    assert before.activations == after.activations


def test_updates_take_the_values_that_are_kept():
    step = typical()
    rewritten = laid_over(step, sparse("fc1", sparsity=GroupPattern(2, 4)))
    pairs = [
        (old, new)
        for old, new in zip(step.ops, rewritten.ops, strict=True)
        if old != new and old.phase is Phase.OPTIMIZER
    ]
    assert pairs
    for old, new in pairs:
        halved = [t.elements for t in old.inputs if t.elements == 120 * 400]
        assert halved
        assert [t.elements for t in new.inputs if t.elements == 120 * 200] == [120 * 200] * len(
            halved
        )


def test_rows_run_along_the_inputs_whichever_way_a_product_reads_them():
    step = laid_over(typical("mlp_digits"), sparse("fc2", sparsity=BlockPattern(8, 4, QUARTER)))
    for op, gemm in products(step):
        for name, each in gemm.sparsity.by_name.items():
            tensor = {"a": op.inputs, "b": op.inputs, "c": op.outputs}[name][getattr(gemm, name)]
            inputs, outputs = getattr(gemm, each.rows), getattr(gemm, each.cols)
            assert (inputs, outputs) == _weights_of(step, "fc2")
            assert tensor.elements == inputs * outputs // 4
            assert (name == "c") == (gemm.role is Role.WGRAD)
            if gemm.role is Role.FORWARD:
                assert each.rows == "k"
            if gemm.role is Role.DGRAD:
                assert each.cols == "k"


def _weights_of(step, layer):
    forward = next(g for op, g in products(step) if op.layer == layer and g.role is Role.FORWARD)
    return forward.k, forward.n


def test_a_convolution_s_rows_are_channels_and_taps():
    step = laid_over(typical(), sparse("conv2", sparsity=GroupPattern(1, 4)))
    gemm = next(g for op, g in products(step) if op.layer == "conv2" and g.role is Role.FORWARD)
    assert gemm.conv is not None
    assert gemm.conv.in_channels == 6
    taps = gemm.k // 6
    assert gemm.sparsity.b.density == Fraction(-(-6 * taps // 4), 6 * taps)


def test_pruned_gradients_are_read_by_dgrad_and_wgrad_and_written_so():
    step = typical()
    rewritten = laid_over(step, sparse("conv2", gradient_sparsity=BlockPattern(4, 4, QUARTER)))
    roles = {gemm.role for _, gemm in products(rewritten) if gemm.sparsity != DENSE}
    assert roles == {Role.DGRAD, Role.WGRAD}
    (backward,) = [
        op for op, g in products(rewritten) if g.sparsity != DENSE and g.role is Role.WGRAD
    ]
    gemm = next(g for g in backward.gemms if g.role is Role.WGRAD)
    gradient = backward.inputs[gemm.a]
    assert gradient.elements == gemm.m * gemm.k // 4
    makers = [
        op
        for op in rewritten.ops[: rewritten.ops.index(backward)]
        if any(t.storage == gradient.storage for t in op.outputs) and op.kind is not OpKind.VIEW
    ]
    index = gemm.sparsity.a.index_at
    assert [t.elements for t in makers[-1].outputs if t.storage == gradient.storage] == [
        gradient.elements
    ]
    assert index in {t.storage for t in makers[-1].outputs} & {t.storage for t in backward.inputs}
    assert rewritten.storages[index].kind is StorageKind.ACTIVATION
    assert rewritten.storages[gradient.storage].bytes < step.storages[gradient.storage].bytes
    forward = [op for op in rewritten.ops if op.phase is Phase.FORWARD]
    assert forward == [op for op in step.ops if op.phase is Phase.FORWARD]


def test_weights_and_gradients_leave_what_both_keep():
    step = typical("mlp_digits")
    both = sparse(sparsity=BLOCKS, gradient_sparsity=BlockPattern(4, 4, Fraction(1, 2)))
    before, after = macs(step), macs(laid_over(step, both))
    for (layer, role), count in before.items():
        assert after[layer, role] == round(count / (4 if role is Role.FORWARD else 8))


# On machines


def replayed(method, hardware):
    trace = as_trace("lenet_digits")
    rules = tuple(TreatmentRule(treatment, layer) for layer, treatment in method.layers)
    return Replay(hardware, scheduled(trace, MethodSchedule(method.name, rules))).run()


def test_a_result_says_what_was_skipped():
    dense, method = macs_of_run(), sparse(sparsity=BlockPattern(16, 16, QUARTER))
    skips = replayed(method, machine(accelerator__sparsity__blocks=True)).as_dict()["sparsity"]
    assert skips["dense_macs"] == dense
    assert skips["useful_macs"] == pytest.approx(dense / 4, rel=1e-6)
    whole = skips["issued_macs"] + skips["skipped_macs"]
    assert skips["skipped_macs"] == pytest.approx(3 * whole / 4, rel=1e-6)
    assert skips["skipped_ps"] > 0
    lacks = replayed(method, machine()).as_dict()["sparsity"]
    assert (lacks["skipped_macs"], lacks["skipped_ps"]) == (0, 0)
    assert lacks["useful_macs"] == skips["useful_macs"]
    assert "sparsity" not in Replay(machine(), as_trace("lenet_digits")).run().as_dict()


def macs_of_run():
    return sum(as_trace("lenet_digits").flops_by_phase().values()) // 2


def test_dense_kernels_multiply_zeros_and_sparse_ones_skip_blocks():
    step = laid_over(typical("mlp_digits"), sparse(sparsity=BlockPattern(4, 4, Fraction(1, 8))))
    whole = typical("mlp_digits")
    times = {}
    for name, efficiency, of in (
        ("dense", None, whole), ("lacks", None, step), ("has", "50 %", step), ("poor", "10 %", step)
    ):  # fmt: skip
        more = {} if efficiency is None else {"cpu__sparse_efficiency": efficiency}
        tasks, _ = Lowering(machine("cpu-only", **more)).lower(of, Carry())
        works = [task.work for task in tasks if task.work.stage is Stage.GEMM]
        times[name] = sum(work.compute_ps for work in works)
        useful = sum(work.counts.macs for work in works)
        issued = sum(work.counts.macs_issued for work in works)
        assert issued == pytest.approx(useful * {"dense": 1, "has": 1}.get(name, 8), rel=1e-3)
    assert times["has"] == pytest.approx(times["dense"] / 4, rel=1e-3)
    assert times["poor"] == times["lacks"]
    assert times["lacks"] <= times["dense"]


def test_cpus_load_what_is_stored():
    step = laid_over(typical(), sparse("fc1", sparsity=GroupPattern(2, 4)))
    soc = machine("cpu-only", cpu__llc__size="0 B")
    loads = []
    for each in (typical(), step):
        tasks, _ = Lowering(soc).lower(each, Carry())
        (work,) = [
            t.work for t in tasks
            if (t.layer, t.phase, t.work.stage) == ("fc1", Phase.FORWARD, Stage.GEMM)
        ]  # fmt: skip
        loads.append(work.counts.dram_read_bytes)
    assert loads[0] - loads[1] == 120 * 200 * 4 - 120 * 200 * 2 // 8


# The file


def test_a_file_of_patterns(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text(
        "rules:\n- {layer: 'conv*', sparsity: 2:4, weights: 8, activations: 8}\n"
        "- {sparsity: {block: 16x8, density: 1/4}, gradient_sparsity: 1:4}\n"
    )
    first, second = (rule.treatment for rule in load_method(path).rules)
    assert first.setting("sparsity") == GroupPattern(2, 4)
    assert first.weights == 8
    assert second.setting("sparsity") == BlockPattern(16, 8, QUARTER)
    assert second.setting("gradient_sparsity") == GroupPattern(1, 4)


def test_patterns_are_kept_in_a_trace_file(tmp_path):
    treatment = Treatment(settings=(("sparsity", BLOCKS), ("gradient_sparsity", pattern_of("2:4"))))
    laid = scheduled(as_trace("mlp_digits"), MethodSchedule("m", (TreatmentRule(treatment),)))
    save_trace(laid, tmp_path / "a.trace")
    again = load_trace(tmp_path / "a.trace")
    assert again.methods == laid.methods
    assert again.digest == laid.digest != as_trace("mlp_digits").digest
    assert resolved(again).digest == resolved(laid).digest


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{sparsity: 4:4}", "4:4 keeps all: keep fewer than 4"),
        ("{sparsity: half}", "'half' is no pattern: write N:M such as 2:4, or {block: 16x16"),
        ("{sparsity: '2:'}", "'2:' is no pattern N:M: write it as 2:4"),
        ("{sparsity: 0.5}", "0.5 is no pattern: write N:M such as 2:4"),
        ("{sparsity: {block: 16, density: 1/4}}", "block: 16: write rows x cols such as 16x16"),
        ("{sparsity: {block: 16x16}}", "is no pattern: write N:M"),
        ("{sparsity: {block: 4x4, density: 5/4}}", "density: '5/4': keep something, at most all"),
        ("{sparsity: {block: 4x4, density: 0.5}}", "density: 0.5: write a ratio such as 1/4 or 25"),
        ("{gradient_sparsity: 4:2}", "4:2 keeps all"),
        ("{sparsity: 2:4, density: 50 %}", "density and sparsity both prune the weights"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, rule, said):
    path = tmp_path / "m.yaml"
    path.write_text(f"rules: [{rule}]")
    with pytest.raises(InputError) as caught:
        load_method(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}: rules.0")
    assert "\n" not in str(caught.value)


def test_a_method_without_patterns_is_what_it_was():
    """The text of a treatment, which digests are made of, has the fields that it always had."""
    treatment = Treatment(density=500)
    assert repr(replace(treatment, settings=(("sparsity", BLOCKS),))) == repr(treatment)
    assert load_method("half-dense").in_epoch(0).content == (
        "Method(name='half-dense', layers=(('*', Treatment(weights=8, activations=8, gradients=8, "
        "master=True, density=500, frozen=False)),))"
    )


# Whichever way weights lie


def test_weights_of_inputs_x_outputs_are_told_from_their_transpose():
    """x W with W [in, out], as GPT-2 has it: the gradient x^T dy has inputs for rows."""
    builder = StepBuilder()
    x, y = builder.tensor(32, 48), builder.tensor(32, 80)
    w = builder.tensor(48, 80, kind=StorageKind.PARAMETER, name="fc.weight")
    dw = builder.tensor(48, 80, kind=StorageKind.GRADIENT)
    dy, dx = builder.tensor(32, 80), builder.tensor(32, 48)
    for name, phase, inputs, out, gemms in (
        ("mm", Phase.FORWARD, (x, w), y, (Gemm(Role.FORWARD, 1, 32, 80, 48, 0, 1, 0),)),
        ("loss_backward", Phase.DGRAD, (y,), dy, ()),
        ("mm", Phase.DGRAD, (dy, w), dx, (Gemm(Role.DGRAD, 1, 32, 48, 80, 0, 1, 0),)),
        ("mm", Phase.WGRAD, (x, dy), dw, (Gemm(Role.WGRAD, 1, 48, 80, 32, 0, 1, 0),)),
    ):
        kind = OpKind.GEMM if gemms else OpKind.ELEMENTWISE
        builder.ops.append(Op(f"aten.{name}", kind, phase, "fc", inputs, (out,), gemms))
    method = sparse(sparsity=BlockPattern(8, 4, QUARTER), gradient_sparsity=GroupPattern(2, 4))
    forward, dgrad, wgrad = (gemm for _, gemm in products(laid_over(builder.step(), method)))
    assert [each.sparsity.b and each.sparsity.b[1:3] for each in (forward, dgrad)] == [
        ("k", "n"), ("n", "k")
    ]  # fmt: skip
    assert wgrad.sparsity.c[1:3] == ("m", "n")
    assert (forward.sparsity.a, wgrad.sparsity.a) == (None, None)
    assert dgrad.sparsity.a[1:3] == ("k", "m")
    assert wgrad.sparsity.b[1:3] == ("n", "k")
