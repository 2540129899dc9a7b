"""Resource-constrained training: one copy of the weights, in few bits, more where needed.

RCT (arXiv:2103.14493, IEEE TNNLS 2022, doi 10.1109/TNNLS.2022.3190451) and APT (arXiv:2012.12775);
of both only the abstracts were at hand.

From the abstracts: one quantised copy and no fp32 master; the bits of each layer change during
training. From a summary by others: every few batches, Gavg = mean |gradient| / eps of a layer is
compared; one bit more below Tmin, one less above Tmax. From memory, with low confidence: w <- w -
trunc(lr g / eps) eps, eps = (max - min) / (2^k - 1), start at 6 bits, Tmin = 6, Tmax infinite.

Choices: max and min are a power of two (less eps on the positive side) that covers the layer's
weights and doubles when they reach it, so that a finer grid contains the coarser one and every
point is exact; Gavg is the mean since the last check; how often that is; at most 16 bits;
activations and gradients have the bits of their layer; no momentum, but the rate that momentum
amounts to, no weight decay; biases and normalisation stay fp32. The numbers of a check are read
every few batches, which a capture counts as steps like the others.
"""

from collections.abc import Iterable, Sequence
from math import ceil, inf, log2
from typing import Any

import torch
from torch import nn

from simulator.trace.passes.treatment import Treatment
from workloads.capture import note, treat
from workloads.recipes.methods.rounding import QuantisedLayer, replace_all
from workloads.recipes.methods.setup import MOMENTUM, Options, Setup, Weighted

FIRST_BITS = 6  # from memory, see above
T_MIN, T_MAX = 6.0, inf  # from memory, see above
MOST_BITS = 16  # a choice: the widest integer of common arrays
INTERVAL = 9  # batches between checks, a choice: five per epoch of the digits


class GridLayer(QuantisedLayer):
    """A layer whose weights are multiples of eps from -reach to reach - eps, 2^bits of them."""

    def __init__(self, layer: Weighted) -> None:
        """Round the weights of `layer` to the first grid."""
        super().__init__(layer, FIRST_BITS)
        self.reach: float = 2.0 ** ceil(log2(float(self.weight.detach().abs().max())))
        self.settle(FIRST_BITS)

    @property
    def eps(self) -> float:
        """Distance of the grid's points, (max - min) / (2^bits - 1)."""
        return float(self.reach / 2 ** (self.bits - 1))

    @torch.no_grad()
    def settle(self, bits: int) -> None:
        """Take this many bits, round the weights to the grid, and declare them to a capture."""
        self.bits = bits
        low, high = -self.reach, self.reach - self.eps
        torch.clamp(torch.round(self.weight / self.eps) * self.eps, low, high, out=self.weight)
        treat(self, Treatment(bits, bits, bits), "rct")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the rounded input [N, ...] and the weights on their grid."""
        return self.product(x, self.weight, self.bias)


def changed(bits: int, gavg: float) -> int:
    """Return the bits of a layer after a check: Algorithm 1."""
    if gavg < T_MIN:
        return min(bits + 1, MOST_BITS)
    return bits - 1 if gavg > T_MAX else bits


class GridSGD(torch.optim.Optimizer):
    """SGD in whole steps of each layer's grid, which checks refine; plain for other parameters."""

    def __init__(
        self, layers: Sequence[GridLayer], others: Iterable[nn.Parameter], rate: float
    ) -> None:
        """Update the weights of `layers`, and `others` in fp32."""
        self.layers = list(layers)
        self._steps = 0
        groups: list[dict[str, Any]] = [
            {"params": [layer.weight for layer in layers]},
            {"params": list(others)},
        ]
        super().__init__(groups, {"lr": rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update all parameters; every few calls, the bits as well. Takes no closure."""
        if closure is not None:
            raise ValueError("GridSGD takes no closure")
        gridded, others = self.param_groups
        for layer in self.layers:
            self._update(layer, gridded["lr"])
        for parameter in others["params"]:
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=-others["lr"])
        self._steps += 1
        if self._steps % INTERVAL == 0:
            for layer in self.layers:
                self._check(layer)

    def _update(self, layer: GridLayer, rate: float) -> None:
        weight, gradient, eps = layer.weight, layer.weight.grad, layer.eps
        if gradient is None:
            return
        updated = weight - torch.trunc(gradient * (rate / eps)) * eps
        torch.clamp(updated, -layer.reach, layer.reach - eps, out=weight)
        state = self.state[weight]
        if not state:
            state["gradients"] = torch.zeros(())
        state["gradients"] += torch.linalg.vector_norm(gradient, 1)

    def _check(self, layer: GridLayer) -> None:
        total = self.state[layer.weight].get("gradients")
        if total is None:
            return
        gavg = float(total) / (INTERVAL * layer.weight.numel() * layer.eps)
        total.zero_()
        bits = changed(layer.bits, gavg)
        full = float(layer.weight.abs().max()) >= layer.reach - layer.eps
        if full:
            layer.reach *= 2
        if full or bits != layer.bits:
            layer.settle(bits)


def prepare(model: nn.Module, options: Options) -> Setup:
    """Put the weights of every layer on a grid."""
    layers = replace_all(model, GridLayer)
    own = {id(layer.weight) for layer in layers}
    others = [p for p in model.parameters() if id(p) not in own]
    rate = options.net.rate / (1 - MOMENTUM)

    def tell(epoch: int) -> None:  # noqa: ARG001
        bits = [layer.bits for layer in layers]
        note("bits", sum(bits) / len(bits))
        print(
            f"            {min(bits)} to {max(bits)} bits, {sum(bits) / len(bits):.1f} on average"
        )

    return Setup(model, GridSGD(layers, others, rate), after_epoch=tell)
