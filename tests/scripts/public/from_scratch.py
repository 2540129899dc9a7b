"""A network without nn.Module and an optimizer without torch.optim, as introductions write it."""

import random

import torch

random.seed(0)
torch.manual_seed(0)


def synthetic_data(w, b, num_examples):
    X = torch.normal(0, 1, (num_examples, w.shape[0]))
    y = (X.unsqueeze(2) * w).sum(1) + b
    return X, y + torch.normal(0, 0.01, y.shape)


def data_iter(batch_size, features, labels):
    indices = list(range(len(features)))
    random.shuffle(indices)
    for i in range(0, len(features), batch_size):
        batch = torch.tensor(indices[i : i + batch_size])
        yield features[batch], labels[batch]


class SGD:
    """Minibatch stochastic gradient descent."""

    def __init__(self, params, lr):
        self.params, self.lr = params, lr

    def step(self):
        with torch.no_grad():
            for param in self.params:
                param -= self.lr * param.grad

    def zero_grad(self):
        for param in self.params:
            if param.grad is not None:
                param.grad.zero_()


def net(X, params):
    W1, b1, W2, b2 = params
    return torch.relu(X @ W1 + b1) @ W2 + b2


def squared_loss(y_hat, y):
    return ((y_hat - y.reshape(y_hat.shape)) ** 2 / 2).mean()


with torch.no_grad():
    features, labels = synthetic_data(torch.randn(6, 2), 4.2, 60)
params = [torch.randn(6, 10) * 0.3, torch.zeros(10), torch.randn(10, 2) * 0.3, torch.zeros(2)]
for param in params:
    param.requires_grad_()
optimizer = SGD(params, lr=0.05)
for epoch in range(3):
    for X, y in data_iter(10, features, labels):
        loss = squared_loss(net(X, params), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(repr(loss.item()))
    with torch.no_grad():
        print(f"epoch {epoch + 1}, loss {squared_loss(net(features, params), labels):f}")
