"""The networks of the published systems, by their layer lists, and their traces by shapes alone."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import torch
from torch import nn

from simulator.trace.trace import Trace
from workloads.models import capture_step
from workloads.models.model import Model
from workloads.models.resnet import BasicBlock

POOL = 0  # in a list of widths: halve height and width


class Node(nn.Module):
    """A node of a tree: 3 x 3 convolutions, then a classifier that says where to go on."""

    def __init__(self, inputs: int, widths: Sequence[int], size: int, choices: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            if width == POOL:
                layers.append(nn.MaxPool2d(2))
                size //= 2
                continue
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(inputs * size * size, choices)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.features(x)
        return x, self.fc(x.flatten(1))


class Tree(nn.Module):
    """The tree of networks for CIFAR-10 of abhinavgoel95/Pipeline-Parallel-MNN-Tree, all nodes run.

    Batch normalisation is assumed; the files' sizes do not tell.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = Node(3, (16, 32, 32, 32, POOL), 32, 3)
        self.sg1 = Node(32, (64, 32), 16, 2)
        self.sg2 = Node(32, (64, 32), 16, 2)
        self.sg3 = Node(32, (32, 32, 64), 16, 4)
        self.sg4 = Node(64, (16, 32), 16, 2)
        self.sg5 = Node(64, (16, 32), 16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, scores = self.root(x)
        deep, third = self.sg3(x)
        rest = [self.sg1(x), self.sg2(x), self.sg4(deep), self.sg5(deep)]
        return torch.cat([scores, third, *(each for _, each in rest)], 1)


class SplitResNet(nn.Module):
    """ResNet-18 for images of 32 x 32, and an encoder for each place where it may be split.

    A 3 x 3 stem without a pool (kuangliu/pytorch-cifar). Encoders have 32 channels: convolutions
    of 3 x 3 behind the first three stages, linear layers behind the last two
    (Shao and Zhang's repository, hid_dim 32). All run, behind the network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        stages = [
            nn.Sequential(BasicBlock(a, b, 1 if a == b else 2), BasicBlock(b, b, 1))
            for a, b in pairwise(widths)
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.pool = nn.AvgPool2d(4)
        self.fc = nn.Linear(512, 10)
        self.encoder1 = nn.Conv2d(64, 32, 3, padding=1)
        self.encoder2 = nn.Conv2d(64, 32, 3, padding=1)
        self.encoder3 = nn.Conv2d(128, 32, 3, padding=1)
        self.encoder4 = nn.Linear(256 * 8 * 8, 32)
        self.encoder5 = nn.Linear(512, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.bn1(self.conv1(x)))
        second = self.layer1(first)
        third = self.layer2(second)
        fourth = self.layer3(third)
        last = self.pool(self.layer4(fourth)).flatten(1)
        scores = self.fc(last)
        maps = self.encoder1(first), self.encoder2(second), self.encoder3(third)
        flat = self.encoder4(fourth.flatten(1)), self.encoder5(last)
        return torch.cat([scores, *(each.flatten(1) for each in maps), *flat], 1)


class Divisive(nn.Module):
    """Generalised divisive normalisation as compressai computes it: a 1 x 1 convolution of x^2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(self.norm(x**2))


class Encoder(nn.Module):
    """The encoder of Entropic Student ResNet-50 (yoshitomo-matsubara/sc2-benchmark)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 5, 2, 2, bias=False)
        self.gdn1 = Divisive(96)
        self.conv2 = nn.Conv2d(96, 48, 5, 2, 2, bias=False)
        self.gdn2 = Divisive(48)
        self.conv3 = nn.Conv2d(48, 24, 2, 1, 0, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.gdn1(self.conv1(x))
        return self.conv3(self.gdn2(self.conv2(x)))


def _stage(inputs: int, width: int, depth: int, stride: int) -> nn.Sequential:
    rest = [BasicBlock(width, width, 1) for _ in range(depth - 1)]
    return nn.Sequential(BasicBlock(inputs, width, stride), *rest)


class Main(nn.Module):
    """ResNet-32 for 100 classes up to its last stage (yinghanlong/Complexity-aware-AI)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
        self.layer1 = _stage(16, 16, 5, 1)
        self.layer2 = _stage(16, 32, 5, 2)
        self.layer3 = _stage(32, 64, 5, 2)
        self.fc = nn.Linear(64, 100)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.layer3(self.layer2(self.layer1(torch.relu(self.stem(x)))))
        return x, self.fc(x.mean((2, 3)))


class Adaptive(nn.Module):
    """Features of the image for the hard classes: a convolution and a block per stage."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
        self.blocks = nn.Sequential(
            BasicBlock(16, 16, 1), BasicBlock(16, 32, 2), BasicBlock(32, 64, 2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(torch.relu(self.stem(x)))


class Extension(nn.Module):
    """Four blocks at 8 x 8 over the features of both, and a classifier of 50 hard classes."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = _stage(128, 64, 4, 1)
        self.fc = nn.Linear(64, 50)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.blocks(x).mean((2, 3)))


class Meanet(nn.Module):
    """All three blocks of MEANet, run."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.adaptive, self.extension = Main(), Adaptive(), Extension()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features, scores = self.main(x)
        hard = self.extension(torch.cat([features, self.adaptive(x)], 1))
        return torch.cat([scores, hard], 1)


class Flat(nn.Module):
    """An encoder as a classifier of its features, so that a step of it can be captured."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x).mean((2, 3))


_BUILD: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "mnn-tree": (Tree, 32, 15),
    "split-resnet18": (SplitResNet, 32, 10 + 2 * 32768 + 8192 + 64),
    "entropic-encoder": (Flat, 224, 24),
    "meanet": (Meanet, 32, 150),
}


@cache
def trace_of(name: str) -> Trace:
    """Return a training step of a network at batch 1, whose parts are what a study runs."""
    build, size, classes = _BUILD[name]
    return capture_step(Model(name, name, build, (3, size, size), classes, 1))
