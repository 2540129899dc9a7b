"""What a method needs for a training, and what it makes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from workloads.recipes.lenet_digits import LeNet5
from workloads.recipes.resnet20_digits import ResNet20


@dataclass(frozen=True)
class Network:
    """A network, its images, and its best rates without a method."""

    build: Callable[[], nn.Module]
    size: int
    channels: int
    rate: float
    decay: float


# Rates and decay are those of the recipes lenet_digits and resnet20_digits.
NETWORKS = {
    "lenet": Network(LeNet5, 28, 1, 0.02, 0.0),
    "resnet20": Network(ResNet20, 32, 3, 0.05, 1e-4),
}
MOMENTUM = 0.9


@dataclass(frozen=True)
class Options:
    """The options of the command line: see `workloads.recipes.methods_digits`."""

    method: str = "fp32"
    network: str = "lenet"
    epochs: int = 8
    batch_size: int = 32
    seed: int = 0
    limit: int | None = None
    share: float | None = None
    pretrain: int = 4

    @property
    def net(self) -> Network:
        """The network and its rates."""
        return NETWORKS[self.network]


@dataclass(frozen=True)
class Setup:
    """A training ready to start; `after_epoch` is called with the number of each finished epoch."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss_of: nn.Module = field(default_factory=nn.CrossEntropyLoss)
    after_epoch: Callable[[int], None] = lambda epoch: None  # noqa: ARG005


def plain(model: nn.Module, options: Options) -> Setup:
    """Train all trainable parameters by SGD with momentum, as the recipes do."""
    learning = [p for p in model.parameters() if p.requires_grad]
    net = options.net
    sgd = torch.optim.SGD(learning, net.rate, MOMENTUM, weight_decay=net.decay)
    return Setup(model, sgd)


Weighted = nn.Conv2d | nn.Linear


def weighted(model: nn.Module) -> list[tuple[str, Weighted]]:
    """Return the convolutions and linear layers of a network, with their names."""
    return [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
