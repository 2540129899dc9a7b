"""Trains plain and under capture, and holds that both give one result and the right account."""

from collections import Counter

import torch

from tests.scripts.runs import account
from workloads.capture import capture


def sgd(model):
    """Return the optimizer that the smallest trainings use."""
    return torch.optim.SGD(model.parameters(), lr=0.1)


def learn(optimizer, loss):
    """Train one step and return the loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def check(train, evals=0, epochs=1):
    """Run `train` twice: a generator that yields the loss of every step and returns its FLOPs."""
    losses, flops = collect(train())
    with capture() as recording:
        captured_losses, _ = collect(train())
    found = account(recording.trace)
    assert captured_losses == losses
    assert (found.train, found.evals, found.epochs) == (len(losses), evals, epochs)
    assert found.wrong == {}
    assert found.flops == +flops


def collect(training):
    """Return what a generator yields, and what it returns."""
    torch.manual_seed(0)
    losses = []
    while True:
        try:
            losses.append(next(training))
        except StopIteration as end:
            return losses, Counter(end.value)
