"""Node classification by message passing with index_add, full batch, tested after each epoch."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(12345)
NODES, EDGES, FEATURES, HIDDEN, CLASSES = 40, 120, 12, 16, 4


class Data:
    def __init__(self):
        self.x = torch.randn(NODES, FEATURES)
        self.edge_index = torch.randint(NODES, (2, EDGES))
        self.y = torch.randint(CLASSES, (NODES,))
        self.train_mask = torch.arange(NODES) < NODES // 2
        self.test_mask = ~self.train_mask


class GCNConv(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.lin = nn.Linear(in_channels, out_channels, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x, edge_index):
        loops = torch.arange(x.size(0)).expand(2, -1)
        row, col = torch.cat([edge_index, loops], 1)
        deg = torch.zeros(x.size(0)).index_add_(0, col, torch.ones(len(col)))
        norm = deg.pow(-0.5)[row] * deg.pow(-0.5)[col]
        x = self.lin(x)
        messages = norm.view(-1, 1) * x[row]
        return torch.zeros_like(x).index_add(0, col, messages) + self.bias


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = GCNConv(FEATURES, HIDDEN)
        self.conv2 = GCNConv(HIDDEN, CLASSES)

    def forward(self, x, edge_index):
        x = self.conv1(x, edge_index).relu()
        x = F.dropout(x, p=0.5, training=self.training)
        return self.conv2(x, edge_index)


data, model = Data(), GCN()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
criterion = nn.CrossEntropyLoss()


def train():
    model.train()
    optimizer.zero_grad()
    out = model(data.x, data.edge_index)
    loss = criterion(out[data.train_mask], data.y[data.train_mask])
    loss.backward()
    optimizer.step()
    return loss


@torch.no_grad()
def test():
    model.eval()
    pred = model(data.x, data.edge_index).argmax(dim=1)
    return int((pred == data.y)[data.test_mask].sum()) / int(data.test_mask.sum())


for epoch in range(1, 9):
    loss = train()
    print(repr(loss.item()))
    print(f"Epoch: {epoch:03d}, Test: {test():.4f}")
