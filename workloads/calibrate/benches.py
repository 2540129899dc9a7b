"""The operations of a calibration: those of training, at sizes of no particular network."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from workloads.calibrate.measure import Bench

aten: Any = torch.ops.aten
_ELEMENTS = (3_000, 40_000, 200_000, 900_000)
_IMAGES = ((12, 10, 12), (20, 24, 18), (24, 40, 28))  # images, channels, height and width
_ROWS = ((40, 60), (500, 150), (900, 700))
Make = Callable[[], tuple[Any, ...]]


def random_operands(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Make:
    """Return a function that makes tensors of these shapes, without zeros, which slow
    some kernels.
    """
    return lambda: tuple((torch.rand(shape) + 0.1).to(dtype) for shape in shapes)


def tiny() -> Bench:
    """Return the smallest operation: its time is that of a call from Python."""
    return Bench(random_operands((4,), (4,)), aten.add.Tensor)


def streams() -> list[Bench]:
    """Return elementwise operations and copies that are bound by memory traffic."""
    return [bench for n in _ELEMENTS for bench in _streams(n)]


def _streams(n: int) -> Iterator[Bench]:
    two, three = random_operands((n,), (n,)), random_operands((n,), (n,), (n,))
    yield Bench(two, aten.add.Tensor)
    yield Bench(two, aten.div.Tensor)
    yield Bench(random_operands((n,)), aten.relu)
    yield Bench(two, lambda a, b: aten.threshold_backward(a, b, 0.2))
    yield Bench(random_operands((n,)), lambda a: aten.mul_.Scalar(a, 1.0001))
    yield Bench(two, lambda a, b: aten.add_.Tensor(a, b, alpha=0.001))
    yield Bench(two, lambda a, b: aten.lerp_.Scalar(a, b, 0.1))
    yield Bench(three, lambda a, b, c: aten.addcmul_(a, b, c, value=0.001))
    yield Bench(three, lambda a, b, c: aten.addcdiv_(a, b, c, value=0.001))
    yield Bench(two, aten.copy_)
    yield Bench(random_operands((n,)), aten.clone)
    yield Bench(random_operands((n,)), aten.zeros_like)


def by_element() -> list[Bench]:
    """Return operations whose time is per element."""
    return [bench for n in _ELEMENTS for bench in _by_element(n)]


def by_row() -> list[Bench]:
    """Return operations along the rows of a matrix."""
    return [bench for shape in _ROWS for bench in _by_row(*shape)]


def by_image() -> list[Bench]:
    """Return operations on feature maps."""
    return [bench for shape in _IMAGES for bench in _by_image(*shape)]


def conversions() -> list[Bench]:
    """Return conversions to reduced precision and back, as autocast makes them."""
    half, full = torch.bfloat16, torch.float32
    benches = []
    for n in _ELEMENTS:
        benches.append(Bench(random_operands((n,)), lambda a: aten._to_copy(a, dtype=half)))
        back = random_operands((n,), dtype=half)
        benches.append(Bench(back, lambda a: aten._to_copy(a, dtype=full)))
    return benches


def _by_element(n: int) -> Iterator[Bench]:
    one, two = random_operands((n,)), random_operands((n,), (n,))
    # Without zeros: MKL takes 20 times as long for their root, and their number varies.
    for function in (aten.sqrt, aten.exp, aten.tanh, aten.gelu, aten.silu, aten.hardswish):
        yield Bench(one, function)
    for backward in (aten.gelu_backward, aten.silu_backward, aten.hardswish_backward):
        yield Bench(two, backward)
    yield Bench(two, lambda g, a: aten.hardtanh_backward(g, a, 0.0, 6.0))
    yield Bench(one, lambda a: aten.hardtanh_(a, 0.0, 6.0))
    yield Bench(one, aten.sum)
    yield Bench(one, lambda a: aten.bernoulli_.float(a, 0.9))
    if n < 100_000:
        yield Bench(one, aten.sort)


def _by_row(rows: int, width: int) -> Iterator[Bench]:
    shape = (rows, width)
    yield Bench(random_operands(shape), lambda a: aten.sum.dim_IntList(a, [0]))
    yield Bench(random_operands(shape), lambda a: aten.mean.dim(a, [1]))
    yield Bench(random_operands(shape), lambda a: aten._safe_softmax(a, 1))
    yield Bench(
        random_operands((1, *shape)), lambda a: aten.select_backward(a[0], (3, *shape), 0, 1)
    )
    for log in ("_softmax", "_log_softmax"):
        yield Bench(random_operands(shape), lambda a, f=log: getattr(aten, f)(a, 1, False))
        backward = getattr(aten, f"{log}_backward_data")
        yield Bench(
            random_operands(shape, shape), lambda g, y, f=backward: f(g, y, 1, torch.float32)
        )
    weights = random_operands(shape, (width,), (width,))
    yield Bench(weights, lambda x, w, b: aten.native_layer_norm(x, [width], w, b, 1e-5))
    operands = random_operands(shape, shape, (rows, 1), (rows, 1), (width,), (width,))
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
    operands = random_operands(maps, each, each, each, each)
    yield Bench(operands, lambda x, *p: aten.native_batch_norm(x, *p, True, 0.1, 1e-5))
    operands = random_operands(maps, maps, *[each] * 5)
    yield Bench(operands, _batch_norm_backward)
    order = torch.contiguous_format
    yield Bench(random_operands(maps), lambda x: aten.clone(x.transpose(0, 1), memory_format=order))
    half = (images, channels, size // 2, size // 2)
    yield Bench(random_operands(maps), lambda x: aten.max_pool2d_with_indices(x, [2, 2], [2, 2]))
    yield Bench(lambda: _pooled(maps), _max_pool_backward)
    yield Bench(random_operands(maps), lambda x: aten.avg_pool2d(x, [2, 2], [2, 2]))
    yield Bench(random_operands(half, maps), _avg_pool_backward)
    yield Bench(random_operands(maps), lambda x: aten.mean.dim(x, [2, 3]))


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
