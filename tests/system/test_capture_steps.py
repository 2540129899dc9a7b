# ruff: noqa: E402 - without torch nothing here can be imported
"""Steps, epochs and evaluation passes are found by themselves, and each is counted once."""

from contextlib import ExitStack

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from simulator.errors import InputError
from simulator.trace.op import Phase
from simulator.trace.trace import Segment, StepKind
from workloads.capture import capture

pytestmark = pytest.mark.torch
TRAIN, EVAL, OTHER = StepKind.TRAIN, StepKind.EVAL, StepKind.OTHER


def loader(images, batch=4, **options):
    data = TensorDataset(torch.randn(images, 8), torch.randint(3, (images,)))
    return DataLoader(data, batch_size=batch, **options)


class Setup:
    """A small network with its optimizer and loss."""

    def __init__(self):
        self.model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.loss = nn.CrossEntropyLoss()

    def backward(self, x, y):
        loss = self.loss(self.model(x), y)
        loss.backward()
        return loss

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.backward(x, y)
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def evaluate(self, batches):
        self.model.eval()
        for x, y in batches:
            (self.model(x).argmax(1) == y).sum().item()
        self.model.train()


@pytest.fixture
def run():
    return Setup()


def story(trace):
    """Return the run as (epoch, kind, rows of the first GEMM, count) per segment."""
    assert set(trace.origin) <= {"tool", "torch", "mode", "approximated_steps"}
    merged = []
    for s in trace.segments:
        step = trace.steps[s.step]
        rows = next(op.gemms[0].m for op in step.ops if op.gemms)
        entry = (s.epoch, step.kind, rows)
        if merged and merged[-1][0] == entry:
            merged[-1][1] += s.count
        else:
            merged.append([entry, s.count])
    return [(*entry, count) for entry, count in merged]


@pytest.mark.parametrize("given", [True, False])
def test_epochs_of_a_loader_with_a_partial_batch_and_evaluation(run, given):
    train, test = loader(18, shuffle=True), loader(8)
    with capture(*((run.model, run.optimizer) if given else ())) as recording:
        for _ in range(3):
            for x, y in train:
                run.step(x, y)
            run.evaluate(test)
    assert story(recording.trace) == [
        (e, kind, rows, n)
        for e in range(3)
        for kind, rows, n in [(TRAIN, 4, 4), (TRAIN, 2, 1), (EVAL, 4, 2)]
    ]
    # The cold step, the steady one, the partial batch and the evaluation.
    assert len(recording.trace.steps) <= 5
    assert recording.trace.count(TRAIN) == 15
    assert recording.trace.epochs == 3


def test_only_the_first_steps_of_each_kind_are_stored(run):
    batches = loader(80)
    with capture(run.model, run.optimizer) as recording:
        for x, y in batches:
            run.step(x, y)
    trace = recording.trace
    assert trace.segments == (Segment(0, 0, 1), Segment(0, 1, 19))
    cold, steady = trace.steps
    assert any(op.name == "aten.clone.default" for op in cold.ops)
    assert not any(op.name == "aten.clone.default" for op in steady.ops)
    assert sum(op.phase is Phase.DATA for op in steady.ops) > 0


def test_more_recorded_steps_say_the_same():
    def trace(depth):
        torch.manual_seed(0)
        run = Setup()
        with capture(run.model, run.optimizer, steps=depth) as recording:
            for _ in range(2):
                for x, y in batches:
                    run.step(x, y)
        return recording.trace

    batches = loader(22)
    assert trace(2).digest == trace(3).digest == trace(100).digest
    assert len(trace(1).steps) == 3  # the cold one, the steady one, the last of a pass


def test_gradient_accumulation_does_not_end_a_step(run):
    batches = loader(40)
    with capture(run.model, run.optimizer) as recording:
        for _ in range(2):
            for i, (x, y) in enumerate(batches, 1):
                run.backward(x, y)
                if i % 4 == 0 or i == len(batches):
                    run.optimizer.step()
                    run.optimizer.zero_grad()
    trace = recording.trace
    assert "approximated_steps" not in trace.origin
    assert [(e, kind, n) for e, kind, _, n in story(trace)] == [(0, TRAIN, 3), (1, TRAIN, 3)]
    forwards = [
        sum(op.name == "aten.addmm.default" for op in trace.steps[s.step].ops) // 2
        for s in trace.segments
        for _ in range(s.count)
    ]
    assert forwards == [4, 4, 2, 4, 4, 2]


