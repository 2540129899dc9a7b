"""Runs the microbenchmarks and derives the numbers of a CPU description."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch

from simulator.errors import InputError
from simulator.timing.cores import product_names
from simulator.trace.op import OpKind
from simulator.trace.op_kinds import KIND_FACTS
from workloads.calibrate.compiled import (
    CompiledFindings,
    channels_last_shares,
    check_compiler,
    fit_calls,
    fit_loops,
)
from workloads.calibrate.description import Findings, describe
from workloads.calibrate.dispatch import overheads
from workloads.calibrate.fit import (
    KernelFit,
    ProductFit,
    fastest_mac,
    fit_kernel,
    fit_product,
    fit_stream,
)
from workloads.calibrate.groups import (
    BenchGroup,
    Measurements,
    groups,
    measure,
    threads_of_torch,
    turns,
)
from workloads.calibrate.machine import Host, this_host
from workloads.calibrate.measure import CLOCKS, Bench, HostClocks, TimedOp, seconds
from workloads.calibrate.scaling import Pair, pairs, parallel_efficiency, start_ps
from workloads.calibrate.watch import Load, Report, TimeLimit, load_now, refuse_if_busy
from workloads.capture.memory import settle_heap

LIMIT_S = 120
_COPIED = 2**28  # bytes of each of two arrays: more than most caches hold
_RESERVED_S = 12  # for dispatch and memory, which are measured once
_NEEDED = ("calls", "bandwidths", "products")
_OPERATIONS = ("bandwidths", "elementwise operations", "norms, pools, softmax", "conversions")

Key = TypeVar("Key")
Fit = TypeVar("Fit", KernelFit, ProductFit)


def calibrate(
    threads: Sequence[int] = (),
    report: Report | None = None,
    *,
    limit_s: float = LIMIT_S,
    force: bool = False,
    compiled: bool = False,
    clock: HostClocks = CLOCKS,
) -> str:
    """Return the YAML description of this machine's CPU with up to so many threads.

    Measures one thread and each number in `threads`, by default PyTorch's own. Takes at most about
    `limit_s` seconds; the description lists what was left out. `report` is called after each turn.
    Raises InputError if other programs keep the machine busy, unless `force`, and if the limit is
    too short to measure what a description needs. With `compiled`, what torch.compile costs comes
    on top, in about a minute beyond the limit; that needs a C++ compiler.
    """
    if compiled:
        check_compiler()
    counts = sorted({1, *(threads or [torch.get_num_threads()])})
    if not force:
        refuse_if_busy(load_now(clock))
    plan = groups(counts)
    limit = TimeLimit(limit_s - _RESERVED_S, turns(plan), report or _silently, clock)
    settle_heap()
    measurements = measure(plan, limit)
    load = replace(load_now(clock), share=limit.share, spread=measurements.spread)
    if not force:
        refuse_if_busy(load)
    _check_complete(measurements, limit_s)
    host = this_host(counts[-1])
    findings = _findings(host, plan, measurements, load)
    if compiled:
        findings.compiled = _compiled(findings)
    return describe(host, findings, limit.elapsed_s)


def _silently(_done: int, _total: int, _what: str, _left_s: float) -> None:
    return


def _check_complete(measurements: Measurements, limit_s: float) -> None:
    missing = [name for name in _NEEDED if name not in measurements.samples]
    if missing:
        raise InputError(
            f"--limit {limit_s:g} s is too short to measure {missing[0]}: allow more time"
        )


def _findings(
    host: Host, plan: list[BenchGroup], measurements: Measurements, load: Load
) -> Findings:
    called_ps = measurements.samples["calls"][0].ps
    flows = measurements.samples["bandwidths"]
    per_byte = fit_stream(flows, called_ps)
    scaling = _Scaling(plan, measurements, called_ps)
    samples = [s for name in _OPERATIONS for s in measurements.samples.get(name, ())]
    fit = partial(fit_kernel, per_byte=per_byte, called_ps=called_ps)
    operations = _fitted(samples, _name_of, fit, scaling)
    products = _products(plan, measurements, called_ps, host, scaling)
    with threads_of_torch(1):
        overhead = overheads(partial(_call_of, operations, products["float32"]["gemm"]))
        first_touch, copied = _first_touch(), _copy_rate()
    with threads_of_torch(host.threads):
        copied_together = _copy_rate() if host.threads > 1 else copied
    return Findings(
        called_ps=called_ps,
        overheads=overhead,
        per_byte=per_byte,
        first_touch_per_s=first_touch,
        kinds=_fitted(samples, _kind_of, fit, scaling),
        operations=operations,
        products=products,
        copied_per_s=copied,
        copied_together_per_s=copied_together,
        parallel_ps=scaling.start_ps,
        parallel_efficiency=scaling.efficiency if host.threads > 1 else 1.0,
        load=load,
        left_out=tuple(measurements.left_out),
    )


def _compiled(findings: Findings) -> CompiledFindings:
    """Return what compiling costs on one thread, beside what `findings` say of eager code."""
    with threads_of_torch(1):
        call_of = partial(_call_of, findings.operations, findings.products["float32"]["gemm"])
        calls = fit_calls(findings.overheads, call_of)
        return CompiledFindings(calls, fit_loops(findings.per_byte), channels_last_shares())


class _Scaling:
    """How operations measured on one and on several threads scale."""

    def __init__(self, plan: list[BenchGroup], measurements: Measurements, called_ps: int) -> None:
        self._called_ps = called_ps
        self._pairs: list[Pair] = []
        for name in dict.fromkeys(group.name for group in plan):
            own = [
                group
                for group in plan
                if group.name == name and group.title in measurements.samples
            ]
            spread = {g.threads: measurements.samples[g.title] for g in own if g.threads > 1}
            self._pairs += pairs(measurements.samples.get(name, ()), spread)
        flows = [pair for pair in self._pairs if not pair.op.gemms and _streams(pair)]
        self.start_ps = 0.0
        self.efficiency = parallel_efficiency(flows, called_ps, 0.0)
        self.start_ps = start_ps(flows, called_ps, self.efficiency)

    def of(self, fit: Fit, samples: Iterable[TimedOp]) -> Fit:
        """Return `fit` with the gain per further thread, if that was measured."""
        ids = {id(sample) for sample in samples}
        own = [pair for pair in self._pairs if id(pair.alone) in ids]
        if not own:
            return fit
        share = parallel_efficiency(own, self._called_ps + fit.call, self.start_ps)
        return replace(fit, parallel=share)


def _streams(pair: Pair) -> bool:
    return KIND_FACTS[pair.op.kind].streams


def _products(
    plan: list[BenchGroup],
    measurements: Measurements,
    called_ps: int,
    host: Host,
    scaling: _Scaling,
) -> dict[str, dict[str, ProductFit]]:
    """Return product speeds by dtype and name; the lanes of a vector depend on the dtype's size."""
    by_dtype: dict[str, list[TimedOp]] = defaultdict(list)
    for group in plan:
        if group.threads == 1:
            products = [s for s in measurements.samples.get(group.title, ()) if s.op.gemms]
            by_dtype[group.dtype] += products
    return {
        dtype: _fitted(samples, _product_of, _fit_of(samples, dtype, called_ps, host), scaling)
        for dtype, samples in by_dtype.items()
        if samples
    }


