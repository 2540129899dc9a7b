"""Convolutions on a CPU as PyTorch computes them there without oneDNN: im2col, BLAS and NNPACK.

ATen (aten/src/ATen/native/Convolution.cpp, ConvolutionMM2d.cpp) unfolds images to columns and
multiplies them by BLAS, image by image. A forward pass over 16 images or more goes to NNPACK
(ConvParams::use_nnpack), where that was built in. Groups are convolutions of their own, in turn.
"""

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import NamedTuple

from simulator.hardware.cpu import Cpu
from simulator.timing.products import product_ps
from simulator.timing.stretches import Stretch, beyond_cache, cycles_ps, overhead_ps
from simulator.trace.op import Conv, Gemm, Role
from simulator.units import PS_PER_S, ceil_div

_WORD = 4  # bytes of an fp32 element, which all of these buffers hold

# Operations that ATen dispatches for one group, counted in Convolution.cpp: narrow and contiguous
# of two tensors, the kernel with its outputs and their bias; backward, per product, of three.
_FORWARD_DISPATCHES = 8
_BACKWARD_DISPATCHES = 12

# NNPACK: src/init.c for Arm, and the algorithms of src/convolution-output.c and -inference.c.
_LEAST_IMAGES = 16  # ConvParams::use_nnpack
_LARGEST_KERNEL = 16  # likewise
_L1 = 32 * 1024
_PAGE = 4096
_PACKED_ROWS = 6  # of the micro-kernel of its sgemm
_PACKED_DEPTH = _L1 // _WORD // (_PACKED_ROWS + 8) // 2 * 2  # reduction_block_max
_STEPS = 3  # parallel loops per block of an implicit GEMM: pack kernel, pack image, multiply

_MMAP_THRESHOLD = 32 * 2**20  # DEFAULT_MMAP_THRESHOLD_MAX of glibc: larger buffers are new


class Tiling(NamedTuple):
    """A transform of NNPACK: tiles of `side`, `macs` per element of a transformed GEMM.

    Micro-kernels of `rows` x `rows` tiles multiply tuples of `lanes` elements.
    """

    side: int
    macs: int
    lanes: int
    rows: int
    permille: int  # of the arithmetic of a transform of 8 x 8, per element


WINOGRAD = Tiling(8, 1, 4, 3, 1000)  # F(6 x 6, 3 x 3)
FOURIER_8 = Tiling(8, 2, 8, 2, 1000)  # four real products for each of half as many complex ones
FOURIER_16 = Tiling(16, 2, 8, 2, 1333)  # log 16 / log 8 butterflies per element


def convolution(cpu: Cpu, gemm: Gemm) -> tuple[Stretch, ...]:
    """Return the stretches of a convolution in its role, without dispatch and operand traffic."""
    assert gemm.conv is not None, "the product of a convolution"
    conv = gemm.conv
    role = _mirrored(gemm.role) if conv.transposed else gemm.role
    one = _one_group(conv.mirror if conv.transposed else conv)
    kernel = _KERNELS.get(role, _forward)
    return _all_groups(cpu, conv, role, kernel(cpu, one))


def algorithm(conv: Conv) -> Tiling:
    """Return the transform that NNPACK chooses for a convolution of stride 1."""
    if max(conv.kernel) > 8:
        return FOURIER_16
    if _tiles(conv, 8) > 4 * _tiles(conv, 16):
        return FOURIER_16
    return WINOGRAD if conv.kernel == (3, 3) else FOURIER_8


def _forward(cpu: Cpu, conv: Conv) -> tuple[Stretch, ...]:
    if not _goes_to_nnpack(cpu, conv):
        return _unfolded(cpu, conv, conv.out_channels)
    if max(conv.stride) > 1:
        return _implicit(cpu, conv)
    return _transformed(cpu, conv, algorithm(conv))


def _goes_to_nnpack(cpu: Cpu, conv: Conv) -> bool:
    return (
        cpu.convolutions == "nnpack"
        and conv.images >= _LEAST_IMAGES
        and len(conv.kernel) <= 2
        and max(conv.kernel) <= _LARGEST_KERNEL
        and max(conv.dilation) == 1
        and not conv.transposed
    )


