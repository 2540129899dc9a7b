"""How long a CPU takes for an operation: dispatch, arithmetic on its cores, or memory."""

from dataclasses import dataclass

from simulator.hardware.soc import Cpu
from simulator.timing.shares import WHOLE
from simulator.trace.op import OpKind
from simulator.units import Clock, ceil_div

# Elements that PyTorch gives to one thread at least (at::internal::GRAIN_SIZE).
GRAIN = 32768

# Vector operations per element. Counted from the arithmetic where it is plain; transcendentals,
# random numbers and sorting are guesses of the length of their usual SIMD kernels.
OPS_PER_ELEMENT: dict[OpKind, int] = {
    OpKind.GEMM: 1,
    OpKind.VIEW: 0,
    OpKind.ELEMENTWISE: 1,
    OpKind.TRANSCENDENTAL: 20,
    OpKind.REDUCTION: 1,
    OpKind.NORM: 8,
    OpKind.SOFTMAX: 24,
    OpKind.POOL: 4,
    OpKind.COPY: 1,
    OpKind.EMBEDDING: 1,
    OpKind.RANDOM: 20,
    OpKind.SORT: 40,
    OpKind.SYNC: 0,
    OpKind.OTHER: 1,
}


def between_ops(op_name: str) -> int:
    """Return the vector operations per element that a fused op does between two of its GEMMs.

    A softmax (or its gradient) in an attention, transcendental gates in a recurrent layer.
    """
    kind = OpKind.SOFTMAX if "attention" in op_name else OpKind.TRANSCENDENTAL
    return OPS_PER_ELEMENT[kind]


@dataclass(frozen=True, slots=True)
class Compute:
    """Arithmetic of an operation: time on `threads` cores, and their cycles in total."""

    ps: int
    threads: int


def elementwise_compute(cpu: Cpu, elements: int, bits: int, ops_per_element: int) -> Compute:
    """Return the arithmetic of `elements` of `bits` each, split as PyTorch splits it."""
    threads = max(1, min(cpu.cores, ceil_div(elements, GRAIN)))
    lanes = max(1, cpu.simd * 8 // bits)
    vector_ops = ceil_div(ceil_div(elements, threads) * ops_per_element, lanes)
    cycles = ceil_div(vector_ops, cpu.simd_pipes)
    return Compute(Clock(cpu.clock).cycles_to_ps(cycles), threads)


def gemm_compute(cpu: Cpu, macs: int, bits: int) -> Compute:
    """Return the arithmetic of `macs` fused multiply-adds at the CPU's GEMM efficiency.

    Split over cores like elementwise work, which is a guess: BLAS libraries choose by shape.
    """
    threads = max(1, min(cpu.cores, ceil_div(macs, GRAIN)))
    lanes = max(1, cpu.simd * 8 // bits)
    per_kilocycle = lanes * cpu.simd_pipes * cpu.gemm_efficiency  # efficiency is in permille
    cycles = ceil_div(ceil_div(macs, threads) * 1000, per_kilocycle)
    return Compute(Clock(cpu.clock).cycles_to_ps(cycles), threads)


class Continuous:
    """Progress of CPU work: dispatch first, then arithmetic and memory traffic side by side."""

    def __init__(self, overhead_ps: int, compute_ps: int, channel_ps: int, port_ps: int) -> None:
        """Take dispatch, arithmetic, memory time at full share, and least time of the ports."""
        self._overhead_ps = overhead_ps
        self._least_ps = max(compute_ps, port_ps)
        self.channel_ps = channel_ps

    def duration_ps(self, share: int) -> int:
        """Return the time from start to end at a constant `share` of the memory."""
        if not self.channel_ps:
            return self._overhead_ps + self._least_ps
        return self._overhead_ps + max(self._least_ps, ceil_div(self.channel_ps * WHOLE, share))
