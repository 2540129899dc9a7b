"""The operations that a calibration runs: what training is made of, at sizes of no network."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from workloads.calibrate.measure import Bench

aten: Any = torch.ops.aten
_ELEMENTS = (3_000, 40_000, 200_000, 900_000)
_IMAGES = ((12, 10, 12), (20, 24, 18), (24, 40, 28))  # images, channels, height and width
_ROWS = ((40, 60), (500, 150), (900, 700))
_PRODUCTS = (
    (24, 24, 24), (90, 90, 90), (180, 180, 180), (400, 400, 400), (800, 800, 800),
    (40, 12, 300), (48, 500, 90), (100, 300, 700), (500, 100, 180), (900, 160, 60),
    (700, 900, 48), (160, 700, 600), (12, 90, 40),
)  # fmt: skip
_BATCHED = ((96, 40, 40, 24), (48, 60, 24, 60), (24, 100, 100, 50))
# images, channels in and out, height and width, kernel, stride
_CONVOLUTIONS = (
    (24, 1, 8, 26, 5, 1), (20, 3, 24, 36, 3, 1), (24, 8, 20, 26, 3, 1), (20, 16, 16, 26, 3, 1),
    (24, 12, 24, 14, 5, 1), (16, 24, 48, 20, 3, 2), (16, 48, 48, 20, 3, 1), (20, 32, 32, 18, 3, 1),
    (16, 40, 80, 14, 1, 2), (8, 96, 96, 12, 3, 1), (12, 64, 64, 12, 3, 1), (4, 128, 128, 14, 3, 1),
)  # fmt: skip

Make = Callable[[], tuple[Any, ...]]


def _random(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Make:
    return lambda: tuple((torch.rand(shape) + 0.1).to(dtype) for shape in shapes)


def tiny() -> Bench:
    """Return the least that an operation can be: its time is that of a call from Python."""
    return Bench(_random((4,), (4,)), aten.add.Tensor)


def streams() -> list[Bench]:
    """Return elementwise operations and copies, whose time goes by the bytes that they move."""
    return [bench for n in _ELEMENTS for bench in _streams(n)]


def _streams(n: int) -> Iterator[Bench]:
    two, three = _random((n,), (n,)), _random((n,), (n,), (n,))
    yield Bench(two, aten.add.Tensor)
    yield Bench(two, aten.div.Tensor)
    yield Bench(_random((n,)), aten.relu)
    yield Bench(two, lambda a, b: aten.threshold_backward(a, b, 0.2))
    yield Bench(_random((n,)), lambda a: aten.mul_.Scalar(a, 1.0001))
    yield Bench(two, lambda a, b: aten.add_.Tensor(a, b, alpha=0.001))
    yield Bench(two, lambda a, b: aten.lerp_.Scalar(a, b, 0.1))
    yield Bench(three, lambda a, b, c: aten.addcmul_(a, b, c, value=0.001))
    yield Bench(two, aten.copy_)
    yield Bench(_random((n,)), aten.clone)
    yield Bench(_random((n,)), aten.zeros_like)


def kernels() -> list[Bench]:
    """Return operations whose time goes by their elements."""
    found = [bench for n in _ELEMENTS for bench in _by_element(n)]
    found += [bench for shape in _ROWS for bench in _by_row(*shape)]
    return found + [bench for shape in _IMAGES for bench in _by_image(*shape)]


def _by_element(n: int) -> Iterator[Bench]:
    one, two = _random((n,)), _random((n,), (n,))
    # Without zeros, of which MKL takes the root twenty times as slowly: how many is up to the data.
    for function in (aten.sqrt, aten.exp, aten.tanh, aten.gelu):
        yield Bench(one, function)
    yield Bench(two, aten.gelu_backward)
    yield Bench(one, aten.sum)
    yield Bench(one, lambda a: aten.bernoulli_.float(a, 0.9))
    if n < 100_000:
        yield Bench(one, aten.sort)


def _by_row(rows: int, width: int) -> Iterator[Bench]:
    shape = (rows, width)
    yield Bench(_random(shape), lambda a: aten.sum.dim_IntList(a, [0]))
    yield Bench(_random(shape), lambda a: aten.mean.dim(a, [1]))
    yield Bench(_random(shape), lambda a: aten._safe_softmax(a, 1))
    yield Bench(_random((1, *shape)), lambda a: aten.select_backward(a[0], (3, *shape), 0, 1))
    for log in ("_softmax", "_log_softmax"):
        yield Bench(_random(shape), lambda a, f=log: getattr(aten, f)(a, 1, False))
        backward = getattr(aten, f"{log}_backward_data")
        yield Bench(_random(shape, shape), lambda g, y, f=backward: f(g, y, 1, torch.float32))
    weights = _random(shape, (width,), (width,))
    yield Bench(weights, lambda x, w, b: aten.native_layer_norm(x, [width], w, b, 1e-5))
    operands = _random(shape, shape, (rows, 1), (rows, 1), (width,), (width,))
    yield Bench(operands, partial(_layer_norm_backward, width))
    yield Bench(partial(_lookup, rows, width), aten.embedding)
    yield Bench(
        partial(_lookup, rows, width, gradient=True),
        lambda g, i: aten.embedding_dense_backward(g, i, rows, -1, False),
    )


def _layer_norm_backward(width: int, g: Any, x: Any, mean: Any, rstd: Any, w: Any, b: Any) -> Any:
    return aten.native_layer_norm_backward(g, x, [width], mean, rstd, w, b, [True] * 3)


def _lookup(rows: int, width: int, *, gradient: bool = False) -> tuple[Any, ...]:
    table = torch.rand((2 * rows if gradient else rows), width)
    return table, torch.randint(rows, (len(table),))


def _by_image(images: int, channels: int, size: int) -> Iterator[Bench]:
    maps, each = (images, channels, size, size), (channels,)
    operands = _random(maps, each, each, each, each)
    yield Bench(operands, lambda x, *p: aten.native_batch_norm(x, *p, True, 0.1, 1e-5))
    operands = _random(maps, maps, *[each] * 5)
    yield Bench(operands, _batch_norm_backward)
    order = torch.contiguous_format
    yield Bench(_random(maps), lambda x: aten.clone(x.transpose(0, 1), memory_format=order))
    half = (images, channels, size // 2, size // 2)
    yield Bench(_random(maps), lambda x: aten.max_pool2d_with_indices(x, [2, 2], [2, 2]))
    yield Bench(lambda: _pooled(maps), _max_pool_backward)
    yield Bench(_random(maps), lambda x: aten.avg_pool2d(x, [2, 2], [2, 2]))
    yield Bench(_random(half, maps), _avg_pool_backward)


def _batch_norm_backward(g: Any, x: Any, w: Any, *statistics: Any) -> Any:
    return aten.native_batch_norm_backward(g, x, w, *statistics, True, 1e-5, [True] * 3)


def _pooled(maps: tuple[int, ...]) -> tuple[Any, ...]:
    x = torch.rand(maps)
    out, indices = aten.max_pool2d_with_indices(x, [2, 2], [2, 2])
    return out, x, indices


def _max_pool_backward(g: Any, x: Any, indices: Any) -> Any:
    window = [2, 2]
    return aten.max_pool2d_with_indices_backward(
        g, x, window, window, [0, 0], [1, 1], False, indices
    )


def _avg_pool_backward(g: Any, x: Any) -> Any:
    return aten.avg_pool2d_backward(g, x, [2, 2], [2, 2], [0, 0], False, True, None)


def products(dtype: torch.dtype = torch.float32) -> list[Bench]:
    """Return matrix products small and large, also of operands that lie transposed."""
    found = []
    random = partial(_random, dtype=dtype)
    for m, n, k in _PRODUCTS:
        found.append(Bench(random((m, k), (k, n)), aten.mm))
        found.append(Bench(random((k, m), (k, n)), lambda a, b: aten.mm(a.t(), b)))
        found.append(Bench(random((n,), (m, k), (n, k)), lambda c, a, b: aten.addmm(c, a, b.t())))
    for batch, m, n, k in _BATCHED:
        found.append(Bench(random((batch, m, k), (batch, k, n)), aten.bmm))
    return found


def convolutions(dtype: torch.dtype = torch.float32) -> list[Bench]:
    """Return convolutions forward, and each of their gradients alone."""
    random = partial(_random, dtype=dtype)
    return [bench for shape in _CONVOLUTIONS for bench in _convolutions(random, *shape)]


def _convolutions(
    random: Callable[..., Make],
    images: int,
    inputs: int,
    outputs: int,
    size: int,
    kernel: int,
    stride: int,
) -> Iterator[Bench]:
    x, w = (images, inputs, size, size), (outputs, inputs, kernel, kernel)
    pad, out = kernel // 2, (size + 2 * (kernel // 2) - kernel) // stride + 1
    y = (images, outputs, out, out)
    shape = ([stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1)
    yield Bench(random(x, w), lambda a, b: aten.convolution(a, b, None, *shape))
    for mask in ([True, False, False], [False, True, False]):
        yield Bench(
            random(y, x, w),
            lambda g, a, b, m=mask: aten.convolution_backward(g, a, b, None, *shape, m),
        )
