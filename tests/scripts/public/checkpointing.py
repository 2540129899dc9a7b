"""Activation checkpointing: each block runs again during backward."""

import argparse

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class FeedForward(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return x + self.drop(self.w2(torch.relu(self.w1(self.norm(x)))))


class Model(nn.Module):
    def __init__(self, dim=16, hidden=32, layers=3, use_checkpoint=True):
        super().__init__()
        self.embed = nn.Linear(4, dim)
        self.layers = nn.ModuleList(FeedForward(dim, hidden) for _ in range(layers))
        self.out = nn.Linear(dim, 2)
        self.use_checkpoint = use_checkpoint

    def forward(self, x):
        x = self.embed(x)
        for layer in self.layers:
            if self.use_checkpoint and self.training:
                x = checkpoint(layer, x, use_reentrant=False)
            else:
                x = layer(x)
        return self.out(x)


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=8)
parser.add_argument("--eval-every", type=int, default=4)
args = parser.parse_args()
torch.manual_seed(0)
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for step in range(1, args.steps + 1):
    x = torch.randn(10, 4)
    loss = nn.functional.mse_loss(model(x), x[:, :2] * x[:, 2:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(repr(loss.item()))
    if step % args.eval_every == 0:
        model.eval()
        with torch.inference_mode():
            model(torch.randn(20, 4))
        model.train()
