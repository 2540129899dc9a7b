"""A multilayer perceptron on 8 x 8 digits, with Adam: python -m workloads.recipes.mlp_digits."""

import torch
from torch import nn

from workloads.recipes.digits import EpochReport, digits, loaders
from workloads.recipes.loop import evaluate, main, train_epoch


def network() -> nn.Sequential:
    """Return a 64-128-64-10 perceptron with ReLU."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def train(
    epochs: int = 10, batch_size: int = 32, seed: int = 0, limit: int | None = None
) -> list[EpochReport]:
    """Train on the digits, print a line per epoch; return the reports."""
    torch.manual_seed(seed)
    train_loader, test_loader = loaders(*digits(limit=limit), batch_size)
    model = network()
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    reports = []
    for epoch in range(1, epochs + 1):
        loss = train_epoch(model, train_loader, loss_of, optimizer)
        reports.append(EpochReport(epoch, loss, evaluate(model, test_loader)))
        print(reports[-1])
    return reports


if __name__ == "__main__":
    main(train, __doc__ or "", epochs=10, batch_size=32)
