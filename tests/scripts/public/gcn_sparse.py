"""Graph convolutions by a sparse adjacency matrix; validation without dropout in every epoch."""

import argparse
import math
import time

import torch
import torch.nn.functional as F
from torch import nn, optim

parser = argparse.ArgumentParser()
parser.add_argument("--fastmode", action="store_true", default=False)
parser.add_argument("--seed", type=int, default=42)
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--hidden", type=int, default=16)
parser.add_argument("--dropout", type=float, default=0.5)
args = parser.parse_args()
torch.manual_seed(args.seed)


class GraphConvolution(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_features, out_features))
        self.bias = nn.Parameter(torch.empty(out_features))
        stdv = 1.0 / math.sqrt(out_features)
        self.weight.data.uniform_(-stdv, stdv)
        self.bias.data.uniform_(-stdv, stdv)

    def forward(self, x, adj):
        support = torch.mm(x, self.weight)
        return torch.spmm(adj, support) + self.bias


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass, dropout):
        super().__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


def load_data(nodes=50):
    """Return a ring with chords: four neighbours each."""
    here = torch.arange(nodes)
    steps = torch.tensor([1, -1, 7, -7])
    row, col = here.repeat(4), (here.repeat(4) + steps.repeat_interleave(nodes)) % nodes
    adj = torch.sparse_coo_tensor(torch.stack([row, col]), torch.full((4 * nodes,), 0.25))
    features, labels = torch.randn(nodes, 12), torch.randint(4, (nodes,))
    return adj.coalesce(), features, labels, torch.arange(0, 30), torch.arange(30, nodes)


def accuracy(output, labels):
    return output.max(1)[1].eq(labels).double().mean().item()


adj, features, labels, idx_train, idx_val = load_data()
model = GCN(features.shape[1], args.hidden, labels.max().item() + 1, args.dropout)
optimizer = optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)


def train(epoch):
    time.time()
    model.train()
    optimizer.zero_grad()
    output = model(features, adj)
    loss_train = F.nll_loss(output[idx_train], labels[idx_train])
    loss_train.backward()
    optimizer.step()
    if not args.fastmode:
        model.eval()
        with torch.no_grad():
            output = model(features, adj)
    print(repr(loss_train.item()))
    print(f"Epoch: {epoch + 1:04d} acc_val: {accuracy(output[idx_val], labels[idx_val]):.4f}")


for epoch in range(args.epochs):
    train(epoch)
print("entries", adj._nnz())