def test_gradients_left_over_at_the_end_of_a_pass_are_a_step_of_their_own(run):
    with capture(run.model, run.optimizer) as recording:
        for i, (x, y) in enumerate(loader(12), 1):
            run.backward(x, y)
            if i == 2:
                run.optimizer.step()
                run.optimizer.zero_grad()
    kinds = [recording.trace.steps[s.step].kind for s in recording.trace.segments]
    assert kinds == [TRAIN, OTHER]


def test_a_loop_without_a_loader(run):
    x, y = torch.randn(12, 8), torch.randint(3, (12,))
    with capture(run.model, run.optimizer) as recording:
        for _ in range(3):
            for i in range(0, 12, 4):
                run.step(x[i : i + 4], y[i : i + 4])
            run.evaluate([(x, y)])
    expected = [entry for e in range(3) for entry in [(e, TRAIN, 4, 3), (e, EVAL, 12, 1)]]
    assert story(recording.trace) == expected


def test_a_step_that_begins_with_an_op_of_its_own_is_recorded_once(run):
    with capture(run.model, run.optimizer) as recording:
        for _ in range(5):
            run.step(torch.randn(4, 8), torch.randint(3, (4,)))
    assert recording.trace.flops_by_phase()["forward"] == 5 * 2 * 4 * (8 * 6 + 6 * 3)
    for step in recording.trace.steps:
        assert sum(op.name == "aten.addmm.default" for op in step.ops) == 2


def test_accumulation_without_a_loader(run):
    x, y = torch.randn(4, 8), torch.randint(3, (4,))
    with capture(run.model, run.optimizer) as recording:
        for _ in range(5):
            run.optimizer.zero_grad()
            run.backward(x, y)
            run.backward(x, y)
            run.optimizer.step()
    assert story(recording.trace) == [(0, TRAIN, 4, 5)]
    assert recording.trace.flops_by_phase()["forward"] == 5 * 2 * 2 * 4 * (8 * 6 + 6 * 3)


def test_evaluation_in_the_middle_of_an_epoch_does_not_begin_another(run):
    train, test = loader(24), loader(8, batch=8)
    with capture() as recording:
        for i, (x, y) in enumerate(train):
            run.step(x, y)
            if i % 3 == 2:
                run.evaluate(test)
    assert story(recording.trace) == [
        (0, TRAIN, 4, 3), (0, EVAL, 8, 1), (0, TRAIN, 4, 3), (0, EVAL, 8, 1),
    ]  # fmt: skip


def test_training_with_the_network_in_eval_mode_is_training(run):
    run.model.eval()
    with capture() as recording:
        for x, y in loader(12):
            run.step(x, y)
    trace = recording.trace
    assert story(trace) == [(0, TRAIN, 4, 3)]
    assert "eval" not in trace.flops_by_phase()


def test_evaluation_is_phase_eval_only(run):
    with capture() as recording:
        run.evaluate(loader(8))
    (step,) = recording.trace.steps
    assert step.kind is EVAL
    assert {op.phase for op in step.ops} == {Phase.EVAL, Phase.DATA}
    assert set(recording.trace.flops_by_phase()) == {"eval"}


def test_two_loaders_side_by_side(run):
    with capture() as recording:
        for (x, y), (x2, _) in zip(loader(12), loader(12), strict=True):
            run.step(x + x2, y)
    assert story(recording.trace) == [(0, TRAIN, 4, 3)]


def test_a_step_with_two_optimizers(run):
    other = torch.optim.SGD(run.model[0].parameters(), lr=0.1)
    with capture() as recording:
        for x, y in loader(16):
            run.step(x, y)
            other.zero_grad()
            run.backward(x, y)
            other.step()
    assert [(kind, n) for _, kind, _, n in story(recording.trace)] == [(TRAIN, 4)]


