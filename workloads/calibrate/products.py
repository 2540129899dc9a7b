"""The products of a calibration: plain, batched, of attention, and convolutions."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod
from typing import Any

import torch

from workloads.calibrate.benches import Make, random_operands
from workloads.calibrate.measure import Bench

aten: Any = torch.ops.aten
_PLAIN = (
    (24, 24, 24), (90, 90, 90), (180, 180, 180), (400, 400, 400), (700, 700, 700),
    (40, 12, 300), (48, 500, 90), (100, 300, 700), (500, 100, 180), (900, 160, 60),
    (700, 900, 48), (160, 700, 600), (12, 90, 40), (1, 400, 700), (900, 3, 500),
    (500, 700, 180), (500, 180, 700), (700, 180, 500), (600, 150, 200),
)  # fmt: skip
_BATCHED = ((96, 40, 40, 24), (48, 60, 24, 60), (24, 100, 100, 50))
_ATTENTION = (
    (4, 3, 50, 64),
    (6, 4, 70, 64),
    (8, 4, 100, 32),
    (6, 3, 150, 48),
    (16, 6, 30, 64),
    (2, 8, 300, 64),
)
# images, channels in and out, height and width, kernel, stride, groups
_CONVOLUTIONS = (
    (24, 1, 8, 26, 5, 1, 1), (20, 3, 24, 36, 3, 1, 1), (24, 8, 20, 26, 3, 1, 1),
    (20, 16, 16, 26, 3, 1, 1), (24, 12, 24, 14, 5, 1, 1), (16, 24, 48, 20, 3, 2, 1),
    (16, 48, 48, 20, 3, 1, 1), (20, 32, 32, 18, 3, 1, 1), (8, 96, 96, 12, 3, 1, 1),
    (12, 64, 64, 12, 3, 1, 1), (4, 128, 128, 14, 3, 1, 1),
)  # fmt: skip
_POINTWISE = (
    (16, 40, 80, 14, 1, 2, 1), (20, 20, 100, 28, 1, 1, 1), (20, 120, 28, 28, 1, 1, 1),
    (12, 50, 200, 12, 1, 1, 1), (12, 300, 70, 7, 1, 1, 1), (20, 200, 400, 3, 1, 1, 1),
)  # fmt: skip
_DEPTHWISE = (
    (12, 40, 40, 40, 3, 1, 40), (12, 90, 90, 28, 3, 2, 90), (16, 150, 150, 12, 3, 1, 150),
    (16, 200, 200, 10, 5, 1, 200), (16, 500, 500, 5, 3, 1, 500), (20, 600, 600, 3, 3, 1, 600),
)  # fmt: skip
_GROUPED = (
    (8, 64, 64, 20, 3, 1, 4), (8, 96, 96, 12, 3, 2, 3), (8, 128, 128, 10, 3, 1, 16),
    (12, 60, 60, 14, 3, 1, 10),
)  # fmt: skip


def plain(dtype: torch.dtype = torch.float32) -> list[Bench]:
    """Return small and large matrix products, also with transposed operands."""
    random = partial(random_operands, dtype=dtype)
    benches = [bench for m, n, k in _PLAIN for bench in _layouts(random, m, n, k)]
    for batch, m, n, k in _BATCHED:
        macs = batch * m * n * k
        benches.append(Bench(random((batch, m, k), (batch, k, n)), aten.bmm, macs))
        turned = Bench(random((batch, m, k), (batch, n, k)), lambda a, b: aten.bmm(a, b.mT), macs)
        benches.append(turned)
    return benches


def _layouts(random: Callable[..., Make], m: int, n: int, k: int) -> Iterator[Bench]:
    macs = m * n * k
    yield Bench(random((m, k), (k, n)), aten.mm, macs)
    yield Bench(random((k, m), (k, n)), lambda a, b: aten.mm(a.t(), b), macs)
    yield Bench(random((n,), (m, k), (n, k)), lambda c, a, b: aten.addmm(c, a, b.t()), macs)


def attention() -> list[Bench]:
    """Return attention over short and longer sequences, forward and backward."""
    return [bench for shape in _ATTENTION for bench in _attention(*shape)]


def _attention(images: int, heads: int, tokens: int, width: int) -> Iterator[Bench]:
    shape, macs = (images, heads, tokens, width), 2 * images * heads * tokens**2 * width
    forward = aten._scaled_dot_product_flash_attention_for_cpu
    yield Bench(random_operands(shape, shape, shape), forward, macs)
    backward = aten._scaled_dot_product_flash_attention_for_cpu_backward

    def operands() -> tuple[Any, ...]:
        q, k, v = random_operands(shape, shape, shape)()
        out, sums = forward(q, k, v)
        return torch.ones_like(out), q, k, v, out, sums

    yield Bench(operands, lambda *tensors: backward(*tensors, 0.0, False), 5 * macs // 2)


def convolutions(dtype: torch.dtype = torch.float32) -> list[Bench]:
    """Return convolutions, forward and each gradient alone."""
    return _all_roles((*_CONVOLUTIONS, *_POINTWISE), dtype)


def separable() -> list[Bench]:
    """Return depthwise and grouped convolutions, forward and each gradient alone."""
    return _all_roles((*_DEPTHWISE, *_GROUPED), torch.float32)


def passes() -> list[Bench]:
    """Return convolutions as layers of a network run them: forward, and both gradients at once."""
    shapes = (*_CONVOLUTIONS, *_POINTWISE, *_DEPTHWISE, *_GROUPED)
    both = ([True, True, False],)
    return [bench for shape in shapes for bench in _roles(random_operands, shape, both)]


def _all_roles(shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype) -> list[Bench]:
    random = partial(random_operands, dtype=dtype)
    return [bench for shape in shapes for bench in _roles(random, shape)]


def _roles(
    random: Callable[..., Make],
    shape: tuple[int, ...],
    gradients: Sequence[list[bool]] = ([True, False, False], [False, True, False]),
) -> Iterator[Bench]:
    images, inputs, outputs, size, kernel, stride, groups = shape
    x, w = (images, inputs, size, size), (outputs, inputs // groups, kernel, kernel)
    pad, out = kernel // 2, (size + 2 * (kernel // 2) - kernel) // stride + 1
    y = (images, outputs, out, out)
    macs = prod(y) * prod(w[1:])
    how = ([stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups)
    yield Bench(random(x, w), lambda a, b: aten.convolution(a, b, None, *how), macs)
    for mask in gradients:
        yield Bench(
            random(y, x, w),
            lambda g, a, b, m=mask: aten.convolution_backward(g, a, b, None, *how, m),
            macs,
        )
