"""DP-SGD: per-sample gradients by vmap of grad, clipped, summed and made noisy."""

import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
MAX_GRAD_NORM, NOISE = 1.0, 0.5
model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
data = TensorDataset(torch.randn(64, 10), torch.randint(3, (64,)))


def compute_loss(params, buffers, sample, target):
    predictions = functional_call(model, (params, buffers), (sample.unsqueeze(0),))
    return nn.functional.cross_entropy(predictions, target.unsqueeze(0))


per_sample = vmap(grad_and_value(compute_loss), in_dims=(None, None, 0, 0))


def clip(grads):
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in grads.values()]).norm(dim=0)
    factor = (MAX_GRAD_NORM / (norms + 1e-6)).clamp(max=1.0)
    return {name: (g.T * factor).T.sum(0) for name, g in grads.items()}


for _epoch in range(2):
    for samples, targets in DataLoader(data, batch_size=16, shuffle=True):
        params = {name: p.detach() for name, p in model.named_parameters()}
        buffers = {name: b.detach() for name, b in model.named_buffers()}
        grads, losses = per_sample(params, buffers, samples, targets)
        clipped = clip(grads)
        for name, p in model.named_parameters():
            noise = torch.randn_like(p) * NOISE * MAX_GRAD_NORM
            p.grad = (clipped[name] + noise) / len(samples)
        optimizer.step()
        optimizer.zero_grad()
        print(repr(losses.mean().item()))
