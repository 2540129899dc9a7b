"""The optimizers of a run."""

import weakref
from collections.abc import Iterable, Iterator

import torch


class Optimizers:
    """The optimizers that have stepped; none is kept alive."""

    def __init__(self, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        """Start with these."""
        self._references: list[weakref.ref[torch.optim.Optimizer]] = []
        for optimizer in optimizers:
            self.add(optimizer)

    def add(self, optimizer: torch.optim.Optimizer) -> None:
        """Add an optimizer, unless it is there."""
        if all(reference is not optimizer for reference in self):
            self._references = [
                reference for reference in self._references if reference() is not None
            ]
            self._references.append(weakref.ref(optimizer))

    def __iter__(self) -> Iterator[torch.optim.Optimizer]:
        """Yield those that live."""
        for reference in self._references:
            optimizer = reference()
            if optimizer is not None:
                yield optimizer
