"""Deep networks with stochastic depth: whole residual blocks are left out at random."""

import random

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Block(nn.Module):
    def __init__(self, width, survival):
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.survival = survival
        self.calls = 0

    def forward(self, x):
        if self.training:
            if random.random() > self.survival:
                return x
            self.calls += 1
            return x + self.branch(x)
        return x + self.survival * self.branch(x)


class Net(nn.Module):
    def __init__(self, width=12, depth=4, final_survival=0.5):
        super().__init__()
        self.stem = nn.Linear(8, width)
        rates = [1 - (i + 1) / depth * (1 - final_survival) for i in range(depth)]
        self.blocks = nn.Sequential(*(Block(width, rate) for rate in rates))
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


def run(loader, model, optimizer):
    model.train()
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        print(repr(loss.item()))


def main():
    random.seed(1)
    torch.manual_seed(1)
    data = TensorDataset(torch.randn(80, 8), torch.randint(3, (80,)))
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _epoch in range(3):
        run(DataLoader(data, batch_size=10, shuffle=True), model, optimizer)
        model.eval()
        with torch.no_grad():
            for x, _y in DataLoader(data, batch_size=40):
                model(x)
    print("block_calls", sum(block.calls for block in model.blocks))


if __name__ == "__main__":
    main()
