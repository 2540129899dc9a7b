"""Small convolutional networks for 8 x 8 digits, as searches for networks have them."""

from collections import OrderedDict

from torch import nn

from workloads.models.family import Family

_SIDE = 8


def cnn_digits(depth: int, width: int, kernel: int) -> nn.Sequential:
    """Return `depth` convolutions of `width` channels and `kernel` x `kernel` filters.

    Each has a ReLU; 2 x 2 max pooling follows every second one while maps are larger than a pixel.
    A linear layer classifies. The space of FGNAS (Lu et al., arXiv 1911.00105) has six layers of 24
    to 64 channels and filters of 1 to 7; that all layers are equal is chosen here, and so are the
    images.
    """
    layers: list[tuple[str, nn.Module]] = []
    inputs, side = 1, _SIDE
    for number in range(1, depth + 1):
        layers.append((f"conv{number}", nn.Conv2d(inputs, width, kernel, padding=kernel // 2)))
        layers.append((f"relu{number}", nn.ReLU()))
        inputs = width
        if number % 2 == 0 and side > 1:
            layers.append((f"pool{number}", nn.MaxPool2d(2)))
            side //= 2
    layers += [("flatten", nn.Flatten()), ("fc", nn.Linear(inputs * side * side, 10))]
    return nn.Sequential(OrderedDict(layers))


CNN_DIGITS = Family(
    "cnn_digits",
    "equal convolutions on 8 x 8 digits",
    cnn_digits,
    values={"depth": range(1, 13), "width": range(1, 513), "kernel": range(1, 8, 2)},
    defaults={"depth": 6, "width": 32, "kernel": 3},
    shape=(1, _SIDE, _SIDE),
    classes=10,
    batch=32,
)
"""The family of small networks on digits."""
