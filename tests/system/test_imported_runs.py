# ruff: noqa: E402 - without torch nothing here can be imported
"""Runs that PyTorch's own tools recorded: where their steps begin, what is computed again."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop
from torch.utils.data import DataLoader, TensorDataset

from simulator.trace.op import OpKind, Phase
from simulator.trace.trace import StepKind
from tests.system.import_runs import (
    CLASSES,
    FEATURES,
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


# Steps


def test_steps_begin_where_gradients_are_zeroed(tmp_path):
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(5, 6), torch.randint(3, (5,))

    def program():
        for _ in range(3):
            optimizer.zero_grad(set_to_none=False)
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    program()
    trace = observe(tmp_path / "t.json", program)
    assert sum(segment.count for segment in trace.segments) == 3
    for step in trace.steps:
        phases = [op.phase for op in step.ops if op.kind is not OpKind.VIEW]
        assert phases[:2] == [Phase.ZERO_GRAD] * 2
        assert phases.count(Phase.ZERO_GRAD) == 2


@pytest.mark.parametrize("zero", ["first", "middle", "last"])
@pytest.mark.parametrize("grad", [False, True])
@TOOLS
def test_evaluation_between_epochs_is_no_part_of_a_step(tool, grad, zero, tmp_path):
    run = Run()

    def program():
        for _ in range(2):
            for _ in range(3):
                run.step(zero)
            run.evaluate(grad)

    trace = tool(tmp_path / "t.json", program)
    found = [kind for kind, count in kinds(trace) for _ in range(count)]
    assert found == ([StepKind.TRAIN] * 3 + [StepKind.EVAL]) * 2
    if zero == "first":
        assert len(trace.steps) == 2  # the mark tells what of the evaluation is no training
    assert trace.flops_by_phase() == {
        "forward": 6 * (INNER + OUTER),
        "eval": 2 * (INNER + OUTER),
        "dgrad": 6 * OUTER,
        "wgrad": 6 * (INNER + OUTER),
    }


@TOOLS
def test_evaluation_after_every_step_is_no_part_of_the_next(tool, tmp_path):
    run = Run()

    def program():
        for _ in range(4):
            run.step()
            run.evaluate()

    found = kinds(tool(tmp_path / "t.json", program))
    assert found == [(StepKind.TRAIN, 1), (StepKind.EVAL, 1)] * 4


@TOOLS
def test_the_closure_that_an_optimizer_calls_is_the_network(tool, tmp_path):
    run = Run()
    optimizer = torch.optim.LBFGS(run.model.parameters(), max_iter=1)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(run.model(run.x), run.y)
        loss.backward()
        return loss

    trace = tool(tmp_path / "t.json", lambda: optimizer.step(closure))
    flops = trace.flops_by_phase()
    assert flops.pop("optimizer") > 0  # scalar products of its own
    assert flops == {"forward": INNER + OUTER, "dgrad": OUTER, "wgrad": INNER + OUTER}


@pytest.mark.parametrize("count", [1, 3])
@TOOLS
def test_loaders_tell_evaluation_from_training(tool, count, tmp_path):
    run = Run()
    data = TensorDataset(run.x.repeat(count, 1), run.y.repeat(count))
    batches = DataLoader(data, ROWS)

    def program():
        for _ in range(2):
            with torch.no_grad():
                for x, _ in batches:
                    run.model(x)
            for run.x, run.y in batches:
                run.step()

    trace = tool(tmp_path / "t.json", program)
    found = [kind for kind, count in kinds(trace) for _ in range(count)]
    assert found == ([StepKind.EVAL] * count + [StepKind.TRAIN] * count) * 2


@TOOLS
def test_evaluation_before_the_first_step_is_no_part_of_it(tool, tmp_path):
    run = Run()

    def program():
        run.evaluate()
        for _ in range(3):
            run.step()

    assert kinds(tool(tmp_path / "t.json", program)) == [(StepKind.EVAL, 1), (StepKind.TRAIN, 3)]


@TOOLS
def test_a_teacher_is_part_of_every_step(tool, tmp_path):
    run = Run()
    teacher = nn.Linear(FEATURES, CLASSES)

    def program():
        for _ in range(3):
            run.step(teacher=teacher)

    trace = tool(tmp_path / "t.json", program)
    assert kinds(trace) == [(StepKind.TRAIN, 3)]
    taught = 2 * ROWS * FEATURES * CLASSES
    assert trace.flops_by_phase()["forward"] == 3 * (INNER + OUTER + taught)


@TOOLS
def test_a_step_holds_all_of_its_first_layer(tool, tmp_path):
    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(7, 4), nn.Linear(4, 3)

        def forward(self, words):
            return self.head(self.table(words).mean(1))

    model = Language()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    words, y = torch.randint(7, (5, 2)), torch.randint(3, (5,))

    def program():
        for _ in range(2):
            nn.functional.cross_entropy(model(words), y).backward()
            optimizer.step()
            for parameter in model.parameters():
                parameter.grad = None

    program()
    trace = tool(tmp_path / "t.json", program)
    for step in trace.steps:
        assert next(op for op in step.ops if op.kind is not OpKind.VIEW).base_name == "embedding"


def test_inference_is_evaluation(tmp_path):
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).eval()

    @torch.no_grad()
    def program():
        model(torch.randn(5, 6))

    trace = observe(tmp_path / "t.json", program)
    assert [step.kind for step in trace.steps] == [StepKind.EVAL]
    assert trace.flops_by_phase() == {"eval": 2 * 5 * (6 * 4 + 4 * 3)}


# Roles


def test_a_product_as_wide_as_the_batch_tells_its_role_by_the_transposed_operand(tmp_path):
    model = nn.Linear(FEATURES, ROWS)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        model(torch.randn(ROWS, FEATURES)).tanh().mean().backward()
        optimizer.step()

    flops = 2 * ROWS * FEATURES * ROWS
    trace = profiled(tmp_path / "t.json", program)
    assert trace.flops_by_phase() == {"forward": flops, "wgrad": flops}


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_a_profile_has_the_sizes_of_convolved_and_pooled_images(ceil_mode, tmp_path):
    pool = nn.MaxPool2d(3, 2, padding=1, ceil_mode=ceil_mode)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), pool, nn.Flatten())
    images = torch.randn(2, 1, 12, 14)
    trace = profiled(tmp_path / "t.json", lambda: model(images).sum().backward())
    (step,) = trace.steps
    shapes = {op.base_name: op.outputs[0].shape for op in step.ops if op.phase is Phase.FORWARD}
    convolved = model[0](images)
    assert shapes["convolution"] == tuple(convolved.shape)
    assert shapes["max_pool2d_with_indices"] == tuple(pool(convolved).shape)


@TOOLS
def test_a_product_under_autocast_is_of_the_type_that_it_was_cast_to(tool, tmp_path):
    a, b = torch.randn(4, 6), torch.randn(6, 3)

    def program():
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            torch.mm(a, b)

    (step,) = tool(tmp_path / "t.json", program).steps
    (product,) = [op for op in step.ops if op.gemms]
    assert [tensor.dtype for tensor in product.inputs] == ["bfloat16"] * 2


# Checkpoints


@pytest.mark.parametrize("early", [False, True])
@TOOLS
def test_checkpointed_layers_are_computed_again(tool, early, tmp_path):
    run = Run()

    def network(x):
        with set_checkpoint_early_stop(early):
            hidden = checkpoint(lambda x: torch.tanh(run.first(x)), x, use_reentrant=False)
            return checkpoint(lambda x: torch.tanh(run.second(x)), hidden, use_reentrant=False)

    def program():
        for _ in range(3):
            run.step("last", network=network)

    trace = tool(tmp_path / "t.json", program)
    assert sum(segment.count for segment in trace.segments) == 3
    assert {step.kind for step in trace.steps} == {StepKind.TRAIN}
    assert trace.flops_by_phase() == {
        "forward": 3 * (INNER + OUTER),
        "recompute": 3 * (INNER + OUTER),
        "dgrad": 3 * OUTER,
        "wgrad": 3 * (INNER + OUTER),
    }
    assert ("never ended" in trace.origin["inferred"]) == (early and tool is observe)


# Numbers


def test_results_of_one_element_are_no_numbers_of_the_program(tmp_path):
    run = Run()
    mask = torch.tensor([1, 1, 0, 1, 0])

    def program():
        for _ in range(2):
            run.optimizer.zero_grad()
            loss = (run.model(run.x).sum(1) * mask).sum() / mask.sum() * 2
            loss.backward()
            run.optimizer.step()

    # The file names storages by address: where one is used again by chance, steps differ in it.
    traces = (observe(tmp_path / "t.json", program) for _ in range(4))
    trace = next(trace for trace in traces if len(trace.steps) == 1)
    (step,) = trace.steps
    counts = [op for op in step.ops if op.base_name == "sum" and op.outputs[0].dtype == "int64"]
    divisions = [op for op in step.ops if op.base_name == "div"]
    assert len(divisions) == 2  # forward and backward
    for division in divisions:
        assert [tensor.storage for tensor in division.inputs[1:]] == [counts[0].outputs[0].storage]
    doubled = next(op for op in step.ops if op.base_name == "mul" and op.inputs[0].shape == ())
    assert len(doubled.inputs) == 1
    assert "taken for numbers" in trace.origin["inferred"]
