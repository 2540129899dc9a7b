"""How long a CPU takes for an operation: dispatch, arithmetic on its cores, or memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.hardware.cpu import Cpu, Kernel, Product
from simulator.timing.shares import WHOLE
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role
from simulator.units import PS_PER_S, Clock, ceil_div, transfer_ps

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


def between_kind(op_name: str) -> OpKind:
    """Return what a fused op does between two of its GEMMs.

    A softmax (or its gradient) in an attention, transcendental gates in a recurrent layer.
    """
    return OpKind.SOFTMAX if "attention" in op_name else OpKind.TRANSCENDENTAL


def between_ops(op_name: str) -> int:
    """Return the vector operations per element that a fused op does between two of its GEMMs."""
    return OPS_PER_ELEMENT[between_kind(op_name)]


_NETWORK = {
    Phase.FORWARD: "forward", Phase.LOSS: "forward", Phase.EVAL: "forward",
    Phase.DGRAD: "backward", Phase.WGRAD: "backward",
    Phase.OPTIMIZER: "optimizer", Phase.ZERO_GRAD: "optimizer",
}  # fmt: skip
_ISSUED_BY = _NETWORK | {Phase.RECOMPUTE: "forward"}
_KERNELS = {OpKind.COPY: "copies"} | {
    kind: kind.value
    for kind in (
        OpKind.ELEMENTWISE, OpKind.TRANSCENDENTAL, OpKind.REDUCTION, OpKind.NORM, OpKind.SOFTMAX,
        OpKind.POOL, OpKind.EMBEDDING, OpKind.RANDOM, OpKind.SORT,
    )
}  # fmt: skip
_CONVOLUTIONS = {Role.DGRAD: "convolution_dgrad", Role.WGRAD: "convolution_wgrad"}


def dispatch_ps(cpu: Cpu, phase: Phase) -> int:
    """Return what the framework takes to issue one operation in this phase, in ps."""
    own = getattr(cpu.dispatch, _ISSUED_BY.get(phase, ""), None)
    return Clock(cpu.clock).cycles_to_ps(cpu.op_overhead if own is None else own)


def part_of_step(phase: Phase) -> str:
    """Return the part of a step that begins with an operation of this phase, "" if none does."""
    return _NETWORK.get(phase, "")


def begin_ps(cpu: Cpu, part: str) -> int:
    """Return what this part of a step takes before its first operation, in ps."""
    cycles = getattr(cpu.dispatch.begin, part) if cpu.dispatch and part else 0
    return Clock(cpu.clock).cycles_to_ps(cycles)


def kernel_of(cpu: Cpu, op: Op) -> Kernel | None:
    """Return the measured speed of this operation, or of its kind, if they were measured."""
    if cpu.kernels is None:
        return None
    own = cpu.kernels.operations.get(op.base_name)
    return own or getattr(cpu.kernels, _KERNELS.get(op.kind, ""), None)


def product_of(cpu: Cpu, gemm: Gemm, dtype: str) -> Product | None:
    """Return the measured speed of products of this kind, if they were measured."""
    if cpu.kernels is None:
        return None
    name = "gemm" if gemm.conv is None else _CONVOLUTIONS.get(gemm.role, "convolution")
    own: Product | None = getattr(cpu.kernels.dtypes.get(dtype), name, None)
    common: Product | None = getattr(cpu.kernels, name)
    return own or common


@dataclass(frozen=True, slots=True)
class Compute:
    """Arithmetic of an operation: time on `threads` cores, and their cycles in total."""

    ps: int
    threads: int


def threads_of(cpu: Cpu, elements: int, kind: OpKind = OpKind.ELEMENTWISE) -> int:
    """Return over how many threads PyTorch spreads an operation.

    Random numbers are drawn by one, in order (ATen/native/cpu/DistributionTemplates.h).
    """
    return 1 if kind is OpKind.RANDOM else max(1, min(cpu.cores, ceil_div(elements, GRAIN)))


def elementwise_compute(
    cpu: Cpu, elements: int, bits: int, ops_per_element: int, threads: int
) -> Compute:
    """Return the arithmetic of `elements` of `bits` each, in so many threads."""
    lanes = max(1, cpu.simd * 8 // bits)
    vector_ops = ceil_div(ceil_div(elements, threads) * ops_per_element, lanes)
    cycles = ceil_div(vector_ops, cpu.simd_pipes)
    return Compute(Clock(cpu.clock).cycles_to_ps(cycles), threads)


def gemm_compute(cpu: Cpu, macs: int, bits: int) -> Compute:
    """Return the arithmetic of `macs` fused multiply-adds at the CPU's GEMM efficiency.

    Split over cores like elementwise work, which is a guess: BLAS libraries choose by shape.
    """
    threads = threads_of(cpu, macs)
    lanes = max(1, cpu.simd * 8 // bits)
    per_kilocycle = lanes * cpu.simd_pipes * cpu.gemm_efficiency  # efficiency is in permille
    cycles = ceil_div(ceil_div(macs, threads) * 1000, per_kilocycle)
    return Compute(Clock(cpu.clock).cycles_to_ps(cycles), threads)


def measured_compute(
    cpu: Cpu, kernel: Kernel, elements: int, moved_bytes: int, new_bytes: int, threads: int
) -> Compute:
    """Return the time of a measured kernel that moves so many bytes between cores and caches, in
    so many threads.

    `new_bytes` of its results lie in memory that the process had to fetch from the system.
    """
    assert cpu.kernels is not None, "a measured kernel is one of these"
    ps = elements * kernel.element
    stream = kernel.stream or cpu.kernels.stream
    ps += transfer_ps(moved_bytes, stream) if stream else 0
    ps += _touched_ps(cpu, new_bytes)
    return Compute(kernel.call + _divided(cpu, ps, threads), threads)


def product_compute(
    cpu: Cpu, product: Product, gemms: Sequence[Gemm], bits: int, moved_bytes: int, new_bytes: int
) -> Compute:
    """Return the time of measured products that pack and reorder so many bytes.

    `new_bytes` of their results lie in memory that the process had to fetch.
    """
    lanes = max(1, cpu.simd * 8 // bits)
    macs = sum(slowed_macs(gemm, lanes, product.half) for gemm in gemms)
    threads = threads_of(cpu, macs)
    per_second = cpu.clock * lanes * cpu.simd_pipes * product.efficiency
    ps = ceil_div(macs * 1000 * PS_PER_S, per_second)  # efficiency is in permille
    ps += transfer_ps(moved_bytes, product.bandwidth) if product.bandwidth else 0
    ps += _touched_ps(cpu, new_bytes)
    return Compute(product.call + _divided(cpu, ps, threads), threads)


def slowed_macs(gemm: Gemm, lanes: int, half: int) -> int:
    """Return the MACs that take as long at full efficiency as those of `gemm` do."""
    macs = filled_macs(gemm, lanes)
    return macs + ceil_div(macs * half, smallest(gemm))


def filled_macs(gemm: Gemm, lanes: int) -> int:
    """Return the MACs of whole vectors: of a convolution, those along the channels it makes."""
    if gemm.conv is None:
        return gemm.macs
    made = gemm.conv.in_channels if gemm.role is Role.DGRAD else gemm.conv.out_channels
    channels = max(1, made // gemm.conv.groups)
    return gemm.macs * (ceil_div(channels, lanes) * lanes) // channels


def smallest(gemm: Gemm) -> int:
    """Return the smallest dimension of a product."""
    return max(1, min(gemm.m, gemm.n, gemm.k))


def _touched_ps(cpu: Cpu, new_bytes: int) -> int:
    rate = cpu.kernels.first_touch if cpu.kernels else None
    return transfer_ps(new_bytes, rate) if rate else 0


def _divided(cpu: Cpu, ps: int, threads: int) -> int:
    """Return how long `threads` take for `ps` of one of them, with their start and end."""
    if threads == 1 or cpu.kernels is None:
        return ps
    speed = 1000 + (threads - 1) * cpu.kernels.parallel_efficiency
    started_ps = Clock(cpu.clock).cycles_to_ps(cpu.kernels.parallel_overhead)
    return started_ps + ceil_div(ps * 1000, speed)


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
