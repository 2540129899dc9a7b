"""How the operands of a GEMM reach this array, and what its outputs are: one rule per role."""

from dataclasses import replace
from math import prod
from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator, ArrayInterface
from simulator.mapping.convolution import Taps, backward_taps, forward_taps
from simulator.mapping.shape import Window, backward_window, forward_window
from simulator.timing.systolic import Dims
from simulator.trace.causal import pairs_in_blocks
from simulator.trace.op import Causal, Conv, Gemm, Role
from simulator.units import ceil_div


class Layout(NamedTuple):
    """The product that the array computes.

    A window means that the hardware reads that operand out of a feature map; `taps` that it
    computes the convolution tap by tap instead; `unfold` is the operand (0 for a, 1 for b) that
    the CPU must write out as a matrix (im2col); `fold_back` says that overlapping outputs must be
    summed by the CPU (col2im).
    """

    dims: Dims
    taps: Taps | None = None
    window_a: Window | None = None
    window_b: Window | None = None
    unfold: int | None = None
    fold_back: bool = False


def layout(gemm: Gemm, array: Accelerator | ArrayInterface) -> Layout:
    """Return how `gemm` is laid out for `array`."""
    dims, conv = Dims(gemm.m, gemm.n, gemm.k), gemm.conv
    by_taps = array.im2col == "channelwise"
    if conv is None or (conv.is_pointwise and not by_taps):
        return Layout(dims)
    gathered = {Role.WGRAD: 1, Role.DGRAD if conv.transposed else Role.FORWARD: 0}
    which = gathered.get(gemm.role)
    if which is None:
        return _scattered(gemm, conv, array)
    if array.im2col == "software":
        return Layout(dims, unfold=which)
    gathering = conv.mirror if conv.transposed else conv
    if by_taps:
        role = Role.WGRAD if which else Role.FORWARD
        taps = forward_taps(gathering, role, padded=_with_padding(array))
        return Layout(dims, taps=taps)
    window = forward_window(gathering)
    return Layout(dims, window_b=window) if which else Layout(dims, window_a=window)


def _scattered(gemm: Gemm, conv: Conv, array: Accelerator | ArrayInterface) -> Layout:
    """Return the layout of the role whose outputs overlap: summed by the CPU, or gathered."""
    if conv.transposed or array.dgrad == "col2im" or array.im2col == "software":
        return Layout(Dims(gemm.m, gemm.n, gemm.k), fold_back=True)
    direct = direct_dims(gemm, conv)
    if array.im2col == "channelwise":
        return Layout(direct, taps=backward_taps(conv, padded=_with_padding(array)))
    return Layout(direct, window_a=backward_window(conv))


def _with_padding(array: Accelerator | ArrayInterface) -> bool:
    """Return whether maps lie in memory with their padding."""
    return array.padded or array.layout == "blocked"


def below_diagonal(gemm: Gemm, block: int) -> Gemm:
    """Return a product of as many MACs as the square blocks of a causal one that the diagonal
    meets: an array leaves out those above it.

    A row of its triangle is as long as all are on average. So long is what the tiles of a row load
    of the other operand, too; but where that stays in the scratchpad, half of it is missed.
    """
    if not gemm.causal:
        return gemm
    seen = pairs_in_blocks(gemm.queries, gemm.keys, block, block)
    mean = ceil_div(seen, max(1, gemm.m))
    if gemm.causal is Causal.RESULT:
        return replace(gemm, n=mean, causal=Causal.NONE)
    return replace(gemm, k=mean, causal=Causal.NONE)


def direct_dims(gemm: Gemm, conv: Conv) -> Dims:
    """Return the dimensions of a convolution's dgrad as a direct convolution of the gradient.

    Per group: M = input pixels, N = input channels, K = output channels x taps. With stride
    above 1 it multiplies the zeros between gradient elements too.
    """
    pixels = conv.images * prod(conv.input)
    return Dims(pixels, conv.in_channels // conv.groups, gemm.k * prod(conv.kernel))


def replicated(gemm: Gemm) -> Gemm:
    """Return a convolution's wgrad as forward convolutions alone can compute it.

    Every channel of every image is a group of its own, in which all of the gradient's channels are
    the filters: the gradient is needed once per input channel, and results are left per image.
    So computed torch.nn.grad.conv2d_weight of PyTorch 1.8.
    """
    conv = gemm.conv
    assert conv is not None, "only convolutions are replicated"
    maps = conv.images * conv.in_channels
    filters = conv.out_channels // conv.groups
    alone = replace(conv, images=1, in_channels=maps, out_channels=maps * filters, groups=maps)
    m, n, k = alone.product(Role.WGRAD)
    return replace(gemm, batch=maps, m=m, n=n, k=k, conv=alone)
