"""The training loop and the command line that the recipes share."""

import argparse
from collections.abc import Callable, Iterable

import torch
from torch import nn

from workloads.recipes.digits import EpochReport

Batches = Iterable[tuple[torch.Tensor, ...]]


def train_epoch(
    model: nn.Module, batches: Batches, loss_of: nn.Module, optimizer: torch.optim.Optimizer
) -> float:
    """Train on every batch once and return the mean loss."""
    model.train()
    total, count = 0.0, 0
    for images, labels in batches:
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
        count += len(labels)
    return total / count


@torch.no_grad()
def evaluate(model: nn.Module, batches: Batches) -> float:
    """Return the fraction of images that the model classifies correctly."""
    model.eval()
    correct, count = 0, 0
    for images, labels in batches:
        correct += int((model(images).argmax(dim=1) == labels).sum())
        count += len(labels)
    return correct / count


def main(
    train: Callable[..., list[EpochReport]], about: str, *, epochs: int, batch_size: int
) -> None:
    """Read the options of a recipe from the command line and train."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--epochs", type=int, default=epochs, help="passes over the training set")
    parser.add_argument("--batch-size", type=int, default=batch_size, help="images per step")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and image order")
    parser.add_argument("--limit", type=int, help="use only this many images of each set")
    options = parser.parse_args()
    train(options.epochs, options.batch_size, options.seed, options.limit)
