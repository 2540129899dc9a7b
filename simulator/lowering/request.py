"""A GEMM on its way to the accelerator: where it belongs, and how this array computes it."""

from dataclasses import dataclass

from simulator.hardware.accelerator import Accelerator
from simulator.lowering.binding import Site
from simulator.lowering.layout import Layout, layout, replicated
from simulator.lowering.placement import Placement
from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.units import ceil_div


@dataclass(frozen=True, slots=True)
class Request:
    """One GEMM to offload, where it belongs, and how it is laid out."""

    site: Site
    op: Op
    gemm: Gemm
    placement: Placement
    layout: Layout
    copies: int = 0  # of operand a, a gradient, that a replicated wgrad takes
    parts: int = 1  # that the CPU sums to the result: one per image, of a replicated wgrad

    @property
    def target(self) -> Tensor | None:
        """The tensor that holds the result, unless that is a temporary."""
        return self.op.outputs[self.gemm.c] if self.gemm.c >= 0 else None

    @property
    def weights(self) -> int | None:
        """Which operand the accelerator takes for weights, 0 or 1; a plain wgrad has none, and
        a product of two activations neither.
        """
        if self.gemm.role in (Role.WGRAD, Role.OTHER):
            return 0 if self.copies else None
        return 1

    @property
    def made(self) -> int:
        """Elements that the array writes."""
        summed = self.layout.fold_back or self.parts > 1
        if summed or self.target is None:
            return self.gemm.made
        return self.target.elements


def request_of(site: Site, op: Op, gemm: Gemm, placement: Placement, array: Accelerator) -> Request:
    """Return a request as this array computes it: it may lack the convolution of a wgrad."""
    conv = gemm.conv
    if array.wgrad == "im2col" or gemm.role is not Role.WGRAD or conv is None or conv.transposed:
        return Request(site, op, gemm, placement, layout(gemm, array))
    alone = replicated(gemm)
    copies = conv.in_channels // conv.groups
    return Request(site, op, alone, placement, layout(alone, array), copies, conv.images)


def bytes_of(elements: int, bits: int) -> int:
    """Return the whole bytes of so many elements."""
    return ceil_div(elements * bits, 8)
