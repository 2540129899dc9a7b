"""Time of GEMMs in a CPU's BLAS where there is no calibration."""

from collections.abc import Sequence

from simulator.hardware.cpu import Cpu
from simulator.timing.flash import executed_macs
from simulator.timing.stretches import cycles_ps, overhead_ps
from simulator.trace.op import Gemm, bits_of
from simulator.units import PS_PER_S, ceil_div

# Multiply-adds beyond which BLAS splits a product over the cores: OpenBLAS, interface/gemm.c, which
# compares m x n x k with GEMM_MULTITHREAD_THRESHOLD (4) x 65536.
_SPLIT = 4 * 65536
_VECTOR_PRODUCTS = frozenset({"mv", "addmv", "addmv_", "dot", "vdot"})  # by GEMV: no packing
_NARROW = frozenset({"float16", "bfloat16"})


def is_narrow(cpu: Cpu, dtype: str) -> bool:
    """Return whether the cores must convert floats of this type to fp32 to compute."""
    return dtype in _NARROW and not cpu.costs.narrow_floats


def lanes_of(cpu: Cpu, dtype: str) -> int:
    """Return the elements that the vector units of one core process per cycle.

    Unsupported floats are computed as fp32.
    """
    bits = 32 if is_narrow(cpu, dtype) else bits_of(dtype)
    return max(1, cpu.simd * 8 // bits) * cpu.simd_pipes


def product_ps(
    cpu: Cpu, m: int, n: int, k: int, dtype: str = "float32", *, aside: bool = False
) -> int:
    """Return the time in ps of one GEMM, on as many cores as BLAS chooses.

    With `aside` it runs on one core while the others compute GEMMs of their own and share caches.

    t = m n k / (efficiency x peak) + pack (m k + k n + m n): each element of both operands is
    packed and each result updated once, an overhead that small dimensions do not amortise
    (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, TOMS 34, 2008).
    """
    macs = m * n * k
    efficiency = cpu.gemm_efficiency
    threads = cpu.cores if macs > _SPLIT and not aside else 1
    if aside:
        efficiency = efficiency * cpu.costs.aside // 1000
    elif threads == 1:
        efficiency = cpu.gemm_efficiency_alone or efficiency
    if is_narrow(cpu, dtype):
        efficiency = efficiency * cpu.costs.narrow_product // 1000
    per_second = cpu.clock * lanes_of(cpu, dtype) * threads * max(1, efficiency)
    packed_ps = cycles_ps(cpu, (m * k + k * n + m * n) * cpu.costs.product_pack, threads)
    joined_ps = overhead_ps(cpu, cpu.costs.product_fork) if threads > 1 else 0
    return ceil_div(macs * 1000 * PS_PER_S, per_second) + packed_ps + joined_ps


def products_ps(cpu: Cpu, op: str, gemms: Sequence[Gemm], dtype: str) -> int:
    """Return the time in ps of the GEMMs of op `op`, without dispatch.

    A batched GEMM is a sequence of BLAS calls (at::native::bmm without MKL selects each matrix);
    attention heads run in parallel on the cores.
    """
    if op in _VECTOR_PRODUCTS:
        return sum(_vector_ps(cpu, gemm) for gemm in gemms)
    each = _attention_ps if "attention" in op else _batch_ps
    return sum(each(cpu, gemm, dtype) for gemm in gemms)


def _vector_ps(cpu: Cpu, gemm: Gemm) -> int:
    threads = cpu.cores if gemm.dense_macs > _SPLIT else 1
    return cycles_ps(cpu, gemm.dense_macs * cpu.costs.elementwise, threads)


def _batch_ps(cpu: Cpu, gemm: Gemm, dtype: str) -> int:
    each = product_ps(cpu, gemm.m, gemm.n, gemm.k, dtype)
    selected = 2 * cpu.costs.inner_dispatch if gemm.batch > 1 else 0
    return gemm.batch * (each + overhead_ps(cpu, selected))


def _attention_ps(cpu: Cpu, gemm: Gemm, dtype: str) -> int:
    """Return the time in ps of a GEMM of fused attention: heads in parallel, blocks skipped."""
    each = product_ps(cpu, gemm.m, gemm.n, gemm.k, dtype, aside=True)
    all_ps = ceil_div(gemm.batch, cpu.cores) * each
    return ceil_div(all_ps * executed_macs(gemm), max(1, gemm.batch * gemm.m * gemm.n * gemm.k))
