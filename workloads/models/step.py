"""Captures one training step of a model from shapes alone, without memory or arithmetic."""

from functools import partial

import torch
from torch import nn

from simulator.errors import InputError
from simulator.trace.trace import Segment, Trace
from workloads.capture import capture
from workloads.models.model import Model


def capture_step(model: Model, batch: int | None = None, *, evaluate: bool = False) -> Trace:
    """Return the trace of a typical training step on `batch` samples, by default the model's own
    number; with `evaluate` that of an evaluation, the forward pass alone.

    The step is zero_grad, forward, loss, backward and SGD with momentum, on a CPU, in fp32, and not
    the first one, which creates the optimizer's state. Network and samples have shapes but no
    contents, so a network of any size takes seconds; the trace is that of a real run. Raises
    InputError if the batch is less than one sample.
    """
    size = model.batch if batch is None else batch
    if size < 1:
        raise InputError(f"model {model.name} needs a batch of at least 1 sample, not {size}")
    with torch.device("meta"):
        network, samples = model.build(), model.samples(size)
    if evaluate:
        return capture(network, inputs=samples[0], name=model.name, fake=True).trace
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    train = partial(_train, network, model.loss(), optimizer, *samples)
    with capture(network, optimizer, steps=2, name=model.name, fake=True) as recording:
        train()
        train()
    return _last(recording.trace)


def _last(trace: Trace) -> Trace:
    """Return the trace of only the run's last step."""
    step = trace.steps[trace.segments[-1].step]
    return Trace(trace.name, (step,), (Segment(0, 0, 1),), trace.origin)


def _train(
    network: nn.Module,
    loss_of: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: torch.Tensor,
    labels: torch.Tensor,
) -> None:
    optimizer.zero_grad()
    loss_of(network(inputs), labels).backward()
    optimizer.step()
