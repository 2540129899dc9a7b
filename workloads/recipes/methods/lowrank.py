"""SVD training: convolutions as two low-rank factors that are trained directly.

From Yang et al., "Learning Low-rank Deep Neural Networks via Singular Vector Orthogonality
Regularization and Singular Value Sparsification", 2020, arXiv:2004.09031: the parameters are U
diag(s) V^T, with a penalty that keeps U and V orthogonal; in the channel-wise form V^T is a
convolution of r filters of Cin x k x k and U one of Cout x r, 1 x 1. Choices: the rank is a fixed
share of the full one (the paper prunes s from the full rank); it starts from the SVD of the usual
random weights; the penalty's weight; linear layers stay whole.
"""

from collections.abc import Sequence

import torch
from torch import nn

from workloads.recipes.methods.setup import Options, Setup, plain, weighted

SHARE = 0.25  # of the full rank: a choice
PENALTY = 1.0  # guess: keeps the factors within some percent of orthogonal on the digits


class LowRankConv(nn.Module):
    """A convolution of rank r: `inputs` of r x Cin x k x k, r scales, `outputs` of Cout x r."""

    def __init__(self, conv: nn.Conv2d, rank: int) -> None:
        """Take the `rank` largest singular values of the convolution's weights [Cout, Cin k k]."""
        super().__init__()
        channels, filters, size = conv.in_channels, conv.out_channels, conv.kernel_size
        place = {"stride": conv.stride, "padding": conv.padding}
        self.inputs = nn.Conv2d(channels, rank, size, bias=False, **place)  # type: ignore[arg-type]
        self.outputs = nn.Conv2d(rank, filters, 1, bias=conv.bias is not None)
        u, s, v = torch.linalg.svd(conv.weight.detach().flatten(1), full_matrices=False)
        self.scales = nn.Parameter(s[:rank].clone())
        self.inputs.weight.data.copy_(v[:rank].view_as(self.inputs.weight))
        self.outputs.weight.data.copy_(u[:, :rank].reshape_as(self.outputs.weight))
        if conv.bias is not None:
            self.outputs.bias = conv.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output [N, Cout, H', W'] of an input [N, Cin, H, W]."""
        y: torch.Tensor = self.outputs(self.inputs(x) * self.scales.view(-1, 1, 1))
        return y

    def distance(self) -> torch.Tensor:
        """Return the distance of the factors from orthogonal ones, (|V^T V - 1|^2 + |U^T U - 1|^2)
        / r^2.
        """
        v, u = self.inputs.weight.flatten(1), self.outputs.weight.flatten(1)
        one = torch.eye(len(v))
        return ((v @ v.T - one).square().sum() + (u.T @ u - one).square().sum()) / len(v) ** 2


class OrthogonalityLoss(nn.CrossEntropyLoss):
    """Cross entropy plus the mean distance of factors from orthogonal ones."""

    def __init__(self, layers: Sequence[LowRankConv]) -> None:
        """Penalise these layers, without owning them."""
        super().__init__()
        self._layers = tuple(layers)

    def forward(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of scores [N, classes] and labels [N]."""
        distances = torch.stack([layer.distance() for layer in self._layers])
        return super().forward(scores, labels) + PENALTY * distances.mean()


def rank_of(conv: nn.Conv2d, share: float) -> int:
    """Return this share of a convolution's full rank, min(Cout, Cin k k), at least 1."""
    return max(1, round(share * min(conv.weight.flatten(1).shape)))


def prepare(model: nn.Module, options: Options) -> Setup:
    """Replace each convolution by two factors."""
    share = SHARE if options.share is None else options.share
    layers = []
    for name, layer in weighted(model):
        if isinstance(layer, nn.Conv2d):
            layers.append(LowRankConv(layer, rank_of(layer, share)))
            model.set_submodule(name, layers[-1])
    setup = plain(model, options)
    return Setup(model, setup.optimizer, OrthogonalityLoss(layers))
