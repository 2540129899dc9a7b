"""AlexNet (Krizhevsky et al., NIPS 2012) in the form that EF-Train trains."""

from collections import OrderedDict

from torch import nn

from workloads.models.model import Model


def alexnet_eftrain() -> nn.Sequential:
    """Return AlexNet as EF-Train trains it (Tang et al., ACM TODAES 27(5), 2022, table 3).

    Images of 3 x 227 x 227; ungrouped convolutions with outputs 55, 27, 13, 13 and 13 wide
    (torchvision's AlexNet differs: 64 filters first, 224 x 224). Without the local response
    normalisation and the dropout of 2012, for which EF-Train has no hardware; 1.14 GMAC an image,
    1.08 of them in convolutions, and 62.4 M parameters.
    """
    layers: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(3, 96, 11, stride=4)),
        ("relu1", nn.ReLU(inplace=True)),
        ("pool1", nn.MaxPool2d(3, stride=2)),
        ("conv2", nn.Conv2d(96, 256, 5, padding=2)),
        ("relu2", nn.ReLU(inplace=True)),
        ("pool2", nn.MaxPool2d(3, stride=2)),
        ("conv3", nn.Conv2d(256, 384, 3, padding=1)),
        ("relu3", nn.ReLU(inplace=True)),
        ("conv4", nn.Conv2d(384, 384, 3, padding=1)),
        ("relu4", nn.ReLU(inplace=True)),
        ("conv5", nn.Conv2d(384, 256, 3, padding=1)),
        ("relu5", nn.ReLU(inplace=True)),
        ("pool5", nn.MaxPool2d(3, stride=2)),
        ("flatten", nn.Flatten()),
        ("fc6", nn.Linear(256 * 6 * 6, 4096)),
        ("relu6", nn.ReLU(inplace=True)),
        ("fc7", nn.Linear(4096, 4096)),
        ("relu7", nn.ReLU(inplace=True)),
        ("fc8", nn.Linear(4096, 1000)),
    ]
    return nn.Sequential(OrderedDict(layers))


# EF-Train's table 8 has a batch of 128, its tables 3 to 6 one of 4.
ALEXNETS = (
    Model(
        "alexnet_eftrain", "EF-Train's AlexNet on ImageNet",
        alexnet_eftrain, (3, 227, 227), 1000, 128,
    ),
)  # fmt: skip
"""The AlexNets on offer."""
