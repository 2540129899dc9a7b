"""Adaptation of a frozen network by small adaptors beside its blocks, and a new classifier.

After DA3 (arXiv:2012.01362), of which only the abstract was at hand. From it: the network is frozen
and additive adaptors learn, so that frozen layers store nothing for weight gradients. Choices:
adaptors are 1 x 1 convolutions from a block's input to its output, normalised, or two linear layers
of rank 8 beside a linear one, zero at the start (DA3's have attention); blocks are the residual
ones, or LeNet-5's layers; normalisation keeps its pretrained statistics; pretraining uses the
digits 0 to 4, adaptation all ten.

Pretraining runs in a process of its own, so that a capture has only the adaptation.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import torch
from torch import nn

import workloads
from simulator.trace.passes.treatment import Treatment
from workloads.capture import treat
from workloads.recipes.methods.setup import Options, Setup, plain, weighted
from workloads.recipes.resnet20_digits import ResidualBlock, ResNet20

RANK = 8  # of the adaptor of a linear layer: a choice
PRETRAINING_DIGITS = 5  # digits of the pretraining: a choice


class FrozenBlock(nn.Module):
    """A part of a network that does not learn; its normalisation keeps its statistics."""

    def __init__(self, block: nn.Module) -> None:
        """Freeze `block`, and declare that to a capture."""
        super().__init__()
        self.block = block.requires_grad_(requires_grad=False).eval()
        for module in block.modules():
            if next(module.parameters(recurse=False), None) is not None:
                treat(module, Treatment(frozen=True), "frozen")

    def train(self, mode: bool = True) -> Self:
        """Leave the block in evaluation mode."""
        super().train(mode)
        self.block.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output."""
        y: torch.Tensor = self.block(x)
        return y


class AdaptedBlock(FrozenBlock):
    """A frozen block plus an adaptor beside it."""

    def __init__(self, block: nn.Module) -> None:
        """Freeze `block` and start with an adaptor that returns zeros."""
        super().__init__(block)
        self.adaptor = adaptor_of(block)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of block and adaptor."""
        y, z = self.block(x), self.adaptor(x)
        if y.dim() == 4:  # a convolution without padding drops the borders
            top, left = ((z.shape[i] - y.shape[i]) // 2 for i in (2, 3))
            z = z[:, :, top : top + y.shape[2], left : left + y.shape[3]]
        adapted: torch.Tensor = y + z
        return adapted


def adaptor_of(block: nn.Module) -> nn.Module:
    """Return a trainable adaptor for a block, zero at the start."""
    if isinstance(block, nn.Linear):
        last: nn.Linear | nn.BatchNorm2d = nn.Linear(RANK, block.out_features, bias=False)
        adaptor = nn.Sequential(nn.Linear(block.in_features, RANK, bias=False), last)
    else:
        first = block.conv1 if isinstance(block, ResidualBlock) else block
        if not isinstance(first, nn.Conv2d):
            raise TypeError(f"no adaptor is known for {type(block).__name__}")
        stride = (first.stride[0], first.stride[-1])
        last = nn.BatchNorm2d(first.out_channels)  # without it nine in a row diverge
        conv = nn.Conv2d(first.in_channels, first.out_channels, 1, stride, bias=False)
        adaptor = nn.Sequential(conv, last)
    nn.init.zeros_(last.weight)
    return adaptor


def pretrained(options: Options) -> dict[str, torch.Tensor]:
    """Return the weights that another process learned on the first digits."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pretrained.pt"
        command = [sys.executable, "-m", "workloads.recipes.methods_digits", "--save", str(path)]
        values = {
            "network": options.network, "epochs": options.pretrain, "seed": options.seed,
            "batch-size": options.batch_size, "digits": PRETRAINING_DIGITS, "limit": options.limit,
        }  # fmt: skip
        arguments = [f"--{key}={value}" for key, value in values.items() if value is not None]
        root = Path(workloads.__file__).parents[1]
        subprocess.run([*command, *arguments], cwd=root, check=True, stdout=subprocess.DEVNULL)
        state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


def prepare(model: nn.Module, options: Options) -> Setup:
    """Freeze all but the last layer of the pretrained network, and adapt its blocks."""
    model.load_state_dict(pretrained(options))
    blocks = [name for name, module in model.named_modules() if isinstance(module, ResidualBlock)]
    if isinstance(model, ResNet20):
        model.set_submodule("conv1", FrozenBlock(model.conv1))
        model.set_submodule("bn1", FrozenBlock(model.bn1))
    else:
        *blocks, _classifier = (name for name, _ in weighted(model))
    for name in blocks:
        model.set_submodule(name, AdaptedBlock(model.get_submodule(name)))
    return plain(model, options)
