"""The six networks that Mandheling trains (Xu et al., MobiCom 2022, table 6), as NITI trains them.

Neither biases nor batch normalisation: NITI has none, and with the normalisation that the DSP lacks
(table 3) two changes of sides a layer would take ResNet-34 longer than all of its published step.

The paper names data sets, FLOPs of training one image, and numbers of convolutions. Its FLOPs are
two per MAC, forward and both gradients: 0.914 G for VGG-11 on 32 x 32, where 6 x 152.8 M less the
first input gradient is 0.913 G. By this count ResNet-34 on 32 x 32 has 4 % less than the table, and
ResNet-18 on 224 x 224 9 % less. The deeper VGGs have fewer FLOPs in the table than their
convolutions: 1.35 G of 1.88 for VGG-16 on 32 x 32, unexplained; ten convolutions, two a stage
(`LISTED_VGG16`), have 1.37 G. VGG-19 has 19.9 times as many as
VGG-16 there; it has 20.5 times as many on images of 128 x 128, and 62 times on those of ImageNet,
224 x 224, which its times rule out, too (16 to 24 times VGG-16's). Of Inception-v3 the table counts
five convolutions and eleven blocks; 32 x 32 is too small for its stem, and on 104 x 104 it has 7 %
less than the table.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from workloads.models.model import Model

BATCH = 64
_VGG = {  # Simonyan and Zisserman, ICLR 2015, configurations A, D and E
    "VGG11": (1, 1, 2, 2, 2),
    "VGG16": (2, 2, 3, 3, 3),
    "VGG19": (2, 2, 4, 4, 4),
}
_WIDTHS = (64, 128, 256, 512, 512)


def _convolution(inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1,
                 *, padded: bool = True) -> nn.Conv2d:  # fmt: skip
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (height // 2, width // 2) if padded else (0, 0)
    return nn.Conv2d(inputs, outputs, (height, width), stride, padding, bias=False)


def _unit(inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1,
          *, padded: bool = True) -> nn.Sequential:  # fmt: skip
    convolution = _convolution(inputs, outputs, kernel, stride, padded=padded)
    return nn.Sequential(convolution, nn.ReLU(inplace=True))


def vgg(depths: Sequence[int], head: Sequence[int]) -> nn.Sequential:
    """Return a VGG of as many convolutions a stage, whose linear layers have the widths `head`."""
    layers: list[nn.Module] = []
    inputs = 3
    for width, depth in zip(_WIDTHS, depths, strict=True):
        for _ in range(depth):
            layers.append(_unit(inputs, width, 3))
            inputs = width
        layers.append(nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    for number, (wide, narrow) in enumerate(pairwise(head)):
        layers += [nn.ReLU(inplace=True)] * bool(number)
        layers.append(nn.Linear(wide, narrow, bias=False))
    return nn.Sequential(*layers)


class _Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = _unit(inputs, width, 3, stride)
        self.second = _convolution(width, width, 3)
        same = stride == 1 and inputs == width
        self.shortcut = nn.Identity() if same else _convolution(inputs, width, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(self.first(x))
        y += self.shortcut(x)
        return self.relu(y)


def resnet(depths: Sequence[int], classes: int, *, small: bool) -> nn.Sequential:
    """Return a ResNet of basic blocks; the stem of a `small` one keeps the size of its images."""
    stem = [_unit(3, 64, 3)] if small else [_unit(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    blocks, inputs = [], 64
    for stage, (width, depth) in enumerate(zip((64, 128, 256, 512), depths, strict=True)):
        for number in range(depth):
            blocks.append(_Block(inputs, width, 2 if stage and not number else 1))
            inputs = width
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes, bias=False))
    return nn.Sequential(*stem, *blocks, *head)


class _Branches(nn.Module):
    """Branches side by side, their channels one after the other."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def _pooled(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), _unit(inputs, outputs, 1))


def _chain(*units: nn.Module) -> nn.Sequential:
    return nn.Sequential(*units)


