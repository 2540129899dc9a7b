"""Arithmetic of ops that are no products on a CPU, one by one or several in one loop."""

from collections.abc import Sequence

from simulator.hardware.cpu import Cpu, Kernel
from simulator.timing.compiled import extras_ps
from simulator.timing.cores import measured_compute, measured_kernel, new_ps, threads_of
from simulator.timing.kernels import kernel_ps
from simulator.timing.stretches import Stretch
from simulator.trace.accesses import elements_of, moved_bytes
from simulator.trace.compiled_graph import LoopExtras
from simulator.trace.op import Op, OpKind
from simulator.units import ceil_div


def operation_stretch(cpu: Cpu, op: Op, new: int, *, compiled: LoopExtras | None = None) -> Stretch:
    """Return the arithmetic of `op`, of whose results `new` bytes lie in new memory; as a loop that
    was `compiled`, with what it does besides, or as PyTorch's own kernel.

    That of a fused op is the sum of its parts, on as many threads as its largest part.
    """
    elements = elements_of(op)
    threads = threads_of(cpu, elements, op.kind)
    parts = [part for part in op.parts or (op,) if part.kind is not OpKind.VIEW]
    kernels = [measured_kernel(cpu, part, compiled=compiled is not None) for part in parts]
    measured = [kernel for kernel in kernels if kernel is not None]
    ps = sum(
        kernel_ps(cpu, part, elements_of(part), threads)
        for part, kernel in zip(parts, kernels, strict=True)
        if kernel is None
    )
    if cpu.compiled and compiled:
        ps += ceil_div(extras_ps(cpu.compiled, compiled), threads)
    if not measured:
        return Stretch(ps + new_ps(cpu, new), threads)
    each_ps = sum(
        elements_of(part) * kernel.element
        for part, kernel in zip(parts, kernels, strict=True)
        if kernel is not None
    )
    kernel = measured[0] if len(parts) == 1 else _one_loop(measured, ceil_div(each_ps, elements))
    compute = measured_compute(cpu, kernel, elements, moved_bytes(op), new, threads)
    return Stretch(ps + compute.ps, compute.threads)


def _one_loop(kernels: Sequence[Kernel], element_ps: int) -> Kernel:
    """Return the kernel of one loop that does what `kernels` do: called once, as slow through the
    caches and as parallel as the worst of them.
    """
    streams = [kernel.stream for kernel in kernels if kernel.stream]
    shares = [each.parallel_efficiency for each in kernels if each.parallel_efficiency is not None]
    return kernels[0].model_copy(
        update={
            "call": max(kernel.call for kernel in kernels),
            "element": element_ps,
            "stream": min(streams, default=None),
            "parallel_efficiency": min(shares, default=None),
        }
    )