def test_a_change_of_what_is_trained_is_another_step(run):
    batches = loader(24)
    with capture(run.model, run.optimizer) as recording:
        for x, y in batches:
            run.step(x, y)
        run.model[0].requires_grad_(False)
        for x, y in batches:
            run.step(x, y)
    flops = [recording.trace.steps[s.step] for s in recording.trace.segments]
    wgrads = [sum(op.phase is Phase.WGRAD and bool(op.gemms) for op in s.ops) for s in flops]
    assert wgrads[0] == 2
    assert wgrads[-1] == 1
    assert recording.trace.count(TRAIN) == 12


def test_training_without_any_module():
    weight = torch.zeros(8, 3, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    with capture() as recording:
        for x, y in loader(12):
            optimizer.zero_grad()
            nn.functional.cross_entropy(x @ weight, y).backward()
            optimizer.step()
    trace = recording.trace
    assert trace.count(TRAIN) == 3
    assert trace.flops_by_phase()["wgrad"] == 3 * 2 * 4 * 8 * 3
    assert trace.parameters == 24


def test_workers_load_outside(run):
    with capture() as recording:
        for x, y in loader(12, num_workers=1):
            run.step(x, y)
    assert story(recording.trace) == [(0, TRAIN, 4, 3)]


def test_the_program_may_have_dispatch_modes_of_its_own(run):
    from torch.utils.flop_counter import FlopCounterMode

    with capture() as recording:
        for x, y in loader(24):
            with FlopCounterMode(display=False) as counter:
                run.step(x, y)
            assert counter.get_total_flops() > 0
    assert story(recording.trace) == [(0, TRAIN, 4, 6)]


def test_nothing_stays_behind(run):
    from torch.nn.modules import module
    from torch.utils._python_dispatch import _get_current_dispatch_mode
    from torch.utils.data.dataloader import _BaseDataLoaderIter

    before = _BaseDataLoaderIter.__next__, torch.autograd.backward
    fails = ExitStack()
    fails.callback(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError), capture(), fails:
        run.step(*next(iter(loader(4))))
    assert (_BaseDataLoaderIter.__next__, torch.autograd.backward) == before
    assert _get_current_dispatch_mode() is None
    assert not module._global_forward_hooks
    assert not module._global_forward_pre_hooks


def test_a_failing_block_keeps_the_steps_before(run):
    recording = capture(run.model, run.optimizer)

    def train():
        for i, (x, y) in enumerate(loader(40)):
            run.step(x, y)
            if i == 5:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), recording:
        train()
    assert recording.trace.count(TRAIN) == 6


def test_misuse_is_explained():
    with capture() as recording:
        torch.ones(3).sum()
    with pytest.raises(InputError, match="nothing was captured"):
        recording.save("unused")
    with capture() as recording:
        with pytest.raises(InputError, match="running already"), capture():
            pass
        with pytest.raises(InputError, match="after the capture block"):
            recording.save("unused")
    with pytest.raises(InputError, match="at least 1"):
        capture(steps=0)


@pytest.mark.parametrize(
    "sizes", ["4 4 4 s 2 4 4 4 s 2 4 4 4 s 2", "2 4 s 2 4 s 2 4 s 2 4 s 2", "4 s 4 s 4 s 4 s"]
)
def test_accumulation_without_a_loader_that_leaves_a_rest(run, sizes):
    x, y = torch.randn(4, 8), torch.randint(3, (4,))
    rows = 0
    with capture(run.model, run.optimizer) as recording:
        for token in sizes.split():
            if token == "s":
                run.optimizer.step()
                run.optimizer.zero_grad()
            else:
                rows += int(token)
                run.backward(x[: int(token)], y[: int(token)])
    assert recording.trace.flops_by_phase()["forward"] == rows * 2 * (8 * 6 + 6 * 3)


def test_an_epoch_that_is_broken_off_ends(run):
    batches = loader(20)
    with capture(run.model, run.optimizer) as recording:
        for _ in range(3):
            for i, (x, y) in enumerate(batches):
                if i == 2:
                    break
                run.step(x, y)
    assert recording.trace.epochs == 3
    assert recording.trace.count(TRAIN) == 6
