"""Model-agnostic meta-learning of sine waves: gradients through one inner step."""

import math

import torch
import torch.nn.functional as F
from torch import nn

SHOTS, TASKS, META_STEPS, INNER_LR, HIDDEN = 5, 3, 8, 0.05, 16


class SineTask:
    def __init__(self):
        self.amplitude = torch.rand(1) * 4.9 + 0.1
        self.phase = torch.rand(1) * math.pi

    def sample(self, shots):
        x = torch.rand(shots, 1) * 10 - 5
        return x, self.amplitude * torch.sin(x + self.phase)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(1, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(),
            nn.Linear(HIDDEN, 1),
        )  # fmt: skip

    def forward(self, x, weights=None):
        if weights is None:
            return self.net(x)
        x = torch.tanh(F.linear(x, weights[0], weights[1]))
        x = torch.tanh(F.linear(x, weights[2], weights[3]))
        return F.linear(x, weights[4], weights[5])


def inner_loop(model, task):
    x, y = task.sample(SHOTS)
    loss = F.mse_loss(model(x), y)
    grads = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
    return [w - INNER_LR * g for w, g in zip(model.parameters(), grads, strict=True)]


def main():
    torch.manual_seed(9)
    model = Regressor()
    meta_optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _iteration in range(META_STEPS):
        meta_loss = 0
        for task in [SineTask() for _ in range(TASKS)]:
            fast = inner_loop(model, task)
            x, y = task.sample(SHOTS)
            meta_loss = meta_loss + F.mse_loss(model(x, fast), y)
        meta_loss = meta_loss / TASKS
        meta_optimiser.zero_grad()
        meta_loss.backward()
        meta_optimiser.step()
        print(repr(meta_loss.item()))


if __name__ == "__main__":
    main()
