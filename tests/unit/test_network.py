"""Networks described by hand: ops, products and storages of the captured runs of the same ones."""

import pytest

from simulator import simulate
from simulator.errors import InputError
from simulator.trace.network import network
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import StorageKind

LENET = [
    ("conv", {"filters": 6, "kernel": 5, "padding": 2, "name": "conv1"}), "relu",
    ("pool", {"kernel": 2, "name": "pool"}),
    ("conv", {"filters": 16, "kernel": 5, "name": "conv2"}), "relu",
    ("pool", {"kernel": 2, "name": "pool"}),
    ("linear", {"features": 120, "name": "fc1"}), "relu",
    ("linear", {"features": 84, "name": "fc2"}), "relu",
    ("linear", {"features": 10, "name": "fc3"}),
]  # fmt: skip
INPUT = (1, 28, 28)


def by_hand(**options):
    return network(LENET, input=INPUT, batch=32, momentum=True, **options)


def windows(tensors):
    return [(each.shape, each.strides, each.dtype) for each in tensors]


def facts(op, first):
    """Return what an op is, apart from the numbers of its storages and the name of a relu."""
    layer = "" if op.layer.startswith("relu") else op.layer
    forward = op.forward - first if op.forward >= 0 else -1
    names = op.name, op.kind, op.phase, layer
    return *names, windows(op.inputs), windows(op.outputs), op.gemms, forward


def same_storages(one, other):
    """Return whether two lists of ops share storages among each other in the same way."""
    pairs = [
        (a.storage, b.storage)
        for left, right in zip(one, other, strict=True)
        for a, b in zip((*left.inputs, *left.outputs), (*right.inputs, *right.outputs), strict=True)
    ]
    return len(set(pairs)) == len(dict(pairs)) == len({b: a for a, b in pairs})


def test_a_lenet_by_hand_has_the_ops_of_the_captured_one():
    captured = load_trace("lenet_digits")
    step = captured.steps[captured.typical_step]
    first = next(i for i, op in enumerate(step.ops) if op.phase.value == "forward")
    theirs, own = step.ops[first:-1], by_hand().steps[0].ops  # without data and `.item()`
    assert [facts(op, 0) for op in own] == [facts(op, first) for op in theirs]
    assert same_storages(own, theirs)


@pytest.mark.parametrize("kind", [StorageKind.PARAMETER, StorageKind.GRADIENT,
                                  StorageKind.OPTIMIZER_STATE])  # fmt: skip
def test_its_storages_are_those_of_the_captured_one(kind):
    captured = load_trace("lenet_digits")

    def of(step):
        return sorted((each.name, each.bytes) for each in step.storages if each.kind is kind)

    assert of(by_hand().steps[0]) == of(captured.steps[captured.typical_step])


def test_batch_normalisation_and_means_are_those_of_the_captured_resnet():
    captured = load_trace("resnet20_digits")
    ops = captured.steps[captured.typical_step].ops
    layers = [("conv", {"filters": 16, "kernel": 3, "padding": 1, "bias": False}), "norm", "relu",
              "mean", ("linear", {"features": 10})]  # fmt: skip
    own = network(layers, input=(3, 32, 32), batch=32).steps[0].ops
    theirs = {op.name: op for op in reversed(ops) if op.layer in ("conv1", "bn1")}
    mine = {op.name: op for op in own}
    for name in ("native_batch_norm.default", "native_batch_norm_backward.default",
                 "convolution_backward.default", "empty.memory_format"):  # fmt: skip
        one, other = mine[f"aten.{name}"], theirs[f"aten.{name}"]
        assert windows(one.inputs) == windows(other.inputs)
        assert windows(one.outputs) == windows(other.outputs)
    order = [op.name for op in own]
    mean = [op.name for op in ops].index("aten.mean.dim")
    assert order[order.index("aten.mean.dim") :][:25] == [op.name for op in ops[mean:]][:25]


def test_products_of_a_step_are_three_times_those_of_inference_less_the_first_dgrad():
    layers = [("linear", {"features": n, "bias": False}) for n in (50, 30, 20)]
    gemms = [g for op in network(layers, input=(70,), batch=8).steps[0].ops for g in op.gemms]
    macs = 8 * (70 * 50 + 50 * 30 + 30 * 20)
    assert sum(each.macs for each in gemms) == 3 * macs - 8 * 70 * 50


def test_it_runs_and_is_stored(tmp_path):
    trace = by_hand(steps=3)
    save_trace(trace, tmp_path / "net.trace")
    assert load_trace(tmp_path / "net.trace").digest == trace.digest
    captured = simulate("edge-16x16", "lenet_digits").by_phase
    own = simulate("edge-16x16", trace).by_phase
    for phase in ("wgrad", "optimizer"):  # the same ops: only caches begin otherwise
        per_step = own[phase].latency_s / 3
        assert per_step == pytest.approx(captured[phase].latency_s / 360, rel=0.03)


@pytest.mark.parametrize(("layers", "options", "words"), [
    (["rel"], {}, "did you mean relu?"),
    ([("conv", {"filters": 6, "kernal": 5})], {}, "did you mean kernel?"),
    ([("conv", {"filters": 6, "kernel": 50})], {}, "larger than its input of 28"),
    ([("conv", {"filters": 6, "kernel": 5, "groups": 4})], {}, "4 groups do not divide"),
    (["relu"], {}, "end with a linear layer"),
    ([("linear", {"features": "ten"})], {}, "features"),
    (["relu"], {"batch": 0}, "at least 1"),
    (["mean", ("linear", {"features": 3})], {"input": (70,)}, "takes images"),
    ([], {}, "no layers"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(layers, options, words):
    with pytest.raises(InputError, match="network") as refusal:
        network(layers, **({"input": INPUT, "batch": 2} | options))
    assert words in str(refusal.value)