def _unfolded(cpu: Cpu, conv: Conv, filters: int) -> tuple[Stretch, ...]:
    """im2col of all images, then a GEMM per image, on one core each (slow_conv2d_forward)."""
    pixels, depth = prod(conv.output), _depth(conv)
    threads = min(cpu.cores, conv.images)
    each = product_ps(cpu, pixels, filters, depth, aside=True)
    product = Stretch(ceil_div(conv.images, threads) * each, threads)
    return (*_columns(cpu, conv), product)


def _columns(cpu: Cpu, conv: Conv) -> tuple[Stretch, ...]:
    if conv.is_pointwise:
        return ()
    elements = conv.images * _depth(conv) * prod(conv.output)
    threads = min(cpu.cores, conv.images)
    size = _WORD * elements
    ps = _moving_ps(cpu, conv, cpu.costs.unfold)
    spill = beyond_cache(cpu, size)
    return (Stretch(ps + _new_ps(cpu, size), threads, spill, spill),)


def _moving_ps(cpu: Cpu, conv: Conv, each: int) -> int:
    """Return the time in ps of im2col or col2im, which go tap by tap over rows of the output."""
    rows = conv.images * _depth(conv) * prod(conv.output[:-1])
    millicycles = rows * (cpu.costs.row_start + conv.output[-1] * each)
    return cycles_ps(cpu, millicycles, min(cpu.cores, conv.images))


def _dgrad(cpu: Cpu, conv: Conv) -> tuple[Stretch, ...]:
    """A GEMM and a col2im per image on one core (slow_conv2d_backward_update_grad_input)."""
    pixels, depth = prod(conv.output), _depth(conv)
    threads = min(cpu.cores, conv.images)
    each = product_ps(cpu, pixels, depth, conv.out_channels, aside=True)
    elements = conv.images * depth * pixels
    fold_ps = _moving_ps(cpu, conv, cpu.costs.fold)
    column = _WORD * depth * pixels
    spill = _WORD * elements if beyond_cache(cpu, threads * column) else 0
    new_ps = threads * _new_ps(cpu, column)
    zeroed = beyond_cache(cpu, _WORD * conv.images * conv.in_channels * prod(conv.input))
    return (
        Stretch(ceil_div(conv.images, threads) * each, threads),
        Stretch(fold_ps + new_ps, threads, spill, spill),
        Stretch(0, threads, 0, zeroed),
    )


def _wgrad(cpu: Cpu, conv: Conv) -> tuple[Stretch, ...]:
    """im2col, then a GEMM per image in turn, on all cores (slow_conv2d_backward_weight)."""
    each = product_ps(cpu, _depth(conv), conv.out_channels, prod(conv.output))
    product = Stretch(conv.images * each, cpu.cores)
    return (*_columns(cpu, conv), product)


_KERNELS: dict[Role, Callable[[Cpu, Conv], tuple[Stretch, ...]]] = {
    Role.FORWARD: _forward,
    Role.DGRAD: _dgrad,
    Role.WGRAD: _wgrad,
}


def _transformed(cpu: Cpu, conv: Conv, tiling: Tiling) -> tuple[Stretch, ...]:
    """Transform the kernels, then tile by tile all images: transform, multiply, transform back.

    src/convolution-output.c, compute_fast_convolution_output. Every tile reads all transformed
    kernels again.
    """
    images, tiles = conv.images, _tiles(conv, tiling.side)
    elements = tiling.side**2
    kernels = conv.in_channels * conv.out_channels * elements
    inputs = images * conv.in_channels * elements
    outputs = images * conv.out_channels * elements
    kernel_spill = beyond_cache(cpu, _WORD * kernels)
    first = Stretch(_transform_ps(cpu, tiling, kernels), cpu.cores, kernel_spill, kernel_spill)
    spilled = beyond_cache(cpu, _WORD * (kernels + inputs + outputs))
    spilled = _WORD * (inputs + outputs) if spilled else 0
    transform_ps = _transform_ps(cpu, tiling, inputs) + _transform_ps(cpu, tiling, outputs)
    forks = tiles * (2 + _products(conv, tiling))
    return (
        first,
        Stretch(forks * overhead_ps(cpu, cpu.costs.fork)),
        Stretch(tiles * transform_ps, cpu.cores, tiles * spilled, tiles * spilled),
        Stretch(tiles * _tuples_ps(cpu, conv, tiling), cpu.cores, tiles * kernel_spill),
    )