def _fit_of(
    samples: Sequence[TimedOp], dtype: str, called_ps: int, host: Host
) -> Callable[[Iterable[TimedOp]], ProductFit]:
    """Return the fit of a dtype's products; none may be faster than the fastest of `samples`."""
    lanes = host.lanes * 4 // getattr(torch, dtype).itemsize
    floor = fastest_mac(samples, called_ps, lanes)
    return partial(fit_product, called_ps=called_ps, lanes=lanes, floor=floor)


def _fitted(
    samples: Iterable[TimedOp],
    key_of: Callable[[TimedOp], Key],
    fit: Callable[[list[TimedOp]], Fit],
    scaling: _Scaling,
) -> dict[Key, Fit]:
    """Return a fit for each group of samples with equal keys."""
    grouped: dict[Key, list[TimedOp]] = defaultdict(list)
    for sample in samples:
        grouped[key_of(sample)].append(sample)
    return {key: scaling.of(fit(part), part) for key, part in grouped.items()}


def _name_of(sample: TimedOp) -> str:
    return sample.op.base_name


def _kind_of(sample: TimedOp) -> OpKind:
    return sample.op.kind


def _product_of(sample: TimedOp) -> str:
    return product_names(sample.op, sample.op.gemms[0])[0]


def _call_of(operations: dict[str, KernelFit], gemm: ProductFit, name: str) -> float:
    if name in ("mm", "addmm"):
        return gemm.call
    return operations[name].call if name in operations else 0.0


def _first_touch() -> float:
    """Return the bytes per second at which new memory becomes usable."""
    there = torch.zeros(_COPIED // 4, dtype=torch.uint8)
    old = seconds(Bench(lambda: (there,), lambda x: x.fill_(1)))
    new = seconds(Bench(lambda: (there,), lambda x: torch.empty_like(x).fill_(1)))
    return len(there) / max(1e-9, new - old)


def _copy_rate() -> float:
    """Return the bytes per second, read and written, of copies of large arrays."""
    a, b = torch.zeros(_COPIED, dtype=torch.uint8), torch.ones(_COPIED, dtype=torch.uint8)
    bench = Bench(lambda: (a, b), lambda x, y: x.copy_(y))
    return 2 * _COPIED / seconds(bench)
