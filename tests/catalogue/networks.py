"""Small networks that between them use every kind of layer that trains, for tests of capture."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class Take(nn.Module):
    """Calls `layer` and passes on one item of what it returns."""

    def __init__(self, layer, index=0):
        super().__init__()
        self.layer = layer
        self.index = index

    def forward(self, x):
        return self.layer(x)[self.index]


class SelfAttention(nn.Module):
    """One block over [images, tokens, width]: `options` go to scaled_dot_product_attention."""

    def __init__(self, width=16, heads=4, key_heads=4, **options):
        super().__init__()
        self.heads, self.key_heads, self.options = heads, key_heads, options
        self.query = nn.Linear(width, width)
        self.keys = nn.Linear(width, 2 * key_heads * width // heads)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        q = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        parts = self.keys(x).chunk(2, dim=-1)
        k, v = (part.unflatten(-1, (self.key_heads, -1)).transpose(1, 2) for part in parts)
        y = functional.scaled_dot_product_attention(q, k, v, **self.options)
        return x + self.out(y.transpose(1, 2).flatten(2))


class Torso(nn.Module):
    """Tokens -> embedding -> normalisation -> body -> head, whose weight can be the embedding's.

    With `places` the first so many positions have an embedding too.
    """

    def __init__(self, body, words=20, width=16, tied=False, places=0):
        super().__init__()
        self.place = nn.Embedding(places, width) if places else None
        self.embed = nn.Embedding(words, width)
        self.norm = nn.LayerNorm(width)
        self.body = body
        self.head = nn.Linear(width, words)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens):
        x = self.embed(tokens)
        if self.place is not None:
            x = x + self.place(torch.arange(tokens.shape[1]))
        return self.head(self.body(self.norm(x))).flatten(0, -2)


class Bag(nn.Module):
    """The mean of the embeddings of each row of tokens, then a linear layer."""

    def __init__(self):
        super().__init__()
        self.embed = nn.EmbeddingBag(20, 16, mode="mean")
        self.head = nn.Linear(16, 20)

    def forward(self, tokens):
        return self.head(self.embed(tokens))


class Attended(nn.Module):
    """nn.MultiheadAttention of a sequence with itself."""

    def __init__(self, weights):
        super().__init__()
        self.attend = nn.MultiheadAttention(16, 4, batch_first=True)
        self.weights = weights

    def forward(self, x):
        return self.attend(x, x, x, need_weights=self.weights)[0]


class Recomputed(nn.Module):
    """Forgets what is inside `body` and computes it again in backward, if asked to."""

    def __init__(self, body, again=True):
        super().__init__()
        self.body = body
        self.again = again

    def forward(self, x):
        return checkpoint(self.body, x, use_reentrant=False) if self.again else self.body(x)


class Residual(nn.Module):
    """A block whose sum and activation overwrite what they are computed from."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.act(self.norm(self.stem(x)))
        y = self.norm2(self.conv(x))
        y += x
        return functional.adaptive_avg_pool2d(self.act(y), 1)


class InPlace(nn.Module):
    """Changes its activations where they lie, through views as well."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(12, 16)
        self.second = nn.Linear(16, 16)
        self.third = nn.Linear(16, 5)
        self.register_buffer("seen", torch.zeros(16))

    def forward(self, x):
        x = self.first(x).relu_()
        self.seen.lerp_(x.detach().mean(0), 0.1)
        y = self.second(x)
        y[:, ::2] *= 0.5
        scale = torch.empty_like(y).fill_(0.5)
        scale[:, ::3] = 2.0
        y *= scale
        y[:, 1:3].add_(x[:, 1:3])
        y.view(-1, 4, 4).transpose(1, 2).mul_(1 + self.seen.sum())
        return self.third(functional.dropout(y, 0.2, self.training).tanh_())


def perceptron(*widths, dropout=0.0):
    """Return linear layers of these widths with ReLU, and dropout, in between."""
    layers = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


def pictures(*layers):
    """Return a network of layers on images that ends in five scores per image."""
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(5))


def encoder(depth=1, dropout=0.1):
    """Return PyTorch's own transformer encoder, 16 wide with 4 heads."""
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout, batch_first=True)
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


def convolutions(dims, transposed=False):
    """Return ordinary, grouped, depthwise and dilated convolutions over `dims` dimensions."""
    kind = getattr(nn, f"ConvTranspose{dims}d" if transposed else f"Conv{dims}d")
    return (
        kind(4, 8, 3, stride=2, padding=1),
        nn.Tanh(),
        kind(8, 8, 3, padding=1, groups=2),
        nn.Tanh(),
        kind(8, 8, 3, padding=1, groups=8, bias=False),
        nn.Tanh(),
        kind(8, 4, 2, dilation=2),
    )


def normalised(*norms):
    """Return a convolution before each normalisation of eight channels."""
    layers = [nn.Conv2d(4, 8, 3, padding=1)]
    for norm in norms:
        layers += [norm, nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)]
    return layers
