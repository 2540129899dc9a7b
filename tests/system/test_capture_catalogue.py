# ruff: noqa: E402 - without torch nothing here can be imported
"""Capture counts what PyTorch's own counter counts, for all that it trains with, and harms none."""

from collections import Counter
from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from simulator.trace.op import OpKind, Phase, Role
from simulator.trace.trace import StepKind, phase_of
from tests.catalogue import CATALOGUE, IMAGES, TOKENS, setup
from tests.catalogue.networks import Recomputed
from workloads.capture import capture

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:Using `torch.compile"),
]
STEPS = 2


def _vectors(a, *_, **__):
    """Two FLOPs per element: the counter itself knows no product of two vectors."""
    return 2 * a[0]


class Parts:
    """Counts the FLOPs of each part of a run on its own, what runs inside another not twice."""

    def __init__(self):
        self.flops = Counter()
        self._inner = [0]

    @contextmanager
    def __call__(self, word):
        self._inner.append(0)
        vectors = {torch.ops.aten.dot: _vectors}
        with FlopCounterMode(display=False, custom_mapping=vectors) as counter:
            yield
        total = counter.get_total_flops()
        self.flops[word] += total - self._inner.pop()
        self._inner[-1] += total


def counted(name, prepare=None):
    """Return the FLOPs of each part of STEPS steps as PyTorch counts them."""
    run, parts = setup(name), Parts()
    if prepare is not None:
        prepare(run)
    run.train(STEPS, parts)
    return parts.flops


def without_weight_gradients(run):
    """Freeze what enters a GEMM; biases and norms stay, so data gradients go as far as before."""
    for model in run.models:
        for module in model.modules():
            for parameter in module.parameters(recurse=False):
                tables = isinstance(module, nn.Embedding | nn.EmbeddingBag)
                parameter.requires_grad_(
                    parameter.requires_grad and (parameter.dim() < 2 or tables)
                )


def remember(run):
    """Let checkpointed blocks keep what they compute."""
    for module in run.model.modules():
        if isinstance(module, Recomputed):
            module.again = False


# What the counter leaves out or counts too often, per step, from the sizes of the networks.


def _fused_attention(again=0, pairs=TOKENS * TOKENS):
    product = 2 * (IMAGES * 4) * pairs * 4  # images x heads, queries and keys, width
    # QK' and PV; backward QK' again, dO V', P' dO, dS K and dS' Q.
    return {"forward": 2 * product, "recompute": again * 2 * product, "dgrad": 5 * product}


def _lstm(layers=2, width=16):
    product = layers * 2 * (IMAGES * TOKENS) * (4 * width) * width
    # One product for the input and one for the state of each layer, and both gradients of each.
    return dict.fromkeys(("forward", "dgrad", "wgrad"), 2 * product)


def _grouped(*layers):
    """Take back (groups - 1) weight gradients of each (weights, groups, positions)."""
    return {"wgrad": -sum(2 * n * (g - 1) * positions for n, g, positions in layers)}


def _evaluated(width=16, hidden=32):
    linear = IMAGES * TOKENS * width * (4 * width + 2 * hidden)
    attention = 2 * (IMAGES * 4) * TOKENS * TOKENS * (width // 4)
    return {"eval": 2 * (linear + attention)}


MISSED = {
    **dict.fromkeys(
        ["attention", "masked attention", "grouped-query attention", "multihead attention"],
        _fused_attention(),
    ),
    **dict.fromkeys(
        ["causal attention", "gpt"], _fused_attention(pairs=TOKENS * (TOKENS + 1) // 2)
    ),
    "checkpoint": _fused_attention(again=1),
    "lstm": _lstm(),
    "encoder with evaluation": _evaluated(),
    # Two groups of 4 channels, then eight of one; images x places of the result.
    "convolutions 1d": _grouped((8 * 4 * 3, 2, 4 * 6), (8 * 3, 8, 4 * 6)),
    "convolutions 2d": _grouped((8 * 4 * 9, 2, 4 * 9), (8 * 9, 8, 4 * 9)),
    "convolutions 3d": _grouped((8 * 4 * 27, 2, 4 * 27), (8 * 27, 8, 4 * 27)),
    # Transposed: the places of what goes in.
    "transposed 1d": _grouped((8 * 4 * 3, 2, 4 * 11), (8 * 3, 8, 4 * 11)),
    "transposed 2d": _grouped((8 * 4 * 9, 2, 4 * 121), (8 * 9, 8, 4 * 121)),
    "transposed 3d": _grouped((8 * 4 * 27, 2, 4 * 125), (8 * 27, 8, 4 * 125)),
}  # fmt: skip


def expected(name):
    """Return the FLOPs by phase: every part counted alone, gradients told apart by freezing."""
    whole, kept = counted(name), counted(name, remember)
    data = counted(name, lambda run: (remember(run), without_weight_gradients(run)))
    flops = {
        "forward": whole["forward"],
        "recompute": whole["backward"] - kept["backward"],
        "dgrad": data["backward"],
        "wgrad": kept["backward"] - data["backward"],
        "optimizer": whole["optimizer"],
        "eval": whole["eval"],
    }
    for part, missed in MISSED.get(name, {}).items():
        flops[part] += missed * (1 if part == "eval" else STEPS)
    return {part: count for part, count in flops.items() if count}


ROLES = {
    Phase.FORWARD: Role.FORWARD,
    Phase.RECOMPUTE: Role.FORWARD,
    Phase.EVAL: Role.FORWARD,
    Phase.DGRAD: Role.DGRAD,
    Phase.WGRAD: Role.WGRAD,
    Phase.OPTIMIZER: Role.OTHER,
}


def captured(name, steps=STEPS):
    run = setup(name)
    with capture() as recording:
        run.train(steps)
    assert set(recording.trace.origin) <= {"tool", "torch", "mode", "compiled"}
    return recording.trace


@pytest.mark.parametrize("name", CATALOGUE)
def test_flops_of_every_phase_and_role(name):
    trace = captured(name)
    found = Counter()
    for segment in trace.segments:
        for op in trace.steps[segment.step].ops:
            for gemm in op.gemms:
                phase = phase_of(op, gemm.role)
                assert gemm.role is ROLES[phase]
                found[phase.value] += 2 * gemm.macs * segment.count
    assert dict(found) == expected(name)


def test_a_layer_that_gets_its_shape_in_the_first_step():
    torch.manual_seed(0)
    model = nn.Sequential(nn.LazyConv2d(8, 3), nn.Flatten(), nn.LazyLinear(16), nn.LazyLinear(5))
    x = torch.randn(IMAGES, 3, 6, 6)
    with capture() as recording:
        model(x).sum().backward()
    forward = {1: IMAGES * 16 * 27 * 8, 2: IMAGES * 128 * 16, 3: IMAGES * 16 * 5}
    flops = recording.trace.flops_by_phase()
    assert flops["forward"] == flops["wgrad"] == 2 * sum(forward.values())
    assert flops["dgrad"] == 2 * (forward[2] + forward[3])


def test_two_optimizers_share_a_step():
    trace = captured("muon", 5)
    assert trace.count(StepKind.TRAIN) == 5
    assert len(trace.steps) == 2


def test_the_counter_is_right_for_most_of_the_catalogue():
    assert len(CATALOGUE) - len(MISSED) >= 25


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "name", [name for name in CATALOGUE if name not in ("gan", "lbfgs", "schedule")]
)
def test_evaluation_does_the_products_of_the_forward_pass(name, mode):
    forward = captured(name).flops_by_phase()["forward"] // STEPS
    run = setup(name)
    run.model.eval()
    with capture() as recording, mode():
        run.model(run.x)
    (step,) = recording.trace.steps
    assert step.kind is StepKind.EVAL
    assert recording.trace.flops_by_phase() == {"eval": forward}


# What capture leaves behind


def after(name, capturing):
    """Return losses, weights, and what the generator gives next, after some training."""
    run = setup(name)
    if capturing:
        with capture():
            losses = run.train(3)
    else:
        losses = run.train(3)
    state = [t.clone() for model in run.models for t in model.state_dict().values()]
    return losses, state, torch.get_rng_state()


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_bit_of_the_training_changes(name):
    losses, state, generator = after(name, capturing=False)
    captured_losses, captured_state, captured_generator = after(name, capturing=True)
    assert losses == captured_losses
    assert all(torch.equal(a, b) for a, b in zip(state, captured_state, strict=True))
    assert torch.equal(generator, captured_generator)
    assert len(set(losses)) > 1  # it trains at all


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_op_is_of_a_known_kind(name):
    for step in captured(name).steps:
        assert [op.name for op in step.ops if op.kind is OpKind.OTHER] == []
