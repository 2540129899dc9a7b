"""Mixed precision: autocast to bfloat16, a gradient scaler, unscaled before clipping."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class ResidualMLP(nn.Module):
    def __init__(self, width=24, depth=2, classes=5):
        super().__init__()
        self.stem = nn.Linear(10, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
            for _ in range(depth)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


def evaluate(net, loader, device):
    net.eval()
    hits = 0
    with torch.no_grad(), torch.autocast(device_type=device, dtype=torch.bfloat16):
        for inputs, labels in loader:
            hits += (net(inputs).argmax(1) == labels).sum().item()
    return hits


def main(device="cpu", epochs=2, use_amp=True):
    torch.manual_seed(2)
    train_set = TensorDataset(torch.randn(70, 10), torch.randint(5, (70,)))
    val_set = TensorDataset(torch.randn(30, 10), torch.randint(5, (30,)))
    net = ResidualMLP().to(device)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    scaler = torch.amp.GradScaler(device, enabled=use_amp, init_scale=256.0)
    for _epoch in range(epochs):
        net.train()
        for inputs, labels in DataLoader(train_set, batch_size=20, shuffle=True):
            with torch.autocast(device_type=device, dtype=torch.bfloat16, enabled=use_amp):
                loss = nn.functional.cross_entropy(net(inputs), labels)
            scaler.scale(loss).backward()
            scaler.unscale_(opt)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(opt)
            scaler.update()
            opt.zero_grad(set_to_none=True)
            print(repr(loss.item()))
        print("hits", evaluate(net, DataLoader(val_set, batch_size=15), device))


if __name__ == "__main__":
    main()
