# ruff: noqa: E402 - without torch nothing here can be imported
"""Training methods really train, do to the numbers what they say, and leave that in the trace."""

from functools import cache

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from simulator.trace.op import OpKind, Phase, Role
from simulator.trace.passes.overlay import resolved
from simulator.trace.passes.treatment import Treatment
from simulator.trace.storage import load_trace
from simulator.trace.trace import StorageKind
from workloads.capture import capture, capture_script
from workloads.recipes import recipe_path
from workloads.recipes.digits import digits
from workloads.recipes.methods import METHODS, frozen, lowrank, rct, sparse
from workloads.recipes.methods.rounding import rounded
from workloads.recipes.methods.setup import NETWORKS, Options
from workloads.recipes.methods.ternary import TernaryLayer
from workloads.recipes.methods_digits import setup_of, train

pytestmark = pytest.mark.torch
SMALL = {"limit": 64, "batch_size": 16, "pretrain": 1}
EACH_NETWORK = pytest.mark.parametrize("network", NETWORKS)


def steps(setup, options, count):
    """Train `count` batches, and yield after each."""
    data, _ = digits(options.net.size, options.net.channels, limit=options.batch_size * count)
    setup.model.train()
    for images, labels in zip(*(t.split(options.batch_size) for t in data.tensors), strict=True):
        setup.optimizer.zero_grad()
        setup.loss_of(setup.model(images), labels).backward()
        setup.optimizer.step()
        yield


def captured(method, network="lenet", epochs=1, batch_size=16):
    """Return the trace of a short training, of which equal ones are captured once."""
    return _captured(method, network, epochs, batch_size)


@cache
def _captured(method, network, epochs, batch_size):
    options = SMALL | {"batch_size": batch_size}
    with capture() as recording:
        train(method, network=network, epochs=epochs, **options)
    return recording.trace


def typical(trace):
    whole = resolved(trace)
    return whole.steps[whole.typical_step]


def macs(step, layer):
    """Return the MACs of a layer and what is in it, by role."""
    found = {}
    for op in step.ops:
        if f"{op.layer}.".startswith(f"{layer}."):
            for gemm in op.gemms:
                found[gemm.role] = found.get(gemm.role, 0) + gemm.macs
    return found


# They train


@pytest.mark.parametrize(
    "network",
    [pytest.param(n, marks=pytest.mark.slow if n == "resnet20" else ()) for n in NETWORKS],
)
@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=pytest.mark.slow if m == "frozen" else ()) for m in METHODS]
)
def test_the_loss_falls(method, network, capsys):
    first, *_, last = train(method, network=network, epochs=3, limit=160, pretrain=4, batch_size=8)
    assert last.loss < first.loss
    assert capsys.readouterr().out.count("test accuracy") == 3


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=pytest.mark.slow if m == "frozen" else ()) for m in METHODS]
)
def test_a_seed_decides_everything(method):
    runs = [train(method, epochs=1, seed=seed, **SMALL) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.slow
@EACH_NETWORK
@pytest.mark.parametrize("method", METHODS)
def test_the_digits_are_learned(method, network):
    baseline = {"lenet": 0.97, "resnet20": 0.97}[network]
    loss = 0.02 if method in ("qat", "rct") else 0.06
    assert train(method, network=network, epochs=12)[-1].accuracy >= baseline - loss


# int8


def test_all_products_of_qat_are_of_integers():
    for step in resolved(captured("qat", "resnet20")).steps:
        gemms = [(op, gemm) for op in step.ops for gemm in op.gemms]
        assert gemms
        for op, gemm in gemms:
            assert gemm.precision == "int8"
            assert {op.inputs[which].dtype for which in (gemm.a, gemm.b)} == {"int8"}


@pytest.mark.parametrize("method", ["qat", "ternary", "rct"])
def test_rounded_layers_do_the_work_of_the_plain_ones(method):
    plain, narrow = typical(captured("fp32")), typical(captured(method))
    for layer in ("conv1", "conv2", "fc1", "fc2", "fc3"):
        assert macs(narrow, layer) == macs(plain, layer)
        assert len(macs(plain, layer)) == (2 if layer == "conv1" else 3)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 16), st.integers(0, 1000), st.floats(1e-3, 1e3))
