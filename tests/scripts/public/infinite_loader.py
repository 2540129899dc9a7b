"""Iteration-based training: a loader that begins anew by itself, validation now and then."""

import argparse
import itertools

import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--iterations", type=int, default=20)
parser.add_argument("--val-freq", type=int, default=10)
args = parser.parse_args()


def inf_iterator(iterable):
    iterator = iter(iterable)
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            iterator = iter(iterable)


torch.manual_seed(17)
images, labels = torch.randn(56, 1, 6, 6), torch.randint(3, (56,))
train_set = TensorDataset(images[:40], labels[:40])
train_iterator = inf_iterator(DataLoader(train_set, 5, sampler=RandomSampler(train_set)))
val_loader = DataLoader(TensorDataset(images[40:], labels[40:]), 8)
model = nn.Sequential(
    nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def validate():
    model.eval()
    with torch.no_grad():
        total = sum(nn.functional.cross_entropy(model(x), y).item() for x, y in val_loader)
    model.train()
    return total / len(val_loader)


for it in itertools.count(1):
    x, y = next(train_iterator)
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    print(repr(loss.item()))
    if it % args.val_freq == 0:
        print(f"[validate] iter {it} loss {validate():.5f}")
    if it == args.iterations:
        break
