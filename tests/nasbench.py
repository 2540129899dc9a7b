"""Networks of NAS-Bench-201 (Dong and Yang, ICLR 2020), by the text that names their cell."""

from itertools import count

import torch
from torch import Tensor, nn

from simulator.trace.trace import Trace
from workloads.capture import capture

_WIDTHS = (16, 32, 64)
_CELLS = 5  # of each width
_CLASSES = 10


class Convolution(nn.Sequential):
    """ReLU, convolution, batch norm: `nor_conv_1x1` and `nor_conv_3x3`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )


class Cell(nn.Module):
    """Four nodes; each sums what the operations on its edges make of the nodes before it.

    A node that the last one does not read is left out, as a compiler leaves it out; one that only
    `none` reaches is zeros, with which the nodes behind it compute all the same.
    """

    def __init__(self, text: str, channels: int) -> None:
        super().__init__()
        nodes = [node.strip("|").split("|") for node in text.split("+")]
        self.edges = nn.ModuleDict()
        for target, node in enumerate(nodes, 1):
            for edge in node:
                name, source = edge.split("~")
                if name != "none":
                    self.edges[f"{source}{target}"] = _operation(name, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self._node(3, {0: x})

    def _node(self, target: int, made: dict[int, Tensor]) -> Tensor:
        if target not in made:
            sources = [i for i in range(target) if f"{i}{target}" in self.edges]
            terms = [self.edges[f"{i}{target}"](self._node(i, made)) for i in sources]
            made[target] = sum(terms[1:], terms[0]) if terms else torch.zeros_like(made[0])
        return made[target]


class Reduction(nn.Module):
    """Half the size and twice the channels, a basic block of ResNet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        made = 2 * channels
        self.main = nn.Sequential(Convolution(channels, made, 3, 2), Convolution(made, made, 3))
        self.side = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(channels, made, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.side(x)


def network(text: str) -> nn.Sequential:
    """Return the network of CIFAR-10 with this cell, such as `|skip_connect~0|+|...|+|...|`."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, _WIDTHS[0], 3, padding=1, bias=False),
        nn.BatchNorm2d(_WIDTHS[0]),
    ]
    for stage, channels in zip(count(), _WIDTHS, strict=False):
        if stage:
            layers.append(Reduction(channels // 2))
        layers += [Cell(text, channels) for _ in range(_CELLS)]
    head = [nn.BatchNorm2d(_WIDTHS[-1]), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *head, nn.Linear(_WIDTHS[-1], _CLASSES))


def inference(text: str) -> Trace:
    """Return one forward pass of an image, by shapes alone."""
    net = network(text).eval()
    with capture(net, fake=True) as recording, torch.no_grad():
        net(torch.zeros(1, 3, 32, 32))
    return recording.trace


def _operation(name: str, channels: int) -> nn.Module:
    kinds = {
        "skip_connect": nn.Identity,
        "avg_pool_3x3": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        "nor_conv_1x1": lambda: Convolution(channels, channels, 1),
        "nor_conv_3x3": lambda: Convolution(channels, channels, 3),
    }
    made: nn.Module = kinds[name]()
    return made
