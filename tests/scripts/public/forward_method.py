"""A recommender by matrix factorisation whose networks are called by `.forward`."""

import torch
from torch import nn, optim


class NeuMF(nn.Module):
    def __init__(self, users, items, width):
        super().__init__()
        self.user = nn.Embedding(users, width)
        self.item = nn.Embedding(items, width)
        self.fc1 = nn.Linear(2 * width, 16)
        self.fc2 = nn.Linear(16, 1)

    def forward(self, user, item):
        x = torch.cat([self.user(user), self.item(item)], dim=-1)
        return torch.sigmoid(self.fc2(torch.relu(self.fc1(x)))).squeeze(-1)


torch.manual_seed(21)
users, items = torch.randint(15, (72,)), torch.randint(25, (72,))
ratings = torch.randint(2, (72,)).float()
model = NeuMF(15, 25, 8)
optimizer = optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.BCELoss()
for epoch in range(3):
    permutation = torch.randperm(60)
    for i in range(0, 60, 12):
        rows = permutation[i : i + 12]
        optimizer.zero_grad()
        prediction = model.forward(users[rows], items[rows])
        loss = criterion(prediction, ratings[rows])
        loss.backward()
        optimizer.step()
        print(repr(loss.item()))
    with torch.no_grad():
        held_out = model.forward(users[60:], items[60:])
        print(f"epoch {epoch}: {((held_out > 0.5) == ratings[60:]).float().mean():.3f}")
