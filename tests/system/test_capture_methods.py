# ruff: noqa: E402 - without torch nothing here can be imported
"""Training that says in which bits it trains: a capture keeps it, step by step."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from simulator.trace.op import Role
from simulator.trace.passes.overlay import resolved
from simulator.trace.passes.treatment import AS_TRACED, Treatment
from workloads.capture import capture, note, treat

pytestmark = pytest.mark.torch
SIX, SEVEN = (Treatment(bits, bits, bits) for bits in (6, 7))


def train(changes, steps=10, network=None):
    torch.manual_seed(0)
    model = network or nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture(model, optimizer) as recording:
        for step in range(steps):
            if step in changes:
                treat(model[0], changes[step], "rct")
            optimizer.zero_grad()
            model(torch.rand(4, 8)).square().mean().backward()
            optimizer.step()
    return recording.trace


def test_without_a_word_training_is_as_traced():
    assert train({}).methods == (AS_TRACED,)


def test_a_change_of_bits_is_another_method_and_no_other_step():
    trace = train({4: SIX, 7: SEVEN})
    assert [method.of("0") for method in trace.methods] == [Treatment(), SIX, SEVEN]
    assert [method.of("2") for method in trace.methods] == [Treatment()] * 3
    counts = [0, 0, 0]
    for segment in trace.segments:
        counts[segment.method] += segment.count
    assert counts == [4, 3, 3]
    assert len(trace.steps) == len(train({}).steps)


def test_figures_of_the_training_go_with_its_trace():
    model, x = nn.Linear(4, 2), torch.rand(3, 4)
    note("accuracy", 0.1)  # nobody listens
    with capture(model) as recording:
        for accuracy in (0.5, 0.75):
            model(x).sum().backward()
            note("accuracy", accuracy)
    assert recording.trace.origin["accuracy"] == "0.5 0.75"


class Quantised(nn.Linear):
    """A linear layer that rounds its weights and inputs to eight bits in training."""

    def forward(self, x):
        def rounded(t):
            return torch.fake_quantize_per_tensor_affine(t, 0.01, 0, -128, 127)

        return nn.functional.linear(rounded(x), rounded(self.weight), self.bias)


def test_what_training_rounds_itself_is_an_integer_for_the_array():
    eight = Treatment(8, 8, 8, master=True)
    network = nn.Sequential(Quantised(8, 8), nn.ReLU(), nn.Linear(8, 4))
    whole = resolved(train({0: eight}, network=network))
    step = whole.steps[whole.typical_step]
    (op,) = (op for op in step.ops if op.layer == "0" and any(_is_forward(g) for g in op.gemms))
    (gemm,) = op.gemms
    assert gemm.precision == "int8"
    assert [op.inputs[which].dtype for which in (gemm.a, gemm.b)] == ["int8", "int8"]
    weight = next(s for s in step.storages if s.name == "0.weight")
    assert weight.bytes == 4 * 8 * 8  # the master copy


def _is_forward(gemm):
    return gemm.role is Role.FORWARD
