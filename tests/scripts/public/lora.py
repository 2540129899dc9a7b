"""Low-rank adapters on a frozen network: only their two small matrices learn."""

import math
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class LoRALinear(nn.Module):
    def __init__(self, base, rank=2, alpha=4, dropout=0.0):
        super().__init__()
        self.base = base
        for parameter in self.base.parameters():
            parameter.requires_grad = False
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.lora_dropout = nn.Dropout(dropout)
        self.scaling = alpha / rank
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x):
        update = self.lora_dropout(x) @ self.lora_A.T @ self.lora_B.T
        return self.base(x) + update * self.scaling


def inject(model, targets):
    for name, module in list(model.named_children()):
        if isinstance(module, nn.Linear) and name in targets:
            setattr(model, name, LoRALinear(module))
        else:
            inject(module, targets)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.up_proj = nn.Linear(16, 32)
        self.act = nn.SiLU()
        self.down_proj = nn.Linear(32, 16)
        self.score = nn.Linear(16, 3)

    def forward(self, x):
        return self.score(self.down_proj(self.act(self.up_proj(x))))


def print_trainable_parameters(model):
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    every = sum(p.numel() for p in model.parameters())
    print(f"trainable params: {trainable} || all params: {every}", file=sys.stderr)


torch.manual_seed(11)
model = MLP()
for parameter in model.parameters():
    parameter.requires_grad = False
inject(model, ["up_proj", "down_proj"])
print_trainable_parameters(model)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
data = TensorDataset(torch.randn(60, 16), torch.randint(3, (60,)))
for _epoch in range(2):
    model.train()
    for x, y in DataLoader(data, batch_size=12, shuffle=True):
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        print(repr(loss.item()))
