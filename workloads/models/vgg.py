"""VGG-16, configuration D of Simonyan and Zisserman ("Very deep ...", ICLR 2015)."""

from collections import OrderedDict
from collections.abc import Iterator

from torch import nn

from workloads.models.model import Model

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))

Layers = Iterator[tuple[str, nn.Module]]


def vgg16() -> nn.Sequential:
    """Return VGG-16 without batch normalisation: 138.4 M parameters, 15.5 GMAC an image.

    EF-Train's VGG-16 has these thirteen convolutions (finetune2.py in
    github.com/tangyuelm/EF-Train), but global pooling and one linear layer after them (testb4.cpp
    there): compare only the convolutions with it.
    """
    return nn.Sequential(OrderedDict((*_features(norm=False), *_classifier())))


def vgg16_bn() -> nn.Sequential:
    """Return VGG-16 with batch normalisation after every convolution, as torchvision has it."""
    return nn.Sequential(OrderedDict((*_features(norm=True), *_classifier())))


def _features(*, norm: bool) -> Layers:
    inputs = 3
    for stage, (width, depth) in enumerate(_STAGES, start=1):
        for number in range(1, depth + 1):
            place = f"{stage}_{number}"
            yield f"conv{place}", nn.Conv2d(inputs, width, 3, padding=1)
            if norm:
                yield f"bn{place}", nn.BatchNorm2d(width)
            yield f"relu{place}", nn.ReLU(inplace=True)
            inputs = width
        yield f"pool{stage}", nn.MaxPool2d(2)


def _classifier() -> Layers:
    yield "flatten", nn.Flatten()
    inputs = 512 * 7 * 7
    for number in (6, 7):
        yield f"fc{number}", nn.Linear(inputs, 4096)
        yield f"relu{number}", nn.ReLU(inplace=True)
        yield f"drop{number}", nn.Dropout(0.5)
        inputs = 4096
    yield "fc8", nn.Linear(inputs, 1000)


# The batches are those of EF-Train's table 8.
VGGS = (
    Model("vgg16", "VGG-16 on ImageNet", vgg16, (3, 224, 224), 1000, 16),
    Model("vgg16_bn", "VGG-16 with batch norm on ImageNet", vgg16_bn, (3, 224, 224), 1000, 8),
)
"""The VGG networks on offer."""
