"""How the operands of a GEMM reach this array, and what its outputs are: one rule per role."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import NamedTuple, Protocol

from simulator.hardware.accelerator import Accelerator, ArrayInterface
from simulator.mapping.taps import Taps, backward_taps, forward_taps
from simulator.mapping.tensor_layout import LAYOUTS
from simulator.mapping.window import Window, backward_window, forward_window
from simulator.timing.dataflows import Dims
from simulator.trace.causal import pairs_in_blocks
from simulator.trace.op import Causal, Conv, Gemm, Role
from simulator.units import ceil_div


class Layout(NamedTuple):
    """The product that the array computes.

    A window means that the hardware reads that operand from a feature map; `taps` that it computes
    the convolution tap by tap instead; `unfold` is the operand (0 for a, 1 for b) that the CPU
    must write out as a matrix (im2col); `fold_back` says that the CPU must sum overlapping outputs
    (col2im). Of `scatter` elements in memory one is an output, and the others are zeros that the
    array writes beside.
    """

    dims: Dims
    taps: Taps | None = None
    window_a: Window | None = None
    window_b: Window | None = None
    unfold: int | None = None
    fold_back: bool = False
    scatter: Fraction = Fraction(1)


class Im2col(Protocol):
    """A value of `accelerator.im2col`: who turns a convolution into products."""

    @property
    def pointwise(self) -> bool:
        """Whether a pointwise convolution is a plain product."""

    def gathered(self, gemm: Gemm, conv: Conv, which: int, *, padded: bool) -> Layout:
        """Return the layout of a role whose operand `which` is read from the input of `conv`.

        `padded`: maps lie in memory with their padding.
        """

    def direct(self, gemm: Gemm, conv: Conv, *, padded: bool) -> Layout:
        """Return the layout of a dgrad that is computed without col2im, if it can be."""


@dataclass(frozen=True, slots=True)
class _ByHardware:
    """Address generators read a matrix out of the feature map."""

    pointwise: bool = True

    def gathered(self, gemm: Gemm, conv: Conv, which: int, *, padded: bool) -> Layout:  # noqa: ARG002
        window, dims = forward_window(conv), _dims(gemm)
        return Layout(dims, window_b=window) if which else Layout(dims, window_a=window)

    def direct(self, gemm: Gemm, conv: Conv, *, padded: bool) -> Layout:  # noqa: ARG002
        if conv.is_sampling:
            return Layout(_dims(gemm), scatter=Fraction(prod(conv.input), prod(conv.output)))
        return Layout(direct_dims(gemm, conv), window_a=backward_window(conv))


@dataclass(frozen=True, slots=True)
class _BySoftware:
    """The CPU writes the matrix out, and sums what overlaps."""

    pointwise: bool = True

    def gathered(self, gemm: Gemm, conv: Conv, which: int, *, padded: bool) -> Layout:  # noqa: ARG002
        return Layout(_dims(gemm), unfold=which)

    def direct(self, gemm: Gemm, conv: Conv, *, padded: bool) -> Layout:  # noqa: ARG002
        return _fold_back(gemm)


@dataclass(frozen=True, slots=True)
class _Channelwise:
    """There is no matrix: the array computes tap by tap."""

    pointwise: bool = False

    def gathered(self, gemm: Gemm, conv: Conv, which: int, *, padded: bool) -> Layout:
        role = Role.WGRAD if which else Role.FORWARD
        return Layout(_dims(gemm), taps=forward_taps(conv, role, padded=padded))

    def direct(self, gemm: Gemm, conv: Conv, *, padded: bool) -> Layout:
        return Layout(direct_dims(gemm, conv), taps=backward_taps(conv, padded=padded))


IM2COL: dict[str, Im2col] = {
    "hardware": _ByHardware(), "software": _BySoftware(), "channelwise": _Channelwise(),
    "mixed": _Channelwise(pointwise=True),
}  # fmt: skip


def layout(gemm: Gemm, array: Accelerator | ArrayInterface) -> Layout:
    """Return how `gemm` is laid out for `array`."""
    conv, im2col = gemm.conv, IM2COL[array.im2col]
    if conv is None or (conv.is_pointwise and im2col.pointwise):
        return Layout(_dims(gemm))
    gathered = {Role.WGRAD: 1, Role.DGRAD if conv.transposed else Role.FORWARD: 0}
    which = gathered.get(gemm.role)
    padded = array.padded or LAYOUTS[array.layout].blocked
    if which is not None:
        return im2col.gathered(gemm, conv.mirror if conv.transposed else conv, which, padded=padded)
    if conv.transposed:
        return _fold_back(gemm)
    return _DGRADS[array.dgrad](gemm, conv, im2col, padded)


def _col2im(gemm: Gemm, _conv: Conv, _im2col: Im2col, _padded: bool) -> Layout:
    return _fold_back(gemm)


def _direct(gemm: Gemm, conv: Conv, im2col: Im2col, padded: bool) -> Layout:
    return im2col.direct(gemm, conv, padded=padded)


_DGRADS = {"col2im": _col2im, "direct": _direct}
"""Values of `accelerator.dgrad`: the dgrad's outputs overlap, or are gathered."""


def _fold_back(gemm: Gemm) -> Layout:
    return Layout(_dims(gemm), fold_back=True)


def _dims(gemm: Gemm) -> Dims:
    return Dims(gemm.m, gemm.n, gemm.k)


def below_diagonal(gemm: Gemm, block: int) -> Gemm:
    """Return a dense product of as many MACs as the square blocks on or below the diagonal of a
    causal one: an array skips those above it.

    Every row has the mean length, so a tile's row loads that much of the other operand, too. Where
    that operand stays on chip, half of its traffic is missing.
    """
    if not gemm.causal:
        return gemm
    pairs = pairs_in_blocks(gemm.queries, gemm.keys, block, block)
    mean = ceil_div(pairs, max(1, gemm.m))
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
    the filters: the gradient is needed once per input channel, and there is a result per image.
    torch.nn.grad.conv2d_weight of PyTorch 1.8 computed it so.
    """
    conv = gemm.conv
    assert conv is not None, "only convolutions are replicated"
    maps = conv.images * conv.in_channels
    filters = conv.out_channels // conv.groups
    per_map = replace(conv, images=1, in_channels=maps, out_channels=maps * filters, groups=maps)
    m, n, k = per_map.product(Role.WGRAD)
    return replace(gemm, batch=maps, m=m, n=n, k=k, conv=per_map)
