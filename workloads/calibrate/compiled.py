"""What `torch.compile` costs on this machine and what its loops take, from synthetic graphs."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median

import torch

from simulator.errors import InputError
from simulator.timing.cores import product_names
from simulator.trace.accesses import elements_of, moved_bytes
from simulator.trace.op import Op, OpKind
from workloads.calibrate import products
from workloads.calibrate.dispatch import Overheads, phase_times, sgd
from workloads.calibrate.fit import KernelFit, positive_least_squares
from workloads.calibrate.graphs import PassContents, synthetic_graphs
from workloads.calibrate.loops import LayerBench, eager_ops, layer_benches, pass_times
from workloads.calibrate.measure import Bench, operation, seconds

_ROUNDS = 3
_RECTIFIER = "relu", "threshold_backward"
_PASSES = "forward", "backward"


@dataclass(frozen=True)
class CallFit:
    """Picoseconds of a call of each pass, of each lasting tensor in it, of a launch of a loop and
    of a library's kernel.
    """

    call: Mapping[str, float]
    tensor: Mapping[str, float]
    kernel: float
    extern: float


@dataclass(frozen=True)
class LoopFit:
    """Compiled loops by op and by kind; ps per element of masks, written and read."""

    operations: dict[str, KernelFit]
    kinds: dict[OpKind, KernelFit]
    mask_write: float
    mask_read: float


@dataclass(frozen=True)
class CompiledFindings:
    """What compiled code costs: its calls, its loops, and what share of the time of eager ones the
    library's convolutions take with channels last.
    """

    calls: CallFit
    loops: LoopFit
    shares: dict[str, float]


def check_compiler() -> None:
    """Raise InputError without the C++ compiler that inductor needs."""
    if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        raise InputError(
            "--compiled: there is no C++ compiler for torch.compile: install one such as g++, or "
            "leave --compiled out"
        )


def fit_calls(overheads: Overheads, call_ps: Callable[[str], float]) -> CallFit:
    """Return what calls cost beside eager `overheads`; `call_ps` is that of a library's kernel."""
    rows, times = [], []
    for graph in synthetic_graphs():
        torch._dynamo.reset()
        model = graph.make()
        optimizer = sgd(model.parameters())
        rounds = [phase_times(model, optimizer, compiled=True) for _ in range(_ROUNDS)]
        took = {name: min(each[name] for each in rounds) for name in _PASSES}
        for which, contents in enumerate((graph.forward, graph.backward)):
            eager_ps = getattr(overheads, _PASSES[which])  # of the results' mean, an op each way
            library_ps = contents.externs * call_ps("mm")
            rows.append(terms(which, contents))
            times.append(max(1.0, took[_PASSES[which]] - eager_ps - library_ps))
    *each, kernel, extern = positive_least_squares(rows, times)
    call, tensor = (dict(zip(_PASSES, pair, strict=True)) for pair in (each[:2], each[2:]))
    return CallFit(call, tensor, kernel, extern)


def terms(which: int, contents: PassContents) -> tuple[float, ...]:
    """Return the factors of: a call of each pass, a tensor in each, a loop, a library's kernel."""
    of_pass = [0.0] * (2 * len(_PASSES))
    of_pass[which], of_pass[len(_PASSES) + which] = 1.0, contents.tensors
    return (*of_pass, contents.kernels, contents.externs)


def fit_loops(per_byte: float) -> LoopFit:
    """Return what compiled loops take beside calls and their traffic of `per_byte` ps."""
    tiny = LayerBench(lambda: (torch.ones(4).requires_grad_(),), torch.relu, *_RECTIFIER)
    called = pass_times(tiny)
    by_name: dict[str, list[float]] = defaultdict(list)
    by_kind: dict[OpKind, list[float]] = defaultdict(list)
    for bench in layer_benches():
        ops = eager_ops(bench)
        named = zip((bench.forward, bench.backward), pass_times(bench), called, strict=True)
        for name, ps, least_ps in named:
            if name:
                op = ops[name]
                group = by_kind[op.kind] if bench.general else by_name[name]
                group.append(_element_ps(op, ps - least_ps, per_byte))
    elements = {name: median(each) for name, each in by_name.items()}
    written, read = (elements.pop(name) for name in _RECTIFIER)
    kinds = {kind: median(each) for kind, each in by_kind.items()}
    plain = kinds[OpKind.ELEMENTWISE]
    return LoopFit(
        {name: KernelFit(0.0, ps) for name, ps in elements.items()},
        {kind: KernelFit(0.0, ps) for kind, ps in kinds.items()},
        max(0.0, written - plain),
        max(0.0, read - plain),
    )


def _element_ps(op: Op, ps: float, per_byte: float) -> float:
    return max(0.0, ps - moved_bytes(op) * per_byte) / elements_of(op)


def channels_last_shares() -> dict[str, float]:
    """Return by name of a product what share of its time it takes with channels last, as inductor
    calls the library for it: the median, each shape measured in turn with the other order.
    """
    shares: dict[str, list[float]] = defaultdict(list)
    for bench in products.passes():
        share = _turned_share(bench)
        op = operation(bench)
        for name in {product_names(op, gemm)[0] for gemm in op.gemms}:
            shares[name].append(share)
    return {name: median(each) for name, each in shares.items()}


def _turned_share(bench: Bench) -> float:
    turned = _channels_last(bench)
    pairs = [(seconds(turned), seconds(bench)) for _ in range(_ROUNDS)]
    last, first = (min(column) for column in zip(*pairs, strict=True))
    return float(last / max(first, 1e-9))


def _channels_last(bench: Bench) -> Bench:
    def operands() -> tuple[torch.Tensor, ...]:
        return tuple(_maps(bench.operands()))

    return replace(bench, operands=operands)


def _maps(operands: tuple[torch.Tensor, ...]) -> Iterator[torch.Tensor]:
    for each in operands:
        yield each.to(memory_format=torch.channels_last) if each.dim() == 4 else each
