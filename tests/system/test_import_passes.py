# ruff: noqa: E402 - without torch nothing here can be imported
"""Networks that run several times: as passes, for one step, on batches in a fixed place."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from simulator.trace.trace import StepKind, StorageKind
from tests.system.import_runs import (
    CLASSES,
    FEATURES,
    HIDDEN,
    INNER,
    OUTER,
    ROWS,
    TOOLS,
    Run,
    kinds,
    observe,
    profiled,
)

pytestmark = pytest.mark.torch

LADDER = FEATURES * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES  # parameters


# Batches in a fixed place


def test_a_batch_that_is_copied_into_a_fixed_place_is_no_parameter(tmp_path):
    run = Run()
    place = torch.zeros(ROWS, FEATURES)

    def program():
        for _ in range(2):
            place.copy_(torch.randn(ROWS, FEATURES))
            run.optimizer.zero_grad()
            run.model(place).sum().backward()
            run.optimizer.step()

    program()
    trace = observe(tmp_path / "t.json", program)
    assert trace.flops_by_phase() == {
        "forward": 2 * (INNER + OUTER),
        "dgrad": 2 * OUTER,
        "wgrad": 2 * (INNER + OUTER),
    }
    assert trace.parameters == LADDER


# Passes: a network that runs again and again


def inference(layers, rows=ROWS, features=FEATURES):
    network, x = nn.Sequential(*layers).eval(), torch.randn(rows, features)
    return lambda: torch.no_grad()(network)(x)


def ladder():
    return inference([nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES)])


def repeated(once, times, before=lambda: None, after=lambda: None):
    def program():
        before()
        for _ in range(times):
            once()
        after()

    return program


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda: None, lambda: None),
        (lambda: torch.randn(3), lambda: None),
        (lambda: None, lambda: torch.randn(3).sum()),
    ],
)
@TOOLS
def test_each_run_of_a_network_is_a_pass(tool, before, after, tmp_path):
    trace = tool(tmp_path / "t.json", repeated(ladder(), 6, before, after))
    assert trace.count(StepKind.EVAL) == 6
    assert trace.flops_by_phase() == {"eval": 6 * (INNER + OUTER)}
    if tool is profiled:
        assert trace.parameters == LADDER
        for step in trace.steps:
            held = [s.bytes for s in step.storages if s.kind is StorageKind.PARAMETER]
            assert sum(held) == 4 * LADDER


def test_a_first_pass_of_another_size_is_one_more(tmp_path):
    small, ran = ladder(), inference([nn.Linear(FEATURES, HIDDEN)], rows=2)
    trace = profiled(tmp_path / "t.json", repeated(small, 5, before=ran))
    assert kinds(trace) == [(StepKind.EVAL, 1), (StepKind.EVAL, 5)]


def test_layers_that_are_alike_are_no_passes(tmp_path):
    alike = [nn.Linear(HIDDEN, HIDDEN) for _ in range(4)]
    run = inference(alike, features=HIDDEN)
    trace = profiled(tmp_path / "t.json", run)
    assert kinds(trace) == [(StepKind.EVAL, 1)]
    assert trace.parameters == 4 * (HIDDEN * HIDDEN + HIDDEN)
    inside = inference([nn.Linear(FEATURES, HIDDEN), *alike, nn.Linear(HIDDEN, CLASSES)])
    trace = profiled(tmp_path / "t.json", repeated(inside, 3))
    assert kinds(trace) == [(StepKind.EVAL, 3)]
    assert trace.parameters == LADDER + 4 * (HIDDEN * HIDDEN + HIDDEN)


@TOOLS
def test_gradients_of_several_batches_are_of_the_same_parameters(tool, tmp_path):
    run = Run()

    def program():
        for _ in range(2):
            for _ in range(3):
                run.model(torch.randn(ROWS, FEATURES)).sum().backward()
            run.optimizer.step()
            run.optimizer.zero_grad()

    program()
    trace = tool(tmp_path / "t.json", program)
    assert sum(count for _, count in kinds(trace)) == 2
    assert trace.parameters == LADDER
    for step in trace.steps:
        held = [s.bytes for s in step.storages if s.kind is StorageKind.PARAMETER]
        assert sum(held) == 4 * LADDER
    assert trace.flops_by_phase()["forward"] == 6 * (INNER + OUTER)