def _products(conv: Conv, tiling: Tiling) -> int:
    """Return the parallel loops of one tile's GEMMs: per tuple and block of input channels."""
    block = max(2, _L1 // (tiling.lanes * _WORD) // (2 * tiling.rows) // 2 * 2)
    return tiling.side**2 // tiling.lanes * ceil_div(conv.in_channels, block)


def _transform_ps(cpu: Cpu, tiling: Tiling, elements: int) -> int:
    """Return the time in ps of transforming `elements`.

    The tuples of one tile are strided by the tiles in the buffer; from a stride of one page on,
    each store misses the TLB.
    """
    each = cpu.costs.transform * tiling.permille // 1000
    apart = elements // tiling.side**2 * tiling.lanes * _WORD
    if apart >= _PAGE:
        each += cpu.costs.page_walk * 1000 // tiling.lanes
    return cycles_ps(cpu, elements * each, cpu.cores)


def _tuples_ps(cpu: Cpu, conv: Conv, tiling: Tiling) -> int:
    """Return the time in ps of one tile's GEMMs; micro-kernels take whole rows of tiles."""
    images, filters = (_whole(n, tiling.rows) for n in (conv.images, conv.out_channels))
    macs = tiling.macs * tiling.side**2 * images * filters * conv.in_channels
    return _at_ps(cpu, macs, cpu.costs.tuple_efficiency)


def _implicit(cpu: Cpu, conv: Conv) -> tuple[Stretch, ...]:
    """Image by image: pack kernel and image, multiply, and add the bias on one core.

    src/convolution-inference.c, compute_gemm_convolution_inference.
    """
    pixels, depth = prod(conv.output), _depth(conv)
    macs = conv.images * pixels * depth * _whole(conv.out_channels, _PACKED_ROWS)
    packed = conv.images * depth * (pixels + conv.out_channels)
    forks = conv.images * _STEPS * ceil_div(depth, _PACKED_DEPTH)
    biased = conv.images * conv.out_channels * pixels
    serial_ps = forks * overhead_ps(cpu, cpu.costs.fork) + cycles_ps(cpu, 1000 * biased)
    return (
        Stretch(cycles_ps(cpu, packed * cpu.costs.pack, cpu.cores), cpu.cores),
        Stretch(_at_ps(cpu, macs, cpu.costs.packed_efficiency), cpu.cores),
        Stretch(serial_ps),
    )


def _all_groups(cpu: Cpu, conv: Conv, role: Role, one: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
    """Return the stretches of all groups in turn, with slicing and concatenation of tensors."""
    if conv.groups == 1:
        return one
    dispatches = _FORWARD_DISPATCHES if role is Role.FORWARD else _BACKWARD_DISPATCHES
    calls = Stretch(overhead_ps(cpu, dispatches * cpu.costs.inner_dispatch))
    made = _WORD * conv.images * conv.out_channels * prod(conv.output)
    read = _WORD * conv.images * conv.in_channels * prod(conv.input)
    copied = Stretch(0, cpu.cores, made + read, made + read)
    return (*(_repeated(stretch, conv.groups) for stretch in (calls, *one)), copied)


def _repeated(stretch: Stretch, times: int) -> Stretch:
    ps, threads, read, write = stretch
    return Stretch(times * ps, threads, times * read, times * write)


def _one_group(conv: Conv) -> Conv:
    inputs, outputs = conv.in_channels // conv.groups, conv.out_channels // conv.groups
    return replace(conv, in_channels=inputs, out_channels=outputs, groups=1)


def _mirrored(role: Role) -> Role:
    return {Role.FORWARD: Role.DGRAD, Role.DGRAD: Role.FORWARD}.get(role, role)


def _tiles(conv: Conv, side: int) -> int:
    return prod(ceil_div(n, side - k + 1) for n, k in zip(conv.output, conv.kernel, strict=True))


def _depth(conv: Conv) -> int:
    return conv.in_channels * prod(conv.kernel)


def _whole(number: int, step: int) -> int:
    return ceil_div(number, step) * step


def _at_ps(cpu: Cpu, macs: int, efficiency: int) -> int:
    lanes = max(1, cpu.simd // _WORD) * cpu.simd_pipes
    return ceil_div(macs * 1000 * PS_PER_S, cpu.clock * lanes * cpu.cores * efficiency)


def _new_ps(cpu: Cpu, size: int) -> int:
    """Return the time in ps of first touch of a kernel's own buffer, 0 where it is reused."""
    return ceil_div(size * PS_PER_S, cpu.costs.first_touch) if size > _MMAP_THRESHOLD else 0
