"""LeNet-5 on digits enlarged to 28 x 28, SGD: python -m workloads.recipes.lenet_digits."""

import torch
from torch import nn
from torch.nn import functional

from workloads.recipes.digits import EpochReport, digits, loaders
from workloads.recipes.loop import evaluate, main, train_epoch


class LeNet5(nn.Module):
    """Two convolutions with pooling and three linear layers (LeCun et al., 1998), with ReLU."""

    def __init__(self) -> None:
        """Create the layers for 1 x 28 x 28 images and ten classes."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores [N, 10] of images [N, 1, 28, 28]."""
        x = self.pool(functional.relu(self.conv1(x)))
        x = self.pool(functional.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = functional.relu(self.fc1(x))
        x = functional.relu(self.fc2(x))
        scores: torch.Tensor = self.fc3(x)
        return scores


def train(
    epochs: int = 8, batch_size: int = 32, seed: int = 0, limit: int | None = None
) -> list[EpochReport]:
    """Train on the digits, print a line per epoch; return the reports."""
    torch.manual_seed(seed)
    train_loader, test_loader = loaders(*digits(size=28, limit=limit), batch_size)
    model = LeNet5()
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    reports = []
    for epoch in range(1, epochs + 1):
        loss = train_epoch(model, train_loader, loss_of, optimizer)
        reports.append(EpochReport(epoch, loss, evaluate(model, test_loader)))
        print(reports[-1])
    return reports


if __name__ == "__main__":
    main(train, __doc__ or "", epochs=8, batch_size=32)
