"""How the operands of a GEMM reach this array, and what its outputs are: one rule per role."""

from dataclasses import replace
from math import prod
from typing import NamedTuple

from simulator.hardware.soc import Accelerator
from simulator.lowering.shape import Window, backward_window, forward_window
from simulator.timing.systolic import Dims
from simulator.trace.op import Conv, Gemm, Role


class Layout(NamedTuple):
    """The product that the array computes.

    A window means that the hardware reads that operand out of a feature map; `unfold` is the
    operand (0 for a, 1 for b) that the CPU must write out as a matrix (im2col) instead;
    `fold_back` says that overlapping outputs must be summed by the CPU (col2im).
    """

    dims: Dims
    window_a: Window | None = None
    window_b: Window | None = None
    unfold: int | None = None
    fold_back: bool = False


def layout(gemm: Gemm, array: Accelerator) -> Layout:
    """Return how `gemm` is laid out for `array`."""
    dims, conv = Dims(gemm.m, gemm.n, gemm.k), gemm.conv
    if conv is None or _is_pointwise(conv):
        return Layout(dims)
    hardware = array.im2col == "hardware"
    gathered = {Role.WGRAD: 1, Role.DGRAD if conv.transposed else Role.FORWARD: 0}
    which = gathered.get(gemm.role)
    if which is None:  # the role whose outputs overlap
        if conv.transposed or array.dgrad == "col2im" or not hardware:
            return Layout(dims, fold_back=True)
        return Layout(direct_dims(gemm, conv), window_a=backward_window(conv))
    if not hardware:
        return Layout(dims, unfold=which)
    window = forward_window(_swapped(conv) if conv.transposed else conv)
    return Layout(dims, window_b=window) if which else Layout(dims, window_a=window)


def direct_dims(gemm: Gemm, conv: Conv) -> Dims:
    """Return the dimensions of a convolution's dgrad as a direct convolution of the gradient.

    Per group: M = input pixels, N = input channels, K = output channels x taps. With stride
    above 1 it multiplies the zeros between gradient elements too.
    """
    pixels = conv.images * prod(conv.input)
    return Dims(pixels, conv.in_channels // conv.groups, gemm.k * prod(conv.kernel))


def _is_pointwise(conv: Conv) -> bool:
    """Return whether the convolution is a matrix product already: its im2col is the identity."""
    plain = set(conv.kernel) == set(conv.stride) == {1}
    return plain and not any(conv.padding)


def _swapped(conv: Conv) -> Conv:
    """Return the convolution that a transposed one runs backwards: it gathers from the output."""
    return replace(
        conv,
        in_channels=conv.out_channels,
        out_channels=conv.in_channels,
        input=conv.output,
        output=conv.input,
    )
