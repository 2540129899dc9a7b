"""Residual networks for 224 x 224 images (He et al., "Deep residual learning", CVPR 2016).

Layers have torchvision's names, and ReLU and the residual sum work in place as there.
"""

import torch
from torch import nn

from workloads.models.model import Model


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Return the shortcut of a block that changes the shape (option B of the paper)."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut; the first one has the stride."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        """Create a block from `inputs` to `width` channels."""
        super().__init__()
        self.conv1 = _convolution(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(inputs, width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output; height and width shrink by the stride."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        output: torch.Tensor = self.relu(y)
        return output


class Bottleneck(nn.Module):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1 around a shortcut.

    The 3 x 3 one has the stride, as in torchvision ("v1.5"); in the paper the first 1 x 1 one has
    it, which makes 3.8 instead of 4.1 GMAC for ResNet-50.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        """Create a block from `inputs` to 4 x `width` channels."""
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = _convolution(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(inputs, outputs, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output; height and width shrink by the stride."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        output: torch.Tensor = self.relu(y)
        return output


BlockType = type[BasicBlock] | type[Bottleneck]


class ResNet(nn.Module):
    """A 7 x 7 convolution, four stages of blocks, 64 to 512 wide, and a linear classifier."""

    def __init__(self, block: BlockType, depths: tuple[int, int, int, int]) -> None:
        """Create stages of as many blocks as `depths` says, for 1000 classes."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(block, 64, 64, depths[0], stride=1)
        self.layer2 = _stage(block, 64 * block.expansion, 128, depths[1], stride=2)
        self.layer3 = _stage(block, 128 * block.expansion, 256, depths[2], stride=2)
        self.layer4 = _stage(block, 256 * block.expansion, 512, depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores [N, 1000] of images [N, 3, 224, 224]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = torch.flatten(self.avgpool(x), 1)
        scores: torch.Tensor = self.fc(x)
        return scores


def _stage(block: BlockType, inputs: int, width: int, depth: int, stride: int) -> nn.Sequential:
    rest = (block(block.expansion * width, width, 1) for _ in range(depth - 1))
    return nn.Sequential(block(inputs, width, stride), *rest)


def resnet18() -> ResNet:
    """Return the 18-layer network of the paper's table 1: 11.7 M parameters, 1.8 GMAC."""
    return ResNet(BasicBlock, (2, 2, 2, 2))


def resnet50() -> ResNet:
    """Return the 50-layer network, with v1.5 strides: 25.6 M parameters, 4.1 GMAC."""
    return ResNet(Bottleneck, (3, 4, 6, 3))


# A batch of 16 is what DaCapo (ISCA 2024) trains ResNet-18 with.
RESNETS = (
    Model("resnet18", "ResNet-18 on ImageNet", resnet18, (3, 224, 224), 1000, 16),
    Model("resnet50", "ResNet-50 v1.5 on ImageNet", resnet50, (3, 224, 224), 1000, 16),
)
"""The residual networks on offer."""
