"""Layers that multiply integers of few bits: weights, activations and gradients are rounded."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

from workloads.recipes.methods.setup import Weighted, weighted

_TINY = 1e-12  # scale of an all-zero tensor, against division by zero


def rounded(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Return `x` on a symmetric grid of 2^bits - 1 points up to its largest magnitude.

    One scale per tensor. Gradients pass unchanged (straight through). The scale stays a tensor: no
    number is read back, so nothing waits.
    """
    most = 2 ** (bits - 1) - 1
    scale = torch.linalg.vector_norm(x.detach(), torch.inf) / most
    return on_grid(x, scale.clamp_min(_TINY), most)


def on_grid(x: torch.Tensor, scale: torch.Tensor, most: int) -> torch.Tensor:
    """Return `x` rounded to multiples of `scale` (one element), of at most `most` of them."""
    zero = torch.zeros(1, dtype=torch.int32)
    result: torch.Tensor = torch.fake_quantize_per_tensor_affine(
        x, scale.reshape(1), zero, -most, most
    )
    return result


class QuantisedLayer(nn.Module):
    """A convolution or linear layer whose products, forward and backward, are of integers.

    The parameters are those of the layer that it replaces.
    """

    def __init__(self, layer: Weighted, bits: int) -> None:
        """Replace `layer`; operands have `bits`."""
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.bits = bits
        self._place = (layer.stride, layer.padding) if isinstance(layer, nn.Conv2d) else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the rounded input [N, ...] and the rounded weights."""
        return self.product(x, rounded(self.weight, self.bits), self.bias)

    def product(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the product of `weight` and the rounded `x`; its gradient is rounded, too."""
        x = self._rounded(x)
        if self._place is None:
            y = functional.linear(x, weight, bias)
        else:
            y = functional.conv2d(x, weight, bias, *self._place)  # type: ignore[arg-type]
        if y.requires_grad:
            y.register_hook(self._rounded)  # type: ignore[no-untyped-call]
        return y

    def _rounded(self, x: torch.Tensor) -> torch.Tensor:
        return rounded(x, self.bits)


Layer = TypeVar("Layer", bound=nn.Module)


def replace_all(model: nn.Module, make: Callable[[Weighted], Layer]) -> list[Layer]:
    """Replace each convolution and linear layer by `make` of it; return the new ones."""
    made = []
    for name, layer in weighted(model):
        made.append(make(layer))
        model.set_submodule(name, made[-1])
    return made
