"""Skip-gram with negative sampling: sparse embedding gradients, SparseAdam."""

import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

VOCAB, DIM, WINDOW, NEGATIVES, BATCH = 40, 12, 2, 5, 16


class Word2vecDataset(Dataset):
    def __init__(self, corpus, rng):
        self.rng = rng
        self.pairs = [
            (corpus[i], corpus[j])
            for i in range(len(corpus))
            for j in range(max(0, i - WINDOW), min(len(corpus), i + WINDOW + 1))
            if i != j
        ]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, idx):
        u, v = self.pairs[idx]
        return u, v, self.rng.integers(VOCAB, size=NEGATIVES)

    @staticmethod
    def collate(batches):
        u, v, negatives = zip(*batches, strict=True)
        return torch.LongTensor(u), torch.LongTensor(v), torch.LongTensor(np.stack(negatives))


class SkipGramModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.u_embeddings = nn.Embedding(VOCAB, DIM, sparse=True)
        self.v_embeddings = nn.Embedding(VOCAB, DIM, sparse=True)
        nn.init.uniform_(self.u_embeddings.weight, -1.0 / DIM, 1.0 / DIM)

    def forward(self, pos_u, pos_v, neg_v):
        emb_u, emb_v = self.u_embeddings(pos_u), self.v_embeddings(pos_v)
        emb_neg_v = self.v_embeddings(neg_v)
        score = -F.logsigmoid(torch.clamp((emb_u * emb_v).sum(dim=1), max=10, min=-10))
        neg_score = torch.bmm(emb_neg_v, emb_u.unsqueeze(2)).squeeze()
        neg_score = -F.logsigmoid(-torch.clamp(neg_score, max=10, min=-10)).sum(dim=1)
        return torch.mean(score + neg_score)


rng = np.random.default_rng(0)
torch.manual_seed(0)
dataset = Word2vecDataset(rng.integers(VOCAB, size=41).tolist(), rng)
loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, collate_fn=dataset.collate)
model = SkipGramModel()
for _iteration in range(2):
    optimizer = optim.SparseAdam(list(model.parameters()), lr=0.01)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, len(loader))
    for pos_u, pos_v, neg_v in loader:
        optimizer.zero_grad()
        loss = model(pos_u, pos_v, neg_v)
        loss.backward()
        optimizer.step()
        scheduler.step()
        print(repr(loss.item()))
