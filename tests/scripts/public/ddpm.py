"""Denoising diffusion of 2-D points, with an averaged network that samples at the end."""

import copy
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TIMESTEPS, WIDTH, EPOCHS, BATCH = 12, 16, 2, 32


class EMA:
    def __init__(self, beta):
        self.beta = beta

    @torch.no_grad()
    def update_model_average(self, ema_model, current_model):
        pairs = zip(current_model.parameters(), ema_model.parameters(), strict=True)
        for current, averaged in pairs:
            averaged.data = averaged.data * self.beta + (1 - self.beta) * current.data


class SinusoidalEmbedding(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, t):
        half = self.size // 2
        rates = torch.exp(torch.arange(half) * (-math.log(1000.0) / (half - 1)))
        angles = t[:, None].float() * rates[None]
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.time_mlp = nn.Sequential(SinusoidalEmbedding(8), nn.Linear(8, WIDTH), nn.SiLU())
        self.inp = nn.Linear(2, WIDTH)
        self.mid = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, 2)

    def forward(self, x, t):
        h = torch.relu(self.inp(x)) + self.time_mlp(t)
        return self.out(torch.relu(self.mid(h)))


class Diffusion:
    def __init__(self):
        self.beta = torch.linspace(1e-4, 0.2, TIMESTEPS)
        self.alpha = 1.0 - self.beta
        self.alpha_hat = torch.cumprod(self.alpha, dim=0)

    def noise(self, x, t):
        keep = torch.sqrt(self.alpha_hat[t])[:, None]
        add = torch.sqrt(1 - self.alpha_hat[t])[:, None]
        eps = torch.randn_like(x)
        return keep * x + add * eps, eps

    @torch.no_grad()
    def sample(self, model, n):
        model.eval()
        x = torch.randn(n, 2)
        for i in reversed(range(TIMESTEPS)):
            t = torch.full((n,), i, dtype=torch.long)
            scale = (1 - self.alpha[i]) / torch.sqrt(1 - self.alpha_hat[i])
            x = (x - scale * model(x, t)) / torch.sqrt(self.alpha[i])
            if i > 0:
                x += torch.sqrt(self.beta[i]) * torch.randn_like(x)
        model.train()
        return x


def main():
    torch.manual_seed(7)
    points = torch.randn(160, 2) * 0.1 + torch.randint(2, (160, 1)) * 2 - 1
    loader = DataLoader(TensorDataset(points), batch_size=BATCH, shuffle=True, drop_last=True)
    model, diffusion, ema = Denoiser(), Diffusion(), EMA(0.9)
    ema_model = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    mse = nn.MSELoss()
    for _epoch in range(EPOCHS):
        for (batch,) in loader:
            t = torch.randint(0, TIMESTEPS, (batch.shape[0],))
            noisy, eps = diffusion.noise(batch, t)
            loss = mse(model(noisy, t), eps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            ema.update_model_average(ema_model, model)
            print(repr(loss.item()))
    print(f"spread {diffusion.sample(ema_model, 16).std():.4f}")


if __name__ == "__main__":
    main()
