"""Stochastic weight averaging: an averaged model, its own learning rate, batch norm updated."""

import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(4)
epochs, swa_start = 4, 2
train_set = TensorDataset(torch.randn(64, 3, 6, 6), torch.randint(4, (64,)))
test_set = TensorDataset(torch.randn(32, 3, 6, 6), torch.randint(4, (32,)))
loaders = {
    "train": DataLoader(train_set, batch_size=16, shuffle=True),
    "test": DataLoader(test_set, batch_size=16),
}
model = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1, bias=False),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(8, 4),
)
swa_model = AveragedModel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
swa_scheduler = SWALR(optimizer, swa_lr=0.05)


def evaluate(net):
    net.eval()
    total = 0.0
    with torch.no_grad():
        for inputs, target in loaders["test"]:
            total += nn.functional.cross_entropy(net(inputs), target).item()
    return total / len(loaders["test"])


for epoch in range(epochs):
    model.train()
    for inputs, target in loaders["train"]:
        loss = nn.functional.cross_entropy(model(inputs), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(repr(loss.item()))
    if epoch >= swa_start:
        swa_model.update_parameters(model)
        swa_scheduler.step()
    else:
        scheduler.step()
    print(f"epoch {epoch}: {evaluate(model):.4f}")

update_bn(loaders["train"], swa_model)
print(f"averaged: {evaluate(swa_model):.4f}")
