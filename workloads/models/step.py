"""Captures one training step of a model from shapes alone: it takes no memory and no arithmetic."""

from functools import partial

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from simulator.errors import InputError
from simulator.trace.trace import Trace
from workloads.capture import capture
from workloads.models.model import Model


def capture_step(model: Model, batch: int | None = None) -> Trace:
    """Return the trace of a typical training step on `batch` samples, or on the model's own number.

    The step is zero_grad, forward, loss, backward and SGD with momentum, on a CPU, in fp32, and
    not the first one, which would create the optimizer's state. Fake tensors, which have shapes
    and no contents, stand for all others, so a network of any size is captured in seconds; the
    trace is that of a real run. Raises InputError if the batch is less than one sample.
    """
    size = model.batch if batch is None else batch
    if size < 1:
        raise InputError(f"model {model.name} needs a batch of at least 1 sample, not {size}")
    with FakeTensorMode():
        network = model.build()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        train = partial(_train, network, model.loss(), optimizer, *model.samples(size))
        train()
        with capture(network, optimizer, steps=1, name=model.name) as recording:
            train()
    return recording.trace


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
