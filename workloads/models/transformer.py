"""What the transformers share: self-attention and the pre-norm block around it."""

import torch
from torch import nn

from workloads.models.attention_cache import CachedAttention


class SelfAttention(CachedAttention):
    """Self-attention over [batch, tokens, width]; `causal` attends to earlier tokens only."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        """Start with random weights; `heads` divides `width`."""
        super().__init__(heads, width // heads, causal=causal)
        self._heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [batch, tokens, width]."""
        q, k, v = (
            part.unflatten(2, (self._heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=2)
        )
        heads = self.attend(q, k, v)
        mixed: torch.Tensor = self.out(heads.transpose(1, 2).flatten(2))
        return mixed


class TransformerBlock(nn.Module):
    """Attention and a feed-forward layer, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        """Start with random weights; subclasses add those of `feed_forward`."""
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), SelfAttention(width, heads, causal=causal)
        self.norm2 = nn.LayerNorm(width)

    def feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [batch, tokens, width], each token by itself."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [batch, tokens, width]."""
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))
