"""A model for capture by shapes: a network, its samples, a batch size."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Model:
    """A classifier and how it is trained; the docstring of `build` has the source.

    `shape` is that of one sample, without the batch; `batch` the default number of samples per
    step; `loss` makes a module of scores [N, classes] and labels [N].
    """

    name: str
    about: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    classes: int
    batch: int
    loss: Callable[[], nn.Module] = nn.CrossEntropyLoss

    def samples(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return random inputs [batch, *shape] and labels [batch] from 0 to classes - 1."""
        return torch.randn(batch, *self.shape), torch.randint(self.classes, (batch,))


class Sentences(Model):
    """A language model: samples are token sequences, labels the token after each one."""

    def samples(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return random tokens [batch, *shape] and the next ones, [batch x tokens]."""
        tokens = torch.randint(self.classes, (batch, *self.shape))
        return tokens, torch.randint(self.classes, (tokens.numel(),))
