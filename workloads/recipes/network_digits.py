"""Trains a network of a family on the digits, as its captured step does: SGD with momentum."""

from collections.abc import Iterator

import torch
from torch import nn

from simulator.errors import InputError
from workloads.models import Model, model_of
from workloads.recipes.digits import EpochReport, digits, loaders
from workloads.recipes.loop import evaluate, train_epoch

_EPOCHS = 8
_RATE = 0.02  # a choice
_SIZE = 8


def train_network(
    name: str, batch: int | None = None, epochs: int = _EPOCHS
) -> Iterator[EpochReport]:
    """Yield a report after each epoch of training a model for 8 x 8 digits.

    The seed is 0 and one core computes, so that the same network is as accurate each time; nothing
    else may draw from torch until the iterator ends or is closed. Raises InputError for a model of
    other images.
    """
    model = model_of(name)
    if model.shape != (1, _SIZE, _SIZE) or model.classes != 10:
        raise InputError(f"model {name}: the digits have one channel of 8 x 8 pixels: cnn_digits")
    return _trained_alone(model, batch or model.batch, epochs)


def start_weights(network: nn.Module) -> None:
    """Draw weights as He et al. (ICCV 2015) do for ReLU: of PyTorch's, six layers learn nothing."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _trained_alone(model: Model, batch: int, epochs: int) -> Iterator[EpochReport]:
    """Train with one core and a generator of random numbers of its own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield from _train(model.build(), model.loss(), batch, epochs)
    finally:
        torch.set_num_threads(threads)


def _train(
    network: nn.Module, loss_of: nn.Module, batch: int, epochs: int
) -> Iterator[EpochReport]:
    start_weights(network)
    batches, tests = loaders(*digits(_SIZE), batch)
    optimizer = torch.optim.SGD(network.parameters(), lr=_RATE, momentum=0.9)
    for epoch in range(1, epochs + 1):
        loss = train_epoch(network, batches, loss_of, optimizer)
        yield EpochReport(epoch, loss, evaluate(network, tests))
