"""Momentum contrast: a queue of keys from an encoder that follows the one that learns."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class MoCo(nn.Module):
    def __init__(self, base_encoder, dim=8, K=32, m=0.9, T=0.2):
        super().__init__()
        self.K, self.m, self.T = K, m, T
        self.encoder_q = base_encoder(dim)
        self.encoder_k = base_encoder(dim)
        pairs = zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True)
        for param_q, param_k in pairs:
            param_k.data.copy_(param_q.data)
            param_k.requires_grad = False
        self.register_buffer("queue", nn.functional.normalize(torch.randn(dim, K), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def _momentum_update_key_encoder(self):
        pairs = zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True)
        for param_q, param_k in pairs:
            param_k.data = param_k.data * self.m + param_q.data * (1.0 - self.m)

    @torch.no_grad()
    def _dequeue_and_enqueue(self, keys):
        ptr = int(self.queue_ptr)
        self.queue[:, ptr : ptr + len(keys)] = keys.T
        self.queue_ptr[0] = (ptr + len(keys)) % self.K

    def forward(self, im_q, im_k):
        q = nn.functional.normalize(self.encoder_q(im_q), dim=1)
        with torch.no_grad():
            self._momentum_update_key_encoder()
            k = nn.functional.normalize(self.encoder_k(im_k), dim=1)
        l_pos = torch.einsum("nc,nc->n", [q, k]).unsqueeze(-1)
        l_neg = torch.einsum("nc,ck->nk", [q, self.queue.clone().detach()])
        logits = torch.cat([l_pos, l_neg], dim=1) / self.T
        self._dequeue_and_enqueue(k)
        return logits, torch.zeros(logits.shape[0], dtype=torch.long)


def encoder(dim):
    return nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, dim))


class TwoCropsTransform:
    def __call__(self, x):
        return [x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)]


def main():
    torch.manual_seed(8)
    crops, model = TwoCropsTransform(), MoCo(encoder)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(TensorDataset(torch.randn(64, 10)), 8, shuffle=True, drop_last=True)
    for _epoch in range(2):
        model.train()
        for (images,) in loader:
            output, target = model(*crops(images))
            loss = nn.CrossEntropyLoss()(output, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print(repr(loss.item()))


if __name__ == "__main__":
    main()
