"""Classify padded sequences with an LSTM that runs over their true lengths."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, Dataset

MAX_LENGTH, VOCAB, EMBED, HIDDEN = 12, 30, 8, 16


class Reviews(Dataset):
    """Every row is padded to MAX_LENGTH."""

    def __init__(self, size):
        self.tokens = torch.randint(1, VOCAB, (size, MAX_LENGTH))
        self.lengths = torch.randint(2, MAX_LENGTH + 1, (size,))
        self.labels = (self.tokens[:, 0] > VOCAB // 2).float()
        for row, length in zip(self.tokens, self.lengths, strict=True):
            row[length:] = 0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.tokens[index], self.lengths[index], self.labels[index]


class LSTMClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, EMBED, padding_idx=0)
        self.lstm = nn.LSTM(EMBED, HIDDEN, batch_first=True)
        self.fc = nn.Linear(HIDDEN, 1)

    def forward(self, text, text_lengths):
        embedded = self.embedding(text)
        packed = pack_padded_sequence(
            embedded, text_lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, (hidden, _) = self.lstm(packed)
        return self.fc(hidden[-1]).squeeze(1)


torch.manual_seed(3)
train_data, test_data = Reviews(80), Reviews(16)
train_loader = DataLoader(train_data, batch_size=8, shuffle=True)
model = LSTMClassifier()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = nn.BCEWithLogitsLoss()
train_tokens = test_tokens = 0
for _epoch in range(2):
    model.train()
    for text, lengths, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(text, lengths), labels)
        loss.backward()
        optimizer.step()
        train_tokens += lengths.sum().item()
        print(repr(loss.item()))
    model.eval()
    with torch.no_grad():
        for text, lengths, _labels in DataLoader(test_data, batch_size=8):
            model(text, lengths)
            test_tokens += lengths.sum().item()
print("train_tokens", train_tokens)
print("test_tokens", test_tokens)
