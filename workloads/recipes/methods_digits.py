"""Digits by a training method: python -m workloads.recipes.methods_digits --method rct.

Methods: see `workloads.recipes.methods`. The networks are those of the recipes lenet_digits and
resnet20_digits. A capture records the test accuracy after each epoch, and how layers are treated.
"""

import argparse
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import LinearLR
from torch.utils.data import TensorDataset

from workloads.capture import note
from workloads.recipes.digits import EpochReport, digits, loaders
from workloads.recipes.loop import evaluate, train_epoch
from workloads.recipes.methods import METHODS
from workloads.recipes.methods.setup import NETWORKS, Options, Setup

LAST_RATE = 0.1  # of the first rate, falling by epoch; a choice: rounded gradients need it


def train(
    method: str = "fp32", *, save: Path | None = None, classes: int = 10, **values: Any
) -> list[EpochReport]:
    """Train on the digits below `classes`, print a line per epoch; return the reports.

    `values` are fields of `Options`; `save` is the file for the final weights.
    """
    options = Options(method, **values)
    torch.manual_seed(options.seed)
    setup, reports = setup_of(options), []
    learned, tested = digits(options.net.size, options.net.channels, limit=options.limit)
    batches, tests = loaders(_below(classes, learned), _below(classes, tested), options.batch_size)
    schedule = LinearLR(setup.optimizer, 1, LAST_RATE, options.epochs)
    for epoch in range(1, options.epochs + 1):
        loss = train_epoch(setup.model, batches, setup.loss_of, setup.optimizer)
        reports.append(EpochReport(epoch, loss, evaluate(setup.model, tests)))
        print(reports[-1])
        note("accuracy", reports[-1].accuracy)
        setup.after_epoch(epoch)
        schedule.step()
    if save is not None:
        torch.save(setup.model.state_dict(), save)
    return reports


def setup_of(options: Options) -> Setup:
    """Return the network and training of `options`, as the method changes them."""
    method = import_module(f"workloads.recipes.methods.{options.method}")
    setup: Setup = method.prepare(options.net.build(), options)
    return setup


def _below(classes: int, images: TensorDataset) -> TensorDataset:
    pixels, labels = images.tensors
    return TensorDataset(pixels[labels < classes], labels[labels < classes])


def _share(text: str) -> float:
    if not 0 < float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text}: a share is above 0 and at most 1")
    return float(text)


def main() -> None:
    """Read the options from the command line and train."""
    methods = "; ".join(f"{name}: {about}" for name, about in METHODS.items())
    default = {field.name: field.default for field in fields(Options)}
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--method", choices=METHODS, default=default["method"], help=methods)
    add("--network", choices=NETWORKS, default=default["network"], help="the network")
    add("--epochs", type=int, default=default["epochs"], help="passes over the training set")
    add("--batch-size", type=int, default=default["batch_size"], help="images per step")
    add("--seed", type=int, default=default["seed"], help="seed of weights and image order")
    add("--limit", type=int, help="use only this many images of each set")
    add("--share", type=_share, help="share of blocks (sparse) or of the rank (lowrank) to keep")
    add("--pretrain", type=int, default=default["pretrain"], help="epochs of pretraining (frozen)")
    add(
        "--digits",
        type=int,
        default=10,
        dest="classes",
        help="learn only the digits below this",
    )
    add("--save", type=Path, help="file for the final weights")
    train(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
