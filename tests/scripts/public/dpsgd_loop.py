"""DP-SGD sample by sample: backward for each, clip, add up, then one noisy step."""

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

lr, noise_scale, gradient_norm, batch_size = 0.1, 0.4, 1.0, 6
torch.manual_seed(5)
model = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 2))
loss_func = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr)
loader = DataLoader(
    TensorDataset(torch.randn(27, 8), torch.randint(2, (27,))), batch_size, shuffle=True
)

for _epoch in range(2):
    for batch_x, batch_y in loader:
        clipped_grads = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
        total = 0.0
        for i in range(batch_x.shape[0]):
            optimizer.zero_grad()
            loss = loss_func(model(batch_x[i : i + 1]), batch_y[i : i + 1])
            loss.backward()
            total += loss.item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=gradient_norm)
            for name, param in model.named_parameters():
                clipped_grads[name] += param.grad
        for name, param in model.named_parameters():
            clipped_grads[name] += gradient_norm * noise_scale * torch.randn_like(param)
            param.grad = clipped_grads[name] / batch_x.shape[0]
        optimizer.step()
        print(repr(total / batch_x.shape[0]))
