"""A mixture of experts with top-1 routing and a capacity: each step routes other rows."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WIDTH, HIDDEN, EXPERTS, CAPACITY_FACTOR = 12, 24, 4, 1.0


class SwitchFeedForward(nn.Module):
    """Rows beyond an expert's capacity pass by."""

    def __init__(self):
        super().__init__()
        self.switch = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, WIDTH))
            for _ in range(EXPERTS)
        )
        self.routed = 0

    def forward(self, x):
        probabilities, routes = torch.softmax(self.switch(x), dim=-1).max(dim=-1)
        capacity = int(CAPACITY_FACTOR * len(x) / EXPERTS)
        final = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = torch.eq(routes, i).nonzero(as_tuple=True)[0][:capacity]
            if len(rows) == 0:
                continue
            final[rows] = expert(x[rows]) * probabilities[rows].unsqueeze(-1)
            self.routed += len(rows)
        return x + final


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(6, WIDTH)
        self.moe = SwitchFeedForward()
        self.out = nn.Linear(WIDTH, 3)

    def forward(self, x):
        return self.out(self.moe(torch.relu(self.inp(x))))


torch.manual_seed(6)
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
data = TensorDataset(torch.randn(96, 6), torch.randint(3, (96,)))
routed = []
for _epoch in range(2):
    for x, y in DataLoader(data, batch_size=16, shuffle=True):
        model.moe.routed = 0
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        routed.append(model.moe.routed)
        print(repr(loss.item()))
print("routed", *routed)
