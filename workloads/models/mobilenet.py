"""MobileNetV2 (Sandler et al., "Inverted Residuals and Linear Bottlenecks", CVPR 2018).

As torchvision trains it: the classifier's dropout of 0.2, ReLU6 in place.
"""

import torch
from torch import nn

from workloads.models.model import Model

# Table 2 of the paper: expansion, output channels, blocks, stride of the first one.
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
_STEM, _HEAD = 32, 1280


def _normalised(
    inputs: int, outputs: int, kernel: int, stride: int, groups: int
) -> list[nn.Module]:
    """Return a convolution without bias and the norm behind it."""
    pad = kernel // 2
    layer = nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


def _activated(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    layers = _normalised(inputs, outputs, kernel, stride, groups)
    return nn.Sequential(*layers, nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Widen by 1 x 1, convolve each channel by 3 x 3, narrow by 1 x 1; a shortcut where it fits."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        """Create a block whose depthwise convolution is `expansion` x `inputs` wide."""
        super().__init__()
        wide = expansion * inputs
        widen = [_activated(inputs, wide)] if expansion != 1 else []
        depthwise = _activated(wide, wide, 3, stride, groups=wide)
        self.conv = nn.Sequential(*widen, depthwise, *_normalised(wide, outputs, 1, 1, 1))
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output; height and width shrink by the stride."""
        y: torch.Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """A 3 x 3 convolution, seventeen inverted residuals, 1280 features and a linear classifier."""

    def __init__(self, classes: int = 1000) -> None:
        """Create the network of width 1 for images of any size, a multiple of 32."""
        super().__init__()
        layers: list[nn.Module] = [_activated(3, _STEM, 3, 2)]
        channels = _STEM
        for expansion, width, depth, stride in _STAGES:
            for index in range(depth):
                by = stride if index == 0 else 1
                layers.append(InvertedResidual(channels, width, by, expansion))
                channels = width
        self.features = nn.Sequential(*layers, _activated(channels, _HEAD))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(_HEAD, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores [N, classes] of images [N, 3, height, width]."""
        x = self.features(x).mean((2, 3))
        scores: torch.Tensor = self.classifier(x)
        return scores


# 96 images on each of 16 GPUs are the paper's batch (section 6.1).
MOBILENETS = (
    Model("mobilenet_v2", "MobileNetV2 on ImageNet", MobileNetV2, (3, 224, 224), 1000, 96),
)
"""The MobileNets on offer."""