def _block_a(inputs: int, pooled: int) -> _Branches:
    return _Branches(
        _unit(inputs, 64, 1),
        _chain(_unit(inputs, 48, 1), _unit(48, 64, 5)),
        _chain(_unit(inputs, 64, 1), _unit(64, 96, 3), _unit(96, 96, 3)),
        _pooled(inputs, pooled),
    )


def _block_b(inputs: int) -> _Branches:
    return _Branches(
        _unit(inputs, 384, 3, 2, padded=False),
        _chain(_unit(inputs, 64, 1), _unit(64, 96, 3), _unit(96, 96, 3, 2, padded=False)),
        nn.MaxPool2d(3, 2),
    )


def _block_c(inputs: int, width: int) -> _Branches:
    row, column = (1, 7), (7, 1)
    return _Branches(
        _unit(inputs, 192, 1),
        _chain(_unit(inputs, width, 1), _unit(width, width, row), _unit(width, 192, column)),
        _chain(
            _unit(inputs, width, 1), _unit(width, width, column), _unit(width, width, row),
            _unit(width, width, column), _unit(width, 192, row),
        ),
        _pooled(inputs, 192),
    )  # fmt: skip


def _block_d(inputs: int) -> _Branches:
    wide = _chain(
        _unit(inputs, 192, 1), _unit(192, 192, (1, 7)), _unit(192, 192, (7, 1)),
        _unit(192, 192, 3, 2, padded=False),
    )  # fmt: skip
    narrow = _chain(_unit(inputs, 192, 1), _unit(192, 320, 3, 2, padded=False))
    return _Branches(narrow, wide, nn.MaxPool2d(3, 2))


def _block_e(inputs: int) -> _Branches:
    def fork() -> _Branches:
        return _Branches(_unit(384, 384, (1, 3)), _unit(384, 384, (3, 1)))

    return _Branches(
        _unit(inputs, 320, 1),
        _chain(_unit(inputs, 384, 1), fork()),
        _chain(_unit(inputs, 448, 1), _unit(448, 384, 3), fork()),
        _pooled(inputs, 192),
    )


def inception(classes: int) -> nn.Sequential:
    """Return Inception-v3 (Szegedy et al., CVPR 2016) with torchvision's blocks, no auxiliary."""
    stem = (
        _unit(3, 32, 3, 2, padded=False), _unit(32, 32, 3, padded=False), _unit(32, 64, 3),
        nn.MaxPool2d(3, 2), _unit(64, 80, 1), _unit(80, 192, 3, padded=False), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    blocks = (
        _block_a(192, 32), _block_a(256, 64), _block_a(288, 64), _block_b(288),
        _block_c(768, 128), _block_c(768, 160), _block_c(768, 160), _block_c(768, 192),
        _block_d(768), _block_e(1280), _block_e(2048),
    )  # fmt: skip
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, classes, bias=False))
    return nn.Sequential(*stem, *blocks, *head)


def _model(name: str, build: partial[nn.Sequential], side: int, classes: int) -> Model:
    return Model(name, f"{name} as Mandheling trains it", build, (3, side, side), classes, BATCH)


_CIFAR = (512, 10)
_IMAGENET = (512 * 4 * 4, 4096, 4096, 1000)
NETWORKS = {
    model.name: model
    for model in (
        _model("VGG11", partial(vgg, _VGG["VGG11"], _CIFAR), 32, 10),
        _model("VGG16", partial(vgg, _VGG["VGG16"], _CIFAR), 32, 10),
        _model("VGG19", partial(vgg, _VGG["VGG19"], _IMAGENET), 128, 1000),
        _model("ResNet34", partial(resnet, (3, 4, 6, 3), 10, small=True), 32, 10),
        _model("ResNet18", partial(resnet, (2, 2, 2, 2), 1000, small=False), 224, 1000),
        _model("InceptionV3", partial(inception, 10), 104, 10),
    )
}
"""By the names of the published rows."""
LISTED_VGG16 = _model("VGG16 as listed", partial(vgg, (2, 2, 2, 2, 2), _CIFAR), 32, 10)
"""What has the FLOPs that table 6 lists for VGG-16, under its name VGG-13."""
