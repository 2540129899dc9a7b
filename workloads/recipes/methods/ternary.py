"""Ternary weight networks: weights are -a, 0 or +a, activations int8.

From Li, Zhang, Liu, "Ternary Weight Networks", 2016, arXiv:1605.04711: a weight is 0 if its
magnitude is at most 0.7 of the mean one, a is the mean magnitude of the others; fp32 weights remain
and learn by the gradient of the ternary ones. Choices: activations and their gradients are int8; a
multiplies the output, so that the product itself takes two bits; weights beyond 3 times the
threshold get no gradient, as torch's rounding clips it; all layers are ternary.
"""

import torch
from torch import nn

from simulator.trace.passes.treatment import Treatment
from workloads.capture import treat
from workloads.recipes.methods.rounding import QuantisedLayer, on_grid, replace_all
from workloads.recipes.methods.setup import Options, Setup, plain

THRESHOLD = 0.7  # of the mean magnitude: Li et al., equation 6
BITS = 8
TREATMENT = Treatment(weights=2, activations=BITS, gradients=BITS, master=True)


class TernaryLayer(QuantisedLayer):
    """A layer of ternary weights."""

    def ternary(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights as -s, 0 and s, and a / s. Rounding to multiples of s is a threshold
        at s / 2.
        """
        size = self.weight.detach().abs()
        step = 2 * THRESHOLD * size.mean()
        weight = on_grid(self.weight, step, 1)
        nonzero = weight.detach() != 0
        return weight, (size * nonzero).sum() / (nonzero.sum() * step)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the int8 input [N, ...] and the ternary weights."""
        weight, ratio = self.ternary()
        y = self.product(x, weight, None) * ratio
        return y if self.bias is None else y + self.bias.view(-1, *[1] * (y.dim() - 2))


def prepare(model: nn.Module, options: Options) -> Setup:
    """Make every layer's weights ternary."""
    for layer in replace_all(model, lambda layer: TernaryLayer(layer, BITS)):
        treat(layer, TREATMENT, "ternary")
    return plain(model, options)
