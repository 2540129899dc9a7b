"""Federated averaging: in each round some clients train copies of the server's network."""

import argparse
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset


def args_parser():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--num_users", type=int, default=6)
    parser.add_argument("--frac", type=float, default=0.5)
    parser.add_argument("--local_ep", type=int, default=1)
    parser.add_argument("--local_bs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


class MLP(nn.Module):
    def __init__(self, dim_in, dim_hidden, dim_out):
        super().__init__()
        self.layer_input = nn.Linear(dim_in, dim_hidden)
        self.dropout = nn.Dropout()
        self.layer_hidden = nn.Linear(dim_hidden, dim_out)

    def forward(self, x):
        return self.layer_hidden(torch.relu(self.dropout(self.layer_input(x))))


class LocalUpdate:
    def __init__(self, args, dataset, idxs):
        self.args = args
        self.trainloader = DataLoader(Subset(dataset, idxs), batch_size=args.local_bs, shuffle=True)
        self.criterion = nn.CrossEntropyLoss()

    def update_weights(self, model):
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        for _iter in range(self.args.local_ep):
            for images, labels in self.trainloader:
                model.zero_grad()
                loss = self.criterion(model(images), labels)
                loss.backward()
                optimizer.step()
                print(repr(loss.item()))
        return model.state_dict()


def average_weights(w):
    w_avg = copy.deepcopy(w[0])
    for key in w_avg:
        for other in w[1:]:
            w_avg[key] += other[key]
        w_avg[key] = torch.div(w_avg[key], len(w))
    return w_avg


def test_inference(model, dataset):
    model.eval()
    correct = 0.0
    with torch.no_grad():
        for images, labels in DataLoader(dataset, batch_size=30, shuffle=False):
            correct += (model(images).argmax(1) == labels).sum().item()
    return correct / len(dataset)


if __name__ == "__main__":
    args = args_parser()
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    train_set = TensorDataset(torch.randn(120, 10), torch.randint(3, (120,)))
    test_set = TensorDataset(torch.randn(60, 10), torch.randint(3, (60,)))
    user_groups = np.array_split(np.random.permutation(len(train_set)), args.num_users)
    global_model = MLP(10, 12, 3)
    for _round in range(args.rounds):
        local_weights = []
        m = max(int(args.frac * args.num_users), 1)
        for idx in np.random.choice(range(args.num_users), m, replace=False):
            local = LocalUpdate(args, train_set, user_groups[idx])
            w = local.update_weights(model=copy.deepcopy(global_model))
            local_weights.append(copy.deepcopy(w))
        global_model.load_state_dict(average_weights(local_weights))
        print(f"accuracy {test_inference(global_model, test_set):.3f}")
