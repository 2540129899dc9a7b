"""Small synthetic networks, and what their compiled passes consist of: calls, tensors, launches.

None is a network that anybody trains, so that compiled networks remain to be predicted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

_DEPTHS = (2, 24)
_WIDTH = 6  # of the tiny tensors of `dispatch`


@dataclass(frozen=True)
class PassContents:
    """What a compiled pass has: lasting tensors, launches of loops, calls of libraries."""

    tensors: int
    kernels: int
    externs: int


@dataclass(frozen=True)
class SyntheticGraph:
    """A network, and the contents of its passes when inductor compiles it."""

    make: Callable[[], nn.Module]
    forward: PassContents
    backward: PassContents


def synthetic_graphs() -> Iterator[SyntheticGraph]:
    """Yield networks of two depths that tell a call, a tensor, a loop and a product apart."""
    for depth in _DEPTHS:
        # The input needs no gradient, so that the first layer has one product fewer.
        both = 2 * depth - 1
        yield SyntheticGraph(
            lambda n=depth: nn.Sequential(*_products(n)),  # type: ignore[misc]
            PassContents(depth, 0, depth), PassContents(depth, 0, both),
        )  # fmt: skip
        yield SyntheticGraph(
            lambda n=depth: nn.Sequential(*_products_and_loops(n)),  # type: ignore[misc]
            PassContents(depth, depth, depth), PassContents(depth, depth, both),
        )  # fmt: skip
        yield SyntheticGraph(
            lambda n=depth: _Scales(4 * n),  # type: ignore[misc]
            PassContents(4 * depth, 1, 0), PassContents(4 * depth, 1, 0),
        )  # fmt: skip


def _products(depth: int) -> Iterator[nn.Module]:
    for _ in range(depth):
        yield nn.Linear(_WIDTH, _WIDTH, bias=False)


def _products_and_loops(depth: int) -> Iterator[nn.Module]:
    for product in _products(depth):
        yield product
        yield nn.ReLU()


class _Scales(nn.Module):
    """Many parameters in one loop."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.scales = nn.ParameterList([nn.Parameter(torch.rand(())) for _ in range(count)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = x
        for scale in self.scales:
            total = total + scale
        return total
