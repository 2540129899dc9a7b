"""Block-sparse weights: each block of outputs keeps the same share of input blocks.

After block pruning for mobile GPUs and FPGAs ("Mobile or FPGA? A Comprehensive Evaluation on Energy
Efficiency and a Unified Optimization Framework", 2021, arXiv:2106.09166), of which only the
abstract was at hand; from it: blocks whose regularity hardware can use. Choices: the blocks of the
largest magnitude stay, chosen once after an epoch of dense training; a mask applies after each
update; block sizes; layers whose inputs the share does not divide, and the classifier, stay dense.
"""

from typing import Any

import torch
from torch import nn

from simulator.trace.passes.treatment import Treatment
from workloads.capture import treat
from workloads.recipes.methods.setup import Options, Setup, Weighted, plain, weighted

SHARE = 0.5  # of the blocks that are kept: a choice
OUTPUTS = 8  # in a block; fewer if 8 does not divide the outputs
INPUTS = 4  # in a block; fewer if the share of blocks is no whole number
WARM_UP = 1  # epochs


def block_of(layer: Weighted, share: float) -> tuple[int, int] | None:
    """Return the outputs and inputs of a layer's block; None if no size fits the share."""
    outputs, inputs = layer.weight.shape[:2]
    high = next(size for size in (OUTPUTS, OUTPUTS // 2, OUTPUTS // 4, 1) if outputs % size == 0)
    for wide in (INPUTS, INPUTS // 2, 1):
        share_of_inputs = inputs / wide * share
        if inputs % wide == 0 and share_of_inputs == int(share_of_inputs) > 0:
            return high, wide
    return None


def mask_of(weight: torch.Tensor, block: tuple[int, int], share: float) -> torch.Tensor:
    """Return 1 where weights [Cout, Cin, ...] stay: the largest blocks of each row of blocks."""
    high, wide = block
    sizes = weight.detach().abs().flatten(2).sum(2) if weight.dim() > 2 else weight.detach().abs()
    rows, columns = sizes.shape[0] // high, sizes.shape[1] // wide
    blocks = sizes.view(rows, high, columns, wide).sum((1, 3))
    largest = blocks.topk(round(share * columns), dim=1).indices
    mask = torch.zeros_like(blocks).scatter_(1, largest, 1)
    mask = mask.repeat_interleave(high, 0).repeat_interleave(wide, 1)
    return mask.view(*mask.shape, *[1] * (weight.dim() - 2)).expand_as(weight).contiguous()


def prepare(model: nn.Module, options: Options) -> Setup:
    """Train all weights for an epoch, then only the chosen blocks."""
    share = SHARE if options.share is None else options.share
    setup = plain(model, options)
    *layers, _classifier = (layer for _, layer in weighted(model))
    chosen = [(layer, block) for layer in layers if (block := block_of(layer, share))]
    masks: list[tuple[torch.Tensor, torch.Tensor]] = []

    @torch.no_grad()
    def clear(*_: Any) -> None:
        for weight, mask in masks:
            weight.mul_(mask)

    def choose(epoch: int) -> None:
        if epoch == WARM_UP:
            for layer, block in chosen:
                masks.append((layer.weight, mask_of(layer.weight, block, share)))
                treat(layer, Treatment(density=round(1000 * share)), "sparse")
            clear()

    setup.optimizer.register_step_post_hook(clear)
    return Setup(model, setup.optimizer, after_epoch=choose)
