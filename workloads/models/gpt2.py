"""GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019)."""

import torch
from torch import nn
from torch.nn import functional

from workloads.models.model import Sentences

_VOCABULARY, _CONTEXT = 50257, 1024
_WIDTH, _HEADS, _LAYERS = 768, 12, 12  # table 2 of the paper, "117M"


class Attention(nn.Module):
    """Causal self-attention over [batch, tokens, width]."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__()
        self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.out = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend to earlier tokens."""
        q, k, v = (
            part.unflatten(2, (_HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=2)
        )
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed: torch.Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return mixed


class Block(nn.Module):
    """Attention and a layer of four times the width, each behind a norm and beside a shortcut."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(_WIDTH), Attention()
        self.norm2, self.up = nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, 4 * _WIDTH)
        self.down = nn.Linear(4 * _WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [batch, tokens, width]."""
        x = x + self.attention(self.norm1(x))
        wide = functional.gelu(self.up(self.norm2(x)), approximate="tanh")
        mixed: torch.Tensor = x + self.down(wide)
        return mixed


class Gpt2(nn.Module):
    """GPT-2 small: 124.4 M parameters, the head's weights those of the embedding."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__()
        self.token = nn.Embedding(_VOCABULARY, _WIDTH)
        self.position = nn.Embedding(_CONTEXT, _WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(_LAYERS)))
        self.norm = nn.LayerNorm(_WIDTH)
        self.head = nn.Linear(_WIDTH, _VOCABULARY, bias=False)
        self.head.weight = self.token.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return scores [batch x tokens, vocabulary] of the next token."""
        places = torch.arange(tokens.shape[1])
        x = self.token(tokens) + self.position(places)
        scores: torch.Tensor = self.head(self.norm(self.blocks(x)))
        return scores.flatten(0, 1)


GPT2S = (
    Sentences("gpt2_small", "GPT-2 small on sequences of 1024", Gpt2, (_CONTEXT,), _VOCABULARY, 8),
)
"""The GPT-2 networks on offer."""
