"""A recurrent language model whose parameters are updated by hand, with truncated backward."""

import torch
from torch import nn

BATCH, BPTT, EMBED, HIDDEN, VOCAB, LR, CLIP = 4, 6, 8, 12, 20, 2.0, 0.25
torch.manual_seed(1111)


class RNNModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(VOCAB, EMBED)
        self.rnn = nn.RNN(EMBED, HIDDEN)
        self.decoder = nn.Linear(HIDDEN, VOCAB)

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.encoder(input), hidden)
        return torch.log_softmax(self.decoder(output).view(-1, VOCAB), dim=1), hidden

    def init_hidden(self, size):
        return next(self.parameters()).new_zeros(1, size, HIDDEN)


def batchify(data, size):
    rows = data.size(0) // size
    return data[: rows * size].view(size, -1).t().contiguous()


def repackage_hidden(h):
    return h.detach() if isinstance(h, torch.Tensor) else tuple(repackage_hidden(v) for v in h)


def get_batch(source, i):
    seq_len = min(BPTT, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


train_data = batchify(torch.randint(VOCAB, (112,)), BATCH)
val_data = batchify(torch.randint(VOCAB, (26,)), 2)
model = RNNModel()
criterion = nn.NLLLoss()


def evaluate(source):
    model.eval()
    total, hidden = 0.0, model.init_hidden(2)
    with torch.no_grad():
        for i in range(0, source.size(0) - 1, BPTT):
            data, targets = get_batch(source, i)
            output, hidden = model(data, hidden)
            total += len(data) * criterion(output, targets).item()
    return total / (len(source) - 1)


def train():
    model.train()
    hidden = model.init_hidden(BATCH)
    for i in range(0, train_data.size(0) - 1, BPTT):
        data, targets = get_batch(train_data, i)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-LR)
        print(repr(loss.item()))


for _epoch in range(3):
    train()
    print(f"valid loss {evaluate(val_data):.4f}")