def test_rounding_is_to_the_nearest_of_a_symmetric_grid(bits, seed, size):
    x = torch.randn(50, generator=torch.Generator().manual_seed(seed)) * size
    step = x.abs().max() / (2 ** (bits - 1) - 1)
    y = rounded(x, bits)
    ulp = x.abs() * torch.finfo(torch.float32).eps  # fine steps beside large numbers
    assert ((y - x).abs() <= step * 0.5001 + ulp).all()
    counts = y / step
    assert torch.allclose(counts, counts.round(), atol=2e-2)
    assert len(torch.unique(counts.round())) <= 2**bits - 1


# RCT


def on_the_grid(layer):
    counts = layer.weight.detach() / layer.eps  # exact: eps is a power of two
    most = 2 ** (layer.bits - 1)
    return bool((counts == counts.round()).all() and (counts.abs() <= most).all())


@EACH_NETWORK
def test_weights_of_rct_lie_on_their_grid_after_every_step(network):
    options = Options("rct", network, batch_size=8)
    torch.manual_seed(0)
    setup = setup_of(options)
    layers = setup.optimizer.layers
    start = [layer.weight.detach().clone() for layer in layers]
    for _ in steps(setup, options, 2 * rct.INTERVAL + 1):
        assert all(on_the_grid(layer) for layer in layers)
        assert all(len(torch.unique(layer.weight.detach())) <= 2**layer.bits for layer in layers)
    assert any(not torch.equal(layer.weight, w) for layer, w in zip(layers, start, strict=True))
    assert {key for state in setup.optimizer.state.values() for key in state} == {"gradients"}


@settings(deadline=None, max_examples=100)
@given(st.integers(2, 16), st.floats(0, 100))
def test_a_bit_more_where_gradients_are_small(bits, gavg):
    assert rct.changed(bits, gavg) == (bits if gavg >= 6 else min(16, bits + 1))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(1e-4, 1), st.integers(2, 15))
def test_the_update_is_whole_steps_towards_zero(seed, rate, bits):
    """Against the rule in exact integers, one weight at a time."""
    generator = torch.Generator().manual_seed(seed)
    layer = rct.GridLayer(nn.Linear(4, 3))
    layer.settle(bits)
    optimizer = rct.GridSGD([layer], [layer.bias], rate)
    before, gradient = layer.weight.detach().clone(), torch.randn(3, 4, generator=generator)
    layer.weight.grad = gradient
    optimizer.step()
    most = 2 ** (bits - 1)
    for w, g, new in zip(*(t.flatten().tolist() for t in (before, gradient, layer.weight)),
                         strict=True):  # fmt: skip
        exact = rate * g / layer.eps
        allowed = {int(exact * (1 + error)) for error in (-1e-6, 0, 1e-6)}
        counts = {max(-most, min(most - 1, round(w / layer.eps) - n)) for n in allowed}
        assert new / layer.eps in counts


def test_bits_of_rct_rise_by_the_rule_and_the_trace_has_each_change():
    trace = captured("rct", epochs=4, batch_size=4)
    assert len(trace.methods) > 2
    for before, after in zip(trace.methods, trace.methods[1:], strict=False):
        rises = [after.of(n).weights - before.of(n).weights for n, _ in before.layers]
        assert set(rises) == {0, 1} or set(rises) == {1}
    first = dict(trace.methods[0].layers)
    assert set(first.values()) == {Treatment(6, 6, 6)}
    assert set(first) == {"conv1", "conv2", "fc1", "fc2", "fc3"}
    # Every so many batches and not between: 64 images, 4 at a time, are 16 batches an epoch.
    trained, changes = 0, []
    for segment, following in zip(trace.segments, trace.segments[1:], strict=False):
        trained += segment.count * (trace.steps[segment.step].kind == "train")
        changes += [trained] if segment.method != following.method else []
    assert changes
    assert all(change % rct.INTERVAL == 0 for change in changes)
    assert "bits" in trace.origin


