"""A network with what trains it, and the usual step: forward, backward, optimizer."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

Part = Callable[[str], AbstractContextManager[object]]


def _anything(_: str) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass
class Setup:
    """A network with what trains it; `options` change the loop of `Setup.step`."""

    model: nn.Module
    optimizers: list[torch.optim.Optimizer]
    x: torch.Tensor
    y: torch.Tensor
    loop: "Callable[[Setup, int, Part], list[float]] | None" = None
    others: list[nn.Module] = field(default_factory=list)
    autocast: torch.dtype | None = None
    scaler: torch.amp.GradScaler | None = None
    micro_batches: int = 1
    clip: float = 0.0
    compiled: nn.Module | None = None

    @property
    def models(self):
        """Every network that is trained."""
        return [self.model, *self.others]

    def train(self, steps, part=_anything):
        """Train `steps` steps and return the loss of each."""
        if self.loop is not None:
            return self.loop(self, steps, part)
        return [self.step(self.x, self.y, part) for _ in range(steps)]

    def step(self, x, y, part=_anything):
        """Train one step on x and y, in `micro_batches` parts, and return the loss."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        total = 0.0
        rows = zip(x.chunk(self.micro_batches), y.chunk(self.micro_batches), strict=True)
        for inputs, labels in rows:
            with part("forward"):
                loss = self.loss(inputs, labels) / self.micro_batches
            with part("backward"):
                (self.scaler.scale(loss) if self.scaler else loss).backward()
            total += loss.item()
        with part("optimizer"):
            self.update()
        return total

    def loss(self, x, y):
        """Return the cross entropy of the network's scores for x against the labels y."""
        network = self.compiled or self.model
        with torch.autocast("cpu", self.autocast, enabled=self.autocast is not None):
            return functional.cross_entropy(network(x), y)

    def update(self):
        """Let every optimizer step, after unscaling and clipping where that is asked for."""
        for optimizer in self.optimizers:
            if self.scaler:
                self.scaler.unscale_(optimizer)
        if self.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer) if self.scaler else optimizer.step()
        if self.scaler:
            self.scaler.update()
