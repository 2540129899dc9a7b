"""ResNet-20 on digits enlarged to 32 x 32, SGD: python -m workloads.recipes.resnet20_digits."""

import torch
from torch import nn
from torch.nn import functional

from workloads.recipes.digits import EpochReport, digits, loaders
from workloads.recipes.loop import evaluate, main, train_epoch


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut, projected by 1 x 1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Create a block from `inputs` to `outputs` channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output; height and width shrink by the stride."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.shortcut(x))


class ResNet20(nn.Module):
    """The 20-layer residual network for 32 x 32 images (He et al., 2015, section 4.2)."""

    def __init__(self) -> None:
        """Create three stages of three blocks, 16, 32 and 64 channels wide."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, stride=1)
        self.layer2 = self._stage(16, 32, stride=2)
        self.layer3 = self._stage(32, 64, stride=2)
        self.fc = nn.Linear(64, 10)

    @staticmethod
    def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        rest = [ResidualBlock(outputs, outputs, 1) for _ in range(2)]
        return nn.Sequential(ResidualBlock(inputs, outputs, stride), *rest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores [N, 10] of images [N, 3, 32, 32]."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        scores: torch.Tensor = self.fc(x)
        return scores


def train(
    epochs: int = 5, batch_size: int = 32, seed: int = 0, limit: int | None = None
) -> list[EpochReport]:
    """Train on the digits, print a line per epoch; return the reports."""
    torch.manual_seed(seed)
    train_loader, test_loader = loaders(*digits(size=32, channels=3, limit=limit), batch_size)
    model = ResNet20()
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)

    reports = []
    for epoch in range(1, epochs + 1):
        loss = train_epoch(model, train_loader, loss_of, optimizer)
        reports.append(EpochReport(epoch, loss, evaluate(model, test_loader)))
        print(reports[-1])
    return reports


if __name__ == "__main__":
    main(train, __doc__ or "", epochs=5, batch_size=32)
