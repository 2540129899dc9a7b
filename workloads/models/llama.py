"""Llama 3.2 1B (Meta, "Llama 3.2: model card" and config.json, 2024): a decoder with rotary
positions, RMS norms, gated feed-forward layers and heads of queries that share keys and values.
"""

import torch
from torch import nn
from torch.nn import functional

from workloads.models.attention_cache import CachedAttention, past_of
from workloads.models.generate import LanguageModel

_VOCABULARY, _CONTEXT = 128_256, 131_072
_WIDTH, _LAYERS, _HIDDEN = 2048, 16, 8192
_HEADS, _KV_HEADS, _HEAD_WIDTH = 32, 8, 64
_THETA, _EPSILON = 500_000.0, 1e-5


class Rotary(nn.Module):
    """Rotary positions (Su et al., 2021), without the stretching of long contexts, whose work is
    done once and for all.
    """

    def forward(self, first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cosines and sines [count, width of a head] of positions from `first` on."""
        rates = _THETA ** -(torch.arange(0, _HEAD_WIDTH, 2) / _HEAD_WIDTH)
        angles = torch.arange(first, first + count)[:, None] * rates
        both = torch.cat((angles, angles), dim=-1)
        dtype = torch.get_default_dtype()
        return both.cos().to(dtype), both.sin().to(dtype)


def turned(x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return heads [batch, heads, tokens, width] turned by their positions."""
    cosines, sines = rotation
    first, second = x.chunk(2, dim=-1)
    return x * cosines + torch.cat((-second, first), dim=-1) * sines


class GroupedAttention(CachedAttention):
    """Attention in which four heads of queries share one of keys and values."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__(_KV_HEADS, _HEAD_WIDTH, causal=True)
        self.q = nn.Linear(_WIDTH, _HEADS * _HEAD_WIDTH, bias=False)
        self.k = nn.Linear(_WIDTH, _KV_HEADS * _HEAD_WIDTH, bias=False)
        self.v = nn.Linear(_WIDTH, _KV_HEADS * _HEAD_WIDTH, bias=False)
        self.out = nn.Linear(_HEADS * _HEAD_WIDTH, _WIDTH, bias=False)

    def forward(self, x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return [batch, tokens, width]."""
        q, k, v = (
            each(x).unflatten(2, (-1, _HEAD_WIDTH)).transpose(1, 2)
            for each in (self.q, self.k, self.v)
        )
        heads = self.attend(turned(q, rotation), turned(k, rotation), v)
        mixed: torch.Tensor = self.out(heads.transpose(1, 2).flatten(2))
        return mixed


class LlamaBlock(nn.Module):
    """Attention and a gated feed-forward layer, each behind an RMS norm and beside a shortcut."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__()
        self.norm1, self.attention = nn.RMSNorm(_WIDTH, _EPSILON), GroupedAttention()
        self.norm2 = nn.RMSNorm(_WIDTH, _EPSILON)
        self.gate = nn.Linear(_WIDTH, _HIDDEN, bias=False)
        self.up = nn.Linear(_WIDTH, _HIDDEN, bias=False)
        self.down = nn.Linear(_HIDDEN, _WIDTH, bias=False)

    def forward(self, x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return [batch, tokens, width]."""
        x = x + self.attention(self.norm1(x), rotation)
        y = self.norm2(x)
        z: torch.Tensor = x + self.down(functional.silu(self.gate(y)) * self.up(y))
        return z


class Llama(nn.Module):
    """Llama 3.2 1B: 1,235.8 M parameters, the head's weights those of the embedding."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__()
        self.token = nn.Embedding(_VOCABULARY, _WIDTH)
        self.rotary = Rotary()
        self.blocks = nn.ModuleList(LlamaBlock() for _ in range(_LAYERS))
        self.norm = nn.RMSNorm(_WIDTH, _EPSILON)
        self.head = nn.Linear(_WIDTH, _VOCABULARY, bias=False)
        self.head.weight = self.token.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return scores [batch, vocabulary] of the token after the last one."""
        rotation = self.rotary(past_of(self), tokens.shape[1])
        x = self.token(tokens)
        for block in self.blocks:
            x = block(x, rotation)
        scores: torch.Tensor = self.head(self.norm(x[:, -1]))
        return scores


LLAMA = LanguageModel(
    "llama_1b", "Llama 3.2 1B in bfloat16", Llama, _VOCABULARY, _CONTEXT, torch.bfloat16
)
