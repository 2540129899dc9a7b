"""GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019)."""

import torch
from torch import nn
from torch.nn import functional

from workloads.models.attention_cache import past_of
from workloads.models.generate import LanguageModel
from workloads.models.model import Sentences
from workloads.models.transformer import TransformerBlock

_VOCABULARY, _CONTEXT = 50257, 1024
_WIDTH, _HEADS, _LAYERS = 768, 12, 12  # table 2 of the paper, "117M"


class GptBlock(TransformerBlock):
    """A causal block whose feed-forward layer is four times as wide, with approximate GELU."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__(_WIDTH, _HEADS, causal=True)
        self.up, self.down = nn.Linear(_WIDTH, 4 * _WIDTH), nn.Linear(4 * _WIDTH, _WIDTH)

    def feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [batch, tokens, width]."""
        y: torch.Tensor = self.down(functional.gelu(self.up(x), approximate="tanh"))
        return y


class Gpt2(nn.Module):
    """GPT-2 small: 124.4 M parameters, the head's weights those of the embedding."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__()
        self.token = nn.Embedding(_VOCABULARY, _WIDTH)
        self.position = nn.Embedding(_CONTEXT, _WIDTH)
        self.blocks = nn.Sequential(*(GptBlock() for _ in range(_LAYERS)))
        self.norm = nn.LayerNorm(_WIDTH)
        self.head = nn.Linear(_WIDTH, _VOCABULARY, bias=False)
        self.head.weight = self.token.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return scores [batch x tokens, vocabulary] of the next token."""
        scores: torch.Tensor = self.head(self.norm(self.blocks(self._embedded(tokens, 0))))
        return scores.flatten(0, 1)

    def _embedded(self, tokens: torch.Tensor, past: int) -> torch.Tensor:
        """Return [batch, tokens, width] of tokens that come after `past` others."""
        places = (
            torch.arange(past, past + tokens.shape[1]) if past else torch.arange(tokens.shape[1])
        )
        x: torch.Tensor = self.token(tokens) + self.position(places)
        return x


class GeneratingGpt2(Gpt2):
    """GPT-2 small as it generates: it needs the scores after the last token alone."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return scores [batch, vocabulary] of the token after the last one."""
        x = self.blocks(self._embedded(tokens, past_of(self)))
        scores: torch.Tensor = self.head(self.norm(x[:, -1]))
        return scores


GPT2S = (
    Sentences("gpt2_small", "GPT-2 small on sequences of 1024", Gpt2, (_CONTEXT,), _VOCABULARY, 8),
)
"""The GPT-2 networks that train."""
GPT2 = LanguageModel("gpt2", "GPT-2 small", GeneratingGpt2, _VOCABULARY, _CONTEXT, torch.float32)
