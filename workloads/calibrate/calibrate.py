"""Runs the microbenchmarks and gathers what they say of the CPU."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch

from simulator.trace.op import OpKind, Role
from workloads.calibrate import benches
from workloads.calibrate.description import Findings, described
from workloads.calibrate.dispatch import overheads
from workloads.calibrate.fit import (
    KernelFit,
    ProductFit,
    ProductFits,
    fit_kernel,
    fit_product,
    fit_stream,
)
from workloads.calibrate.machine import Machine, this_machine
from workloads.calibrate.measure import Bench, Progress, Sample, samples, seconds

DTYPES = ("float32", "bfloat16", "float16")
_COPIED = 2**28  # bytes of each of two arrays, which few caches hold


def calibrate(threads: int | None = None, progress: Progress | None = None) -> str:
    """Return the YAML description of this machine's CPU with so many threads (default PyTorch's).

    Takes about a minute, in which the machine should do nothing else. `progress` wraps the loops.
    """
    count = threads or torch.get_num_threads()
    machine = this_machine(count)
    start = time.monotonic()
    with _threads(1):
        findings = _findings(machine, progress or _silently)
    if count > 1:
        findings.parallel_ps, findings.parallel_efficiency = _parallel(count)
    return described(machine, findings, time.monotonic() - start)


def _silently(items: Iterable[Bench], _total: int, _what: str) -> Iterable[Bench]:
    return items


def _findings(machine: Machine, progress: Progress) -> Findings:
    _settle_allocator()
    measured = partial(samples, progress=progress)
    called_ps = measured([benches.tiny()], "calls")[0].ps
    flows = measured(benches.streams(), "bandwidths")
    per_byte = fit_stream(flows, called_ps)
    rest = measured(benches.kernels(), "elementwise, norms, pools")
    kinds, operations = _kernels([*flows, *rest], per_byte, called_ps)
    by_dtype = partial(_products, measured=measured, called_ps=called_ps, machine=machine)
    products = {dtype: by_dtype(dtype) for dtype in DTYPES}
    overhead = overheads(partial(_call_of, operations, products["float32"].gemm))
    return Findings(
        called_ps=called_ps,
        overheads=overhead,
        per_byte=per_byte,
        first_touch_per_s=_first_touch(),
        kinds=kinds,
        operations=operations,
        products=products,
        copied_per_s=_copy_rate(),
    )


def _products(
    name: str, measured: Callable[..., list[Sample]], called_ps: int, machine: Machine
) -> ProductFits:
    """Return the speeds of products of a dtype; its vectors have lanes by its size."""
    dtype = getattr(torch, name)
    fit = partial(fit_product, called_ps=called_ps, lanes=machine.lanes * 4 // dtype.itemsize)
    gemm = fit(measured(benches.products(dtype), f"{name} products"))
    return ProductFits(
        gemm, _by_role(measured(benches.convolutions(dtype), f"{name} convolutions"), fit)
    )


def _kernels(
    found: list[Sample], per_byte: float, called_ps: int
) -> tuple[dict[OpKind, KernelFit], dict[str, KernelFit]]:
    """Return fits for kinds of operations, and for each operation of its own."""
    by_kind: dict[OpKind, list[Sample]] = defaultdict(list)
    by_name: dict[str, list[Sample]] = defaultdict(list)
    for sample in found:
        by_kind[sample.op.kind].append(sample)
        by_name[sample.op.base_name].append(sample)
    return (
        {kind: fit_kernel(part, per_byte, called_ps) for kind, part in by_kind.items()},
        {name: fit_kernel(part, per_byte, called_ps) for name, part in by_name.items()},
    )


def _by_role(
    found: list[Sample], fit: Callable[[list[Sample]], ProductFit]
) -> dict[Role, ProductFit]:
    roles: dict[Role, list[Sample]] = defaultdict(list)
    for sample in found:
        role = sample.op.gemms[0].role
        roles[role if role in (Role.DGRAD, Role.WGRAD) else Role.FORWARD].append(sample)
    return {role: fit(part) for role, part in roles.items()}


def _call_of(operations: dict[str, KernelFit], gemm: ProductFit, name: str) -> float:
    if name in ("mm", "addmm"):
        return gemm.call
    return operations[name].call if name in operations else 0.0


def _settle_allocator() -> None:
    """Free a block of the largest size that glibc keeps: what is freed later is used again."""
    torch.ones(31 * 2**20, dtype=torch.uint8)


def _first_touch() -> float:
    """Return the bytes per second at which memory new to the process becomes usable."""
    there = torch.zeros(_COPIED // 4, dtype=torch.uint8)
    old = seconds(Bench(lambda: (there,), lambda x: x.fill_(1)))
    new = seconds(Bench(lambda: (there,), lambda x: torch.empty_like(x).fill_(1)))
    return len(there) / max(1e-9, new - old)


def _copy_rate() -> float:
    """Return the bytes per second, read and written, of one core copying large arrays."""
    a, b = torch.zeros(_COPIED, dtype=torch.uint8), torch.ones(_COPIED, dtype=torch.uint8)
    bench = Bench(lambda: (a, b), lambda x, y: x.copy_(y))
    return 2 * _COPIED / seconds(bench)


def _parallel(threads: int) -> tuple[float, float]:
    """Return what starting threads takes, in ps, and what each further one adds, up to 1.

    From one operation in place of few and of many elements, with one thread and with all.
    """
    sizes = (40_000, 2_000_000)
    alone, together = [], []
    for size in sizes:
        bench = Bench(partial(_vectors, size), lambda a, b: a.add_(b, alpha=0.001))
        with _threads(1):
            alone.append(min(seconds(bench) for _ in range(3)))
        with _threads(threads):
            together.append(min(seconds(bench) for _ in range(3)))
    speed = (alone[1] - alone[0]) / max(1e-12, together[1] - together[0])
    speed = min(float(threads), max(1.0, speed))
    start_ps = max(0.0, together[0] - alone[0] / speed) * 1e12
    return start_ps, (speed - 1) / (threads - 1)


def _vectors(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(size), torch.rand(size)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
