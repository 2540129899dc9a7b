# ruff: noqa: E402 - without torch nothing here can be imported
"""A long run costs no more per step than a short one, in time, memory and bytes of the file."""

import gc
import tracemalloc

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from simulator.trace.storage import save_trace
from simulator.trace.trace import StepKind
from workloads.capture import capture
from workloads.capture.tape import Tape

pytestmark = pytest.mark.torch
EPOCHS, BATCHES = 30, 100


class Sequence(nn.Module):
    """A linear layer per token, then the mean over the sequence."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        return self.last(functional.relu(self.first(x)).mean(1))


def batches(length):
    """Return a loader of BATCHES batches of two sequences, the last of them half empty."""
    images = 2 * BATCHES - 1
    data = TensorDataset(torch.randn(images, length, 4), torch.randint(3, (images,)))
    return DataLoader(data, batch_size=2)


def train(epochs, epoch_over=lambda: None):
    """Train with longer sequences every third epoch, and all layers from half of the run on."""
    torch.manual_seed(0)
    model = Sequence()
    model.first.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    loaders = batches(5), batches(7)
    for epoch in range(epochs):
        if epoch == epochs // 2:
            model.first.requires_grad_(True)
        for x, y in loaders[epoch % 3 == 2]:
            optimizer.zero_grad()
            # A module made anew at every step, as scripts do.
            nn.NLLLoss()(nn.LogSoftmax(dim=1)(model(x)), y).backward()
            optimizer.step()
        epoch_over()


def macs(length, rows, both):
    """Return forward MACs and weight gradients' of a batch of `rows` sequences."""
    first, last = rows * length * 4 * 6, rows * 6 * 3
    return first + last, last + (first if both else 0)


@pytest.fixture(scope="module")
def long_run():
    with capture() as recording:
        train(EPOCHS)
    return recording.trace


def test_every_step_is_counted_under_its_kind(long_run):
    assert set(long_run.origin) == {"tool", "torch", "mode", "looked_at"}
    looked = int(long_run.origin["looked_at"].split()[0])
    assert EPOCHS * BATCHES / 8 < looked < EPOCHS * BATCHES / 2
    assert long_run.count(StepKind.TRAIN) == EPOCHS * BATCHES
    assert long_run.epochs == EPOCHS
    forward = wgrad = 0
    for epoch in range(EPOCHS):
        for rows, count in ((2, BATCHES - 1), (1, 1)):
            given = macs(7 if epoch % 3 == 2 else 5, rows, epoch >= EPOCHS // 2)
            forward += 2 * given[0] * count
            wgrad += 2 * given[1] * count
    flops = long_run.flops_by_phase()
    assert (flops["forward"], flops["wgrad"]) == (forward, wgrad)
    # Two lengths, full or partial, before and after: eight kinds; a cold one for the first and
    # for the first after the change, and one without its loading each time that one surprises.
    assert 8 <= len(long_run.steps) <= 14


def test_the_file_does_not_grow_with_the_run(long_run, tmp_path):
    with capture() as recording:
        train(6)
    short = recording.trace
    assert short.count(StepKind.TRAIN) == 6 * BATCHES
    save_trace(long_run, tmp_path / "long.trace")
    save_trace(short, tmp_path / "short.trace")
    sizes = [(tmp_path / f"{name}.trace").stat().st_size for name in ("long", "short")]
    more = long_run.count(StepKind.TRAIN) - short.count(StepKind.TRAIN)
    assert sizes[0] - sizes[1] < 2 * more


@pytest.mark.slow
def test_memory_and_work_do_not_grow_with_the_run(monkeypatch):
    held, logged, ops = [], [], []
    original = Tape.append
    monkeypatch.setattr(Tape, "append", lambda *a: ops.append(1) or original(*a))

    def look():
        logged.append(len(ops))
        ops.clear()
        gc.collect()
        if len(logged) == 11:  # of 18; to trace memory takes long
            tracemalloc.start()
        held.append(tracemalloc.get_traced_memory()[0])

    try:
        with capture():
            train(18, look)
    finally:
        tracemalloc.stop()
    last = 4  # epochs in which every kind has been seen as often as it will be
    assert held[-1] - held[-1 - last] < 64 * last * BATCHES
    assert max(logged[-last + 1 :]) < max(logged) / 3  # two steps of eight, and a change of data
