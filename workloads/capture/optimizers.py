"""The optimizers of a run."""

import weakref
from collections.abc import Iterable, Iterator

import torch


class Optimizers:
    """The optimizers that stepped so far; none is kept alive."""

    def __init__(self, given: Iterable[torch.optim.Optimizer]) -> None:
        """Begin with those that are given."""
        self._known: list[weakref.ref[torch.optim.Optimizer]] = []
        for optimizer in given:
            self.add(optimizer)

    def add(self, optimizer: torch.optim.Optimizer) -> None:
        """Take an optimizer in, unless it is known."""
        if all(known is not optimizer for known in self):
            self._known = [known for known in self._known if known() is not None]
            self._known.append(weakref.ref(optimizer))

    def __iter__(self) -> Iterator[torch.optim.Optimizer]:
        """Yield those that live."""
        for known in self._known:
            optimizer = known()
            if optimizer is not None:
                yield optimizer
