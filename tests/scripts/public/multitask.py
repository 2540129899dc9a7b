"""Several tasks share a trunk; every step draws one task, whose head has a size of its own."""

import random

import torch
from torch import nn

TASKS = {"sentiment": 2, "topic": 7, "rating": 5}
BATCH, STEPS = 8, 24


class MultiTaskModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(16, n) for name, n in TASKS.items()})
        self.task = None

    def set_task(self, task):
        self.task = task
        return self

    def forward(self, x):
        return self.heads[self.task](self.trunk(x))


random.seed(3)
torch.manual_seed(3)
data = {name: (torch.randn(40, 10), torch.randint(n, (40,))) for name, n in TASKS.items()}
model = MultiTaskModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
drawn = dict.fromkeys(TASKS, 0)
for _step in range(STEPS):
    task = random.choice(list(TASKS))
    drawn[task] += 1
    x, y = data[task]
    rows = torch.randint(40, (BATCH,))
    loss = nn.functional.cross_entropy(model.set_task(task)(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(repr(loss.item()))
for task, count in drawn.items():
    print(task, count)
