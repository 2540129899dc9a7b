"""Fit a curve by L-BFGS with a strong-Wolfe line search; a closure evaluates the loss anew."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.linspace(-2, 2, 24).unsqueeze(1)
y = torch.sin(3 * x) + 0.1 * torch.randn_like(x)
model = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.LBFGS(
    model.parameters(), lr=0.8, max_iter=4, max_eval=10, line_search_fn="strong_wolfe"
)
evaluations = 0


def closure():
    global evaluations
    evaluations += 1
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    return loss


for _step in range(8):
    loss = optimizer.step(closure)
    print(repr(loss.item()))

with torch.no_grad():
    print(f"test loss {criterion(model(x + 0.01), y).item():.6f}")
print("evaluations", evaluations)
