"""Loops that inductor compiles for kinds of layers, forward and backward, at sizes of no particular
network, and their times.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn import functional

from simulator.trace.op import Op
from workloads.calibrate.measure import recorded_ops

_ELEMENTS = 400_000
_IMAGES = ((20, 48, 20), (24, 40, 28))  # images, channels, height and width
_ROWS = ((1200, 300), (900, 700))
_CHANCE = 0.1
_ROUNDS = 15
_COPIES = 4  # of operands, in turn, so that none is in a first cache

LayerOperands = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class LayerBench:
    """A layer of which inductor makes a loop for each pass; `forward` and `backward` are the names
    of PyTorch's ops that account for them, "" where a loop is none to measure. Ops over elements
    around those are part of the loop. A `general` one stands for all ops of its forward op's kind.
    """

    operands: Callable[[], LayerOperands]
    run: Callable[..., torch.Tensor]
    forward: str
    backward: str = ""
    general: bool = False


def layer_benches() -> Iterator[LayerBench]:
    """Yield benches, those over elements first, whose cost is part of the others."""
    yield from _by_element()
    for rows in _ROWS:
        yield from _by_row(*rows)
    for images in _IMAGES:
        yield from _by_image(*images)


def _rand(*shape: int) -> LayerOperands:
    return ((torch.rand(shape) + 0.1).requires_grad_(),)


def _by_element() -> Iterator[LayerBench]:
    one = partial(_rand, _ELEMENTS)
    yield LayerBench(lambda: (*one(), *one()), torch.add, "add", general=True)
    yield LayerBench(one, torch.relu, "relu", "threshold_backward")
    yield LayerBench(one, functional.gelu, "gelu", "gelu_backward")
    yield LayerBench(one, functional.silu, "silu", "silu_backward")
    yield LayerBench(one, torch.tanh, "tanh", "tanh_backward")
    yield LayerBench(one, torch.exp, "exp", general=True)
    yield LayerBench(one, lambda x: functional.dropout(x, _CHANCE), "bernoulli_", general=True)


def _by_row(rows: int, width: int) -> Iterator[LayerBench]:
    one = partial(_rand, rows, width)
    yield LayerBench(one, lambda x: x.sum(0), "sum", general=True)
    yield LayerBench(one, lambda x: x.t().contiguous(), "clone", general=True)
    softmax = torch.ops.aten._safe_softmax
    yield LayerBench(one, lambda x: softmax(x, 1), "_safe_softmax", "_softmax_backward_data")
    yield LayerBench(one, lambda x: torch.softmax(x, 1), "_softmax")

    def norm() -> LayerOperands:
        return (*one(), *_rand(width), *_rand(width))

    yield LayerBench(
        norm,
        lambda x, w, b: functional.layer_norm(x, (x.shape[-1],), w, b),
        "native_layer_norm",
        "native_layer_norm_backward",
    )
    yield LayerBench(
        lambda: (*_rand(rows, width), torch.randint(rows, (rows,))),
        lambda table, index: functional.embedding(index, table),
        "embedding",
        "embedding_dense_backward",
    )


def _by_image(images: int, channels: int, size: int) -> Iterator[LayerBench]:
    """Yield benches on feature maps with channels last, as inductor lays out those of convolutional
    networks.
    """

    def maps() -> LayerOperands:
        made = torch.rand(images, channels, size, size) + 0.1
        return (made.to(memory_format=torch.channels_last).requires_grad_(),)

    def norm() -> LayerOperands:
        each = torch.rand(channels), torch.rand(channels) + 0.1
        return (*maps(), *_rand(channels), *_rand(channels), *each)

    yield LayerBench(
        norm,
        lambda x, w, b, mean, var: functional.relu6(
            functional.batch_norm(x, mean, var, w, b, training=True)
        ),
        "native_batch_norm",
        "native_batch_norm_backward",
    )
    yield LayerBench(
        maps,
        lambda x: functional.max_pool2d(x, 2),
        "max_pool2d_with_indices",
        "max_pool2d_with_indices_backward",
    )
    yield LayerBench(
        maps, lambda x: functional.avg_pool2d(x, 2), "avg_pool2d", "avg_pool2d_backward"
    )


def pass_times(bench: LayerBench) -> tuple[float, float]:
    """Return the times in ps of the compiled forward and backward pass of a bench: of repeats
    the first quartile, since other programs only add."""
    torch._dynamo.reset()
    run = torch.compile(bench.run, dynamic=False)
    operands = [bench.operands() for _ in range(_COPIES)]
    gradient = torch.rand_like(run(*operands[0]))
    for _ in range(2):
        _timed(run, operands, gradient)
    rounds = [_timed(run, operands, gradient) for _ in range(_ROUNDS)]
    forward, backward = (sorted(column)[_ROUNDS // 4] for column in zip(*rounds, strict=True))
    return forward, backward


def _timed(
    run: Callable[..., torch.Tensor], operands: Sequence[LayerOperands], gradient: torch.Tensor
) -> tuple[float, float]:
    """Return the ps per call of both passes over operands in turn."""
    start = time.perf_counter_ns()
    results = [run(*each) for each in operands]
    middle = time.perf_counter_ns()
    for each, result in zip(operands, results, strict=True):
        torch.autograd.grad(result, _leaves(each), gradient)
    end = time.perf_counter_ns()
    return 1000 * (middle - start) / len(operands), 1000 * (end - middle) / len(operands)


def _leaves(operands: LayerOperands) -> list[torch.Tensor]:
    return [each for each in operands if each.requires_grad]


def eager_ops(bench: LayerBench) -> dict[str, Op]:
    """Return the ops of a bench by name, as a trace of an eager run has them."""
    operands = bench.operands()

    def both_passes() -> None:
        result = bench.run(*operands)
        torch.autograd.grad(result, _leaves(operands), torch.ones_like(result))

    return {op.base_name: op for op in recorded_ops(both_passes)}
