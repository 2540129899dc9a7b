"""Consistency of GEMMs: a convolution's sizes, its im2col GEMM and the operands agree."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from simulator.trace.op import Conv, Gemm, Role
from simulator.units import ceil_div


class Mismatch(NamedTuple):
    """A field that contradicts the others, and what a message says of it."""

    field: str
    says: str


def mismatch(gemm: Gemm, conv: Conv) -> Mismatch | None:
    """Return the first contradiction between a GEMM and its convolution, None if they agree."""
    sizes = (conv.input, conv.output, conv.kernel, conv.stride, conv.padding, conv.dilation)
    if len({len(each) for each in sizes}) > 1 or not 1 <= len(conv.kernel) <= 3:
        return Mismatch("conv.kernel", "sizes are not of one, two or three dimensions each")
    if conv.in_channels % conv.groups or conv.out_channels % conv.groups:
        return Mismatch("conv.groups", "does not divide the channels")
    if not all(map(_reaches, *sizes, [conv.transposed] * len(conv.kernel))):
        return Mismatch("conv.output", "not the output of such a convolution")
    if gemm.role is not Role.OTHER and _sizes(gemm) != (conv.groups, *conv.product(gemm.role)):
        return Mismatch("m", "batch, m, n and k are not those of the convolution")
    return None


def larger_than_operands(gemm: Gemm, elements: Sequence[float | None]) -> Mismatch | None:
    """Return a mismatch where two operands of a GEMM are larger than the tensors they name.

    `elements` are those of the tensors of A, B and C, None for a temporary. One tensor may be
    smaller: a sparse matrix stores few of its elements, grouped queries share keys.
    """
    pairs = zip(_operand_elements(gemm), elements, strict=True)
    if sum(stored is not None and stored < needed for needed, stored in pairs) < 2:
        return None
    return Mismatch("m", "with n and k more than the tensors that it names hold")


def _operand_elements(gemm: Gemm) -> tuple[int, int, int]:
    """Return the elements of A, B and C of a GEMM as whole tensors."""
    conv = gemm.conv
    if conv is None or gemm.role is Role.OTHER:
        each = (gemm.m * gemm.k, gemm.k * gemm.n, gemm.m * gemm.n)
        return each if conv is None else (0, 0, 0)
    images = conv.images * conv.in_channels * prod(conv.input)
    weights = conv.out_channels * (conv.in_channels // conv.groups) * prod(conv.kernel)
    results = conv.images * conv.out_channels * prod(conv.output)
    if gemm.role is Role.WGRAD:
        return (images, results, weights) if conv.transposed else (results, images, weights)
    forward = gemm.role is Role.FORWARD
    return (images, weights, results) if forward else (results, weights, images)


def _sizes(gemm: Gemm) -> tuple[int, int, int, int]:
    return gemm.batch, gemm.m, gemm.n, gemm.k


def _reaches(
    size: int, out: int, kernel: int, stride: int, padding: int, dilation: int, transposed: bool
) -> bool:
    """Return whether `out` is the output size of one dimension of this input `size`.

    Where the stride leaves a remainder, the output may be rounded either way; a transposed
    convolution may add up to a stride or dilation, less one (output padding).
    """
    span = dilation * (kernel - 1) + 1
    if transposed:
        return 0 <= out - ((size - 1) * stride - 2 * padding + span) < max(stride, dilation)
    left = size + 2 * padding - span
    return left >= 0 and out - 1 in (left // stride, ceil_div(left, stride))
