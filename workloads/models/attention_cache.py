"""Attention that keeps the keys and values of earlier tokens while a model generates."""

import torch
from torch import nn
from torch.nn import functional


class KvCache(nn.Module):
    """Keys and values [batch, heads, room, width] of the tokens so far, and of those to come.

    Its memory is there from the start: a new token writes its own keys and values and moves none.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, batch: int, heads: int, room: int, width: int) -> None:
        """Start empty, with room for so many tokens."""
        super().__init__()
        self.tokens = 0
        for name in ("keys", "values"):
            self.register_buffer(name, torch.zeros(batch, heads, room, width), persistent=False)

    def forward(
        self, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add those of new tokens, [batch, heads, new, width]; return those of all so far."""
        start, self.tokens = self.tokens, self.tokens + keys.shape[2]
        self.keys[:, :, start : self.tokens] = keys
        self.values[:, :, start : self.tokens] = values
        return self.keys[:, :, : self.tokens], self.values[:, :, : self.tokens]


class CachedAttention(nn.Module):
    """Attention whose keys and values go through a cache, once it has one.

    `kv_heads` heads of keys and values have this `width`; there are as many heads of queries, or a
    multiple.
    """

    def __init__(self, kv_heads: int, width: int, *, causal: bool) -> None:
        """Start without a cache, as for training."""
        super().__init__()
        self.cache: KvCache | None = None
        self._kv_heads, self._width, self._causal = kv_heads, width, causal

    @property
    def past(self) -> int:
        """The tokens in the cache."""
        return self.cache.tokens if self.cache is not None else 0

    def begin(self, batch: int, room: int) -> None:
        """Start with an empty cache of this room."""
        self.cache = KvCache(batch, self._kv_heads, room, self._width)

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Return [batch, heads, tokens, width] of queries, keys and values likewise."""
        if self.cache is not None:
            k, v = self.cache(k, v)
        if q.shape[2] > 1 or q.shape[1] == k.shape[1]:
            causal, grouped = self._causal and q.shape[2] > 1, q.shape[1] > k.shape[1]
            return functional.scaled_dot_product_attention(
                q, k, v, is_causal=causal, enable_gqa=grouped
            )
        # One query sees all keys: those that share a head of keys are its rows, so that no key is
        # copied or read twice.
        rows = q.view(q.shape[0], k.shape[1], -1, q.shape[3])
        return functional.scaled_dot_product_attention(rows, k, v).flatten(1, 2).unsqueeze(2)


def past_of(network: nn.Module) -> int:
    """Return the tokens that the attentions of `network` keep."""
    return next(each.past for each in network.modules() if isinstance(each, CachedAttention))


def begin(network: nn.Module, batch: int, room: int) -> None:
    """Give each attention of `network` an empty cache of this room."""
    for module in network.modules():
        if isinstance(module, CachedAttention):
            module.begin(batch, room)


def go_on(network: nn.Module, tokens: int) -> None:
    """Let the caches of `network` have so many tokens, whatever they are."""
    for module in network.modules():
        if isinstance(module, KvCache):
            module.tokens = tokens