# Ternary


@EACH_NETWORK
def test_ternary_weights_have_three_values_of_the_published_rule(network):
    torch.manual_seed(0)
    for layer in setup_of(Options("ternary", network)).model.modules():
        if isinstance(layer, TernaryLayer):
            weight, ratio = layer.ternary()
            size = layer.weight.abs()
            kept = size > 0.7 * size.mean()
            signs = torch.sign(layer.weight) * kept
            assert torch.allclose(weight * ratio, signs * size[kept].mean())
            assert len(torch.unique(weight.detach())) == 3
            x = torch.randn(2, *((layer.weight.shape[1],) + (8, 8) * (layer.weight.dim() > 2)))
            layer(x).sum().backward()
            assert layer.weight.grad.count_nonzero()


def test_ternary_weights_take_two_bits_in_the_trace():
    step = typical(captured("ternary"))
    dtypes = {
        op.inputs[gemm.b].dtype for op in step.ops for gemm in op.gemms if gemm.role is Role.FORWARD
    }
    assert dtypes == {"int2"}
    assert {gemm.precision for op in step.ops for gemm in op.gemms} == {"int8"}


# Sparse


@EACH_NETWORK
@pytest.mark.parametrize("share", [0.5, 0.25])
def test_sparse_blocks_stay_zero(network, share):
    options = Options("sparse", network, batch_size=8, share=share)
    torch.manual_seed(0)
    setup = setup_of(options)
    *_, _ = steps(setup, options, 3)  # momentum for all weights
    setup.after_epoch(sparse.WARM_UP)
    layers = [m for m in setup.model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    thin = [layer for layer in layers[:-1] if sparse.block_of(layer, share)]
    assert thin
    zeros = [layer.weight == 0 for layer in thin]
    before = [layer.weight.detach().clone() for layer in thin]
    for _ in steps(setup, options, 3):
        assert all(torch.equal(m.weight == 0, z) for m, z in zip(thin, zeros, strict=True))
    assert not any(torch.equal(m.weight, w) for m, w in zip(thin, before, strict=True))
    for layer, zero in zip(thin, zeros, strict=True):
        kept = (~zero).flatten(2).any(2) if zero.dim() > 2 else ~zero
        assert (kept.sum(1) == share * layer.weight.shape[1]).all()  # of each row, exactly
        high, wide = sparse.block_of(layer, share)
        blocks = kept.view(kept.shape[0] // high, high, kept.shape[1] // wide, wide)
        assert torch.equal(blocks.amin((1, 3)), blocks.amax((1, 3)))


def test_the_kept_blocks_are_the_largest():
    weight = torch.ones(4, 6)
    weight[:2, 2:4] = weight[2:, 4:] = 3
    mask = sparse.mask_of(weight, (2, 2), 1 / 3)
    assert torch.equal(mask, (weight == 3).float())


def test_a_sparse_trace_has_its_share_of_the_work_after_the_warm_up():
    trace = captured("sparse", epochs=2)
    assert trace.segments[0].method == 0  # all of the weights, at first
    whole = typical(captured("fp32"))
    thin = [s for s in resolved(trace).steps if s.kind == "train"][-1]
    for layer in ("conv2", "fc1", "fc2"):
        ours, theirs = macs(thin, layer), macs(whole, layer)
        assert {role: 2 * count for role, count in ours.items()} == theirs
    for layer in ("conv1", "fc3"):
        assert macs(thin, layer) == macs(whole, layer)


# Frozen


@pytest.mark.slow
@EACH_NETWORK
def test_what_is_frozen_does_not_move_a_bit(network):
    options = Options("frozen", network, **SMALL)
    torch.manual_seed(0)
    setup = setup_of(options)
    blocks = {
        n: m.block for n, m in setup.model.named_modules() if isinstance(m, frozen.FrozenBlock)
    }
    before = {n: [t.clone() for t in b.state_dict().values()] for n, b in blocks.items()}
    head = list(setup.model.children())[-1].weight.detach().clone()
    *_, _ = steps(setup, options, 4)
    for name, block in blocks.items():
        assert all(map(torch.equal, before[name], block.state_dict().values()))
    assert not torch.equal(head, list(setup.model.children())[-1].weight)
    moved = [
        m.adaptor[-1].weight for m in setup.model.modules() if isinstance(m, frozen.AdaptedBlock)
    ]
    assert all(weight.count_nonzero() for weight in moved)  # zeros at the start


@pytest.mark.parametrize("network", ["lenet", pytest.param("resnet20", marks=pytest.mark.slow)])
def test_frozen_layers_have_no_weight_gradients_in_the_trace(network):
    trace = captured("frozen", network)
    step = typical(trace)
    learning = {op.layer for op in step.ops if Role.WGRAD in {g.role for g in op.gemms}}
    assert learning
    assert not any(".block" in layer for layer in learning)
    assert {op.layer for op in step.ops if ".block" in op.layer and op.gemms}
    names = {s.name for s in step.storages if s.kind is StorageKind.OPTIMIZER_STATE}
    assert not any(".block." in name for name in names)
    assert any(t.frozen for _, t in trace.methods[0].layers)
    assert step.ops == trace.steps[trace.typical_step].ops  # it was so already, as executed


def test_pretraining_is_not_in_the_trace():
    trace = captured("frozen")
    assert SMALL["pretrain"] == 1
    assert trace.epochs == 1
    assert sum(s.count for s in trace.segments if trace.steps[s.step].kind == "train") == 64 / 16


# Low rank


@EACH_NETWORK
def test_factors_do_the_share_of_the_work_that_the_formula_says(network):
    whole, factored = typical(captured("fp32", network)), typical(captured("lowrank", network))
    convs = {n: m for n, m in NETWORKS[network].build().named_modules() if isinstance(m, nn.Conv2d)}
    for name, conv in convs.items():
        full, ours = macs(whole, name), macs(factored, name)
        taps = conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]
        r, c_out = lowrank.rank_of(conv, lowrank.SHARE), conv.out_channels
        for role in set(full):
            assert ours[role] * taps * c_out == full[role] * r * (taps + c_out)
        assert Role.WGRAD in full


def test_factors_of_full_rank_are_the_convolution():
    conv = nn.Conv2d(4, 6, 3, 2, 1)
    factored = lowrank.LowRankConv(conv, 6)
    x = torch.randn(2, 4, 9, 9)
    assert torch.allclose(factored(x), conv(x), atol=1e-5)
    assert float(factored.distance().detach()) < 1e-9
    factored.inputs.weight.data *= 2
    assert float(factored.distance().detach()) == pytest.approx(
        9 * 6 / 36, rel=1e-4
    )  # (4 - 1)^2 by r


# As scripts


def test_a_method_can_be_captured_by_name(tmp_path, server):
    path = tmp_path / "x.trace"
    arguments = ["--method", "rct", "--network", "resnet20", "--limit", "32", "--epochs", "2"]
    done = server.run(tmp_path, "capture", "methods_digits", "-o", path, "--", *arguments)
    assert done.returncode == 0, done.stderr
    trace = load_trace(path)
    assert trace.name == "methods_digits"
    assert trace.epochs == 2
    assert len(trace.origin["accuracy"].split()) == 2
    assert {treatment.weights for _, treatment in trace.methods[0].layers} == {6}


def test_a_wrong_share_is_refused(capsys):
    arguments = ["--method", "sparse", "--share", "1.5"]
    with pytest.raises(Exception, match="exit status 2"):
        capture_script(recipe_path("methods_digits"), arguments)
    assert "a share is above 0 and at most 1" in capsys.readouterr().err


def test_optimizer_updates_are_in_the_optimizer_phase():
    step = typical(captured("rct"))
    parameters = {i for i, s in enumerate(step.storages) if s.kind is StorageKind.PARAMETER}
    writers = [
        op
        for op in step.ops
        if op.kind is not OpKind.VIEW and any(t.storage in parameters for t in op.outputs)
    ]
    assert {op.phase for op in writers} == {Phase.OPTIMIZER}
    assert len(writers) == len(parameters)  # each is written once
