"""Translation by an encoder and a decoder with two optimizers, token by token."""

import random

import torch
from torch import nn, optim

SOS, EOS, VOCAB, HIDDEN = 0, 1, 16, 12
random.seed(2)
torch.manual_seed(2)


class EncoderRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, HIDDEN)
        self.gru = nn.GRU(HIDDEN, HIDDEN)

    def forward(self, input, hidden):
        return self.gru(self.embedding(input).view(1, 1, -1), hidden)

    def initHidden(self):
        return torch.zeros(1, 1, HIDDEN)


class DecoderRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, HIDDEN)
        self.gru = nn.GRU(HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, VOCAB)

    def forward(self, input, hidden):
        output = torch.relu(self.embedding(input).view(1, 1, -1))
        output, hidden = self.gru(output, hidden)
        return torch.log_softmax(self.out(output[0]), dim=1), hidden


def sentence():
    words = [random.randrange(2, VOCAB) for _ in range(random.randint(2, 6))]
    return torch.tensor([*words, EOS]).view(-1, 1)


pairs = [(sentence(), sentence()) for _ in range(12)]
encoder, decoder = EncoderRNN(), DecoderRNN()
encoder_optimizer = optim.SGD(encoder.parameters(), lr=0.05)
decoder_optimizer = optim.SGD(decoder.parameters(), lr=0.05)
criterion = nn.NLLLoss()
encoded = decoded = 0


def train(source, target):
    global encoded, decoded
    hidden = encoder.initHidden()
    encoder_optimizer.zero_grad()
    decoder_optimizer.zero_grad()
    loss = 0
    for word in source:
        _, hidden = encoder(word, hidden)
    encoded += len(source)
    word = torch.tensor([[SOS]])
    teacher_forcing = random.random() < 0.5
    for expected in target:
        output, hidden = decoder(word, hidden)
        decoded += 1
        loss += criterion(output, expected)
        word = expected if teacher_forcing else output.topk(1)[1].squeeze().detach()
        if word.item() == EOS:
            break
    loss.backward()
    encoder_optimizer.step()
    decoder_optimizer.step()
    return loss.item() / len(target)


for _iteration in range(15):
    print(repr(train(*random.choice(pairs))))
print("encoded", encoded)
print("decoded", decoded)
