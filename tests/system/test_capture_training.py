# ruff: noqa: E402 - without torch nothing here can be imported
"""What a capture says of one training step: FLOPs, phases, layers, storages; and what it leaves."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from simulator.trace.op import OpKind, Phase, Role
from simulator.trace.trace import StorageKind, dependences
from workloads.capture import capture
from workloads.recipes import RECIPES, recipe

pytestmark = pytest.mark.torch


class Attention(nn.Module):
    """One block with tied embedding, layer norm, fused attention and dropout."""

    def __init__(self, recompute=False):
        super().__init__()
        self.recompute = recompute
        self.embed = nn.Embedding(50, 32)
        self.norm = nn.LayerNorm(32)
        self.qkv = nn.Linear(32, 96)
        self.out = nn.Sequential(nn.Linear(32, 32), nn.GELU(), nn.Dropout(0.1))
        self.head = nn.Linear(32, 50, bias=False)
        self.head.weight = self.embed.weight

    def block(self, x):
        parts = self.qkv(self.norm(x)).chunk(3, dim=-1)
        q, k, v = (p.unflatten(-1, (4, 8)).transpose(1, 2) for p in parts)
        y = functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(y.transpose(1, 2).flatten(2))

    def forward(self, tokens):
        x = self.embed(tokens)
        x = checkpoint(self.block, x, use_reentrant=False) if self.recompute else self.block(x)
        return self.head(x).flatten(0, 1)


class Convolutions(nn.Module):
    """Strided, dilated, transposed and one-dimensional convolutions."""

    def __init__(self, groups=1):
        super().__init__()
        self.down = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=groups)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)
        self.line = nn.Conv1d(4, 6, 3, dilation=2)

    def forward(self, x):
        return self.line(torch.tanh(self.up(self.down(x))).flatten(2)).mean(2)


def recipe_model(name):
    module = recipe(name)
    build = getattr(module, "network", None) or getattr(module, "LeNet5", None) or module.ResNet20
    shape = {"mlp_digits": (1, 8, 8), "lenet_digits": (1, 28, 28), "resnet20_digits": (3, 32, 32)}
    return build(), torch.randn(4, *shape[name]), torch.randint(10, (4,))


def example(name):
    if name in RECIPES:
        return recipe_model(name)
    if name == "convolutions":
        return Convolutions(), torch.randn(2, 4, 8, 8), torch.randint(6, (2,))
    tokens = torch.randint(50, (2, 6))
    return Attention(), tokens, tokens.flatten()


def train_step(model, optimizer, x, y):
    optimizer.zero_grad()
    loss = functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


def captured(model, x, y, runs=2, make=lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)):
    optimizer = make(model.parameters())
    with capture(model, optimizer) as recording:
        for _ in range(runs):
            train_step(model, optimizer, x, y)
    notes = set(recording.trace.origin) - {"compiled"}
    assert notes == {"tool", "torch", "mode"}  # nothing lost, no faults
    return recording.trace


@pytest.mark.parametrize("name", [*RECIPES, "convolutions"])
def test_flops_equal_those_that_torch_counts(name):
    model, x, y = example(name)
    with FlopCounterMode(display=False) as forward:
        loss = functional.cross_entropy(model(x), y)
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    flops = captured(model, x, y, runs=1).flops_by_phase()
    assert flops["forward"] == forward.get_total_flops()
    assert flops["dgrad"] + flops["wgrad"] == backward.get_total_flops()
    assert set(flops) == {"forward", "dgrad", "wgrad"}


def test_weight_gradients_cost_what_the_forward_pass_costs():
    # Every weight GEMM has one wgrad of its size; the first layer has no dgrad.
    flops = captured(*recipe_model("mlp_digits"), runs=1).flops_by_phase()
    assert flops["wgrad"] == flops["forward"]
    assert flops["dgrad"] == flops["forward"] - 2 * 4 * 64 * 128


def test_a_grouped_convolution_costs_its_share():
    whole = captured(Convolutions(1), torch.randn(2, 4, 8, 8), torch.randint(6, (2,)))
    split = captured(Convolutions(4), torch.randn(2, 4, 8, 8), torch.randint(6, (2,)))

    def first(trace, name):
        step = trace.steps[-1]
        return next(op for op in step.ops if op.layer == "down" and name in op.name).gemms[0]

    for name in ("convolution.", "convolution_backward"):
        assert first(whole, name).macs == 4 * first(split, name).macs
        assert first(split, name).batch == 4


def test_attention_flops_follow_the_textbook():
    model, x, y = example("attention")
    flops = captured(model, x, y, runs=1).flops_by_phase()
    tokens, width, pairs = 12, 32, 2 * 4 * 6 * 6 * 8
    linear = 2 * tokens * width * (96 + 32 + 50)
    assert flops["forward"] == linear + 2 * 2 * pairs
    assert flops["wgrad"] == linear
    assert flops["dgrad"] == linear + 5 * 2 * pairs


@pytest.mark.parametrize("name", [*RECIPES, "convolutions", "attention"])
def test_every_backward_gemm_has_a_layer_and_a_role(name):
    model, x, y = example(name)
    trace = captured(model, x, y)
    step = trace.steps[-1]
    backward = [op for op in step.ops if op.gemms and op.forward >= 0]
    assert backward
    layers = {path for path, _ in model.named_modules()}
    for op in backward:
        assert op.layer in layers or name == "attention"
        assert op.layer == step.ops[op.forward].layer
        assert step.ops[op.forward].phase is Phase.FORWARD
        assert {gemm.role for gemm in op.gemms} <= {Role.DGRAD, Role.WGRAD}
        assert op.phase in (Phase.DGRAD, Phase.WGRAD)


def test_a_backward_op_knows_what_it_differentiates():
    step = captured(*recipe_model("resnet20_digits")).steps[-1]
    pairs = {
        (op.name.split(".")[1], step.ops[op.forward].name.split(".")[1])
        for op in step.ops
        if op.forward >= 0 and op.kind is not OpKind.VIEW
    }
    assert pairs >= {
        ("convolution_backward", "convolution"),
        ("native_batch_norm_backward", "native_batch_norm"),
        ("threshold_backward", "relu"),
        ("nll_loss_backward", "nll_loss_forward"),
        ("mm", "addmm"),
    }
    backward = {name for name, _ in pairs if name.endswith("_backward")}
    assert len([pair for pair in pairs if pair[0] in backward]) == len(backward)


@pytest.mark.parametrize("name", [*RECIPES, "attention"])
def test_each_weight_has_its_gradient_written_in_wgrad(name):
    model, x, y = example(name)
    trace = captured(model, x, y)
    step = trace.steps[-1]
    gradients = {i for i, s in enumerate(step.storages) if s.kind is StorageKind.GRADIENT}
    assert len(gradients) >= len(list(model.parameters()))
    for op in step.ops:
        written = {tensor.storage for tensor in op.outputs}
        if op.kind is not OpKind.VIEW and written and written <= gradients:
            assert op.phase is Phase.WGRAD or any(g.role is Role.WGRAD for g in op.gemms)


@pytest.mark.parametrize("name", [*RECIPES, "convolutions", "attention"])
def test_only_what_persists_or_comes_in_is_read_before_it_is_written(name):
    model, x, y = example(name)
    trace = captured(model, x, y)
    step = trace.steps[-1]
    written, first_reads = set(), set()
    for op in step.ops:
        if op.kind is not OpKind.VIEW:
            first_reads |= {tensor.storage for tensor in op.inputs} - written
            written |= {tensor.storage for tensor in op.outputs}
    kinds = {step.storages[index].kind for index in first_reads}
    assert kinds <= {
        StorageKind.PARAMETER, StorageKind.BUFFER, StorageKind.OPTIMIZER_STATE, StorageKind.INPUT,
    }  # fmt: skip
    inputs = [s for s in step.storages if s.kind is StorageKind.INPUT]
    given = {x.untyped_storage().nbytes(), y.untyped_storage().nbytes()}
    assert {s.bytes for s in inputs} == given
    assert {s.name for s in step.storages if s.kind is StorageKind.PARAMETER} == {
        path for path, _ in model.named_parameters()
    }


def test_parameters_are_counted_once_though_tied():
    model, x, y = example("attention")
    assert captured(model, x, y).parameters == sum(p.numel() for p in model.parameters())


def test_traffic_of_known_ops():
    model, x, y = recipe_model("mlp_digits")
    trace = captured(model, x, y)
    steady = trace.steps[-1]
    weight = 64 * 128 * 4
    by_name = {op.name: op for op in steady.ops if op.layer == "1"}
    # SGD with momentum: buf.mul_, buf.add_(grad), param.add_(buf).
    update = [op for op in steady.ops if op.phase is Phase.OPTIMIZER and op.layer == "1"]
    per_weight = [op for op in update if op.write_bytes == weight]
    assert [op.read_bytes for op in per_weight] == [weight, 2 * weight, 2 * weight]
    assert by_name["aten.t.default"].kind is OpKind.VIEW
    assert by_name["aten.t.default"].read_bytes == by_name["aten.t.default"].write_bytes == 0
    linear = by_name["aten.addmm.default"]
    assert linear.read_bytes == 4 * 64 * 4 + weight + 128 * 4
    assert linear.write_bytes == 4 * 128 * 4


def test_writes_without_reads():
    model = nn.Linear(8, 8)
    target = torch.empty(100)
    with capture(model, steps=1) as recording:
        model(torch.randn(2, 8))
        target.zero_()
        target.fill_(1)
        target.copy_(torch.ones(100))
        target.add_(1)
        target.normal_()
        torch.sub(torch.ones(100), 1, out=target)
    ops = {op.name.split(".")[1]: op for op in recording.trace.steps[0].ops}
    sizes = {name: (ops[name].read_bytes, ops[name].write_bytes) for name in ops}
    assert sizes["zero_"] == sizes["fill_"] == sizes["normal_"] == (0, 400)
    assert sizes["copy_"] == sizes["add_"] == sizes["sub"] == (400, 400)
    assert [name for name in ops if ops[name].random] == ["normal_"]


def test_batch_norm_reads_and_writes_its_statistics_only_in_training():
    model = nn.BatchNorm2d(3)
    x = torch.randn(2, 3, 4, 4)
    with capture(model, steps=1) as recording:
        model.train()(x).sum().backward()
    op = next(o for o in recording.trace.steps[0].ops if o.kind is OpKind.NORM)
    statistics = {s.name for s in recording.trace.steps[0].storages if s.kind is StorageKind.BUFFER}
    assert {"running_mean", "running_var"} <= statistics
    assert op.write_bytes == x.numel() * 4 + 4 * 3 * 4


def test_an_embedding_reads_the_rows_that_it_looks_up():
    model = nn.Embedding(1000, 16)
    with capture(model, steps=1) as recording:
        model(torch.tensor([1, 2, 3])).sum().backward()
    op = next(o for o in recording.trace.steps[0].ops if o.name == "aten.embedding.default")
    assert op.read_bytes == 3 * 16 * 4 + 3 * 8


def test_item_is_a_synchronisation_that_all_later_work_waits_for():
    model, x, y = recipe_model("mlp_digits")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture(model, optimizer) as recording:
        train_step(model, optimizer, x, y).item()
    step = recording.trace.steps[0]
    assert step.ops[-1].kind is OpKind.SYNC
    (loss,) = list(dependences(step))[-1]
    assert step.ops[loss].name == "aten.nll_loss_forward.default"


def test_recomputed_work_has_its_own_phase():
    plain = captured(Attention(), *example("attention")[1:]).flops_by_phase()
    again = captured(Attention(recompute=True), *example("attention")[1:]).flops_by_phase()
    head = 2 * 2 * 12 * 32 * 50
    assert again.pop("recompute") == plain["forward"] - head
    assert again == plain


def test_autocast_gives_half_precision_gemms_and_casts_gradients_back():
    model, x, y = recipe_model("mlp_digits")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture(model, optimizer) as recording:
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    step = recording.trace.steps[0]
    gemms = [op for op in step.ops if op.gemms]
    assert {tensor.dtype for op in gemms for tensor in op.inputs} == {"bfloat16"}
    assert [op.phase for op in gemms].count(Phase.WGRAD) == 3
    casts = [op for op in step.ops if op.name.startswith("aten._to_copy") and op.phase == "wgrad"]
    assert len(casts) == 6


@pytest.mark.parametrize("style", [{"foreach": True}, {"fused": True}])
def test_optimizers_that_update_all_parameters_at_once(style):
    model, x, y = recipe_model("mlp_digits")
    trace = captured(model, x, y, make=lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, **style))
    update = [op for op in trace.steps[-1].ops if op.phase is Phase.OPTIMIZER]
    size = sum(p.numel() * 4 for p in model.parameters())
    passes = sum(op.read_bytes + op.write_bytes for op in update) / size
    assert passes == (8 if "foreach" in style else 5)


def test_a_second_network_keeps_its_own_names():
    first, second = nn.Sequential(nn.Linear(4, 4)), nn.Sequential(nn.Linear(4, 2))
    optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.1)
    with capture() as recording:
        second(first(torch.randn(3, 4))).sum().backward()
        optimizer.step()
    layers = {op.layer for op in recording.trace.steps[0].ops if op.gemms}
    assert layers == {"0", "Sequential.0"}
    assert recording.trace.parameters == 20 + 10


def test_a_frozen_layer_has_no_weight_gradient():
    model, x, y = recipe_model("mlp_digits")
    model[3].requires_grad_(False)
    step = captured(model, x, y).steps[-1]
    roles = {
        layer: [op.phase for op in step.ops if op.gemms and op.layer == layer] for layer in "135"
    }
    assert Phase.WGRAD not in roles["3"]
    assert Phase.WGRAD in roles["1"]
    assert Phase.WGRAD in roles["5"]


def test_a_compiled_network_gives_the_trace_of_the_plain_one():
    model, x, y = recipe_model("mlp_digits")
    plain = captured(model, x, y, runs=3)
    with pytest.warns(UserWarning, match="global hooks"):
        compiled = captured(torch.compile(model, backend="eager"), x, y, runs=3)
    assert compiled.digest == plain.digest
    assert "without torch.compile" in compiled.origin["compiled"]
    assert "compiled" not in plain.origin


def test_a_network_compiled_in_place_is_said_to_be():
    model, x, y = recipe_model("mlp_digits")
    model.compile(backend="eager")
    assert "compiled" in captured(model, x, y).origin


def train(capturing):
    torch.manual_seed(3)
    model, x, y = recipe_model("lenet_digits")
    model.dropout = nn.Dropout(0.3)
    model.fc3 = nn.Sequential(model.dropout, model.fc3)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with capture(model, optimizer) if capturing else torch.enable_grad():
        losses = [train_step(model, optimizer, x, y).item() for _ in range(5)]
    return losses, [p.detach().clone() for p in model.parameters()], torch.rand(1)


def test_capture_changes_no_bit_of_the_training():
    losses, weights, draw = train(capturing=False)
    losses2, weights2, draw2 = train(capturing=True)
    assert losses == losses2
    assert all(torch.equal(a, b) for a, b in zip(weights, weights2, strict=True))
    assert torch.equal(draw, draw2)


def test_an_op_that_nobody_knows_is_kept():
    @torch.library.custom_op("trainsoc_test::mystery", mutates_args=())
    def mystery(x: torch.Tensor) -> torch.Tensor:
        return x.flip(0)

    model = nn.Linear(4, 4)
    with capture(model) as recording:
        mystery(model(torch.randn(2, 4))).sum()
    op = next(o for o in recording.trace.steps[0].ops if "mystery" in o.name)
    assert op.kind is OpKind.OTHER
    assert op.read_bytes == op.write_bytes == 32
