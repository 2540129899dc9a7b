"""Time of operations on a CPU: dispatch overhead, and calibrated kernels and GEMMs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from simulator.hardware.cpu import Cpu, Kernel, Kernels, ProductSpeed
from simulator.timing.flash import executed_macs
from simulator.trace.op import Conv, Gemm, Op, OpKind, Phase, Role, Tensor
from simulator.trace.op_kinds import KIND_FACTS
from simulator.trace.phases import FACTS, StepPart
from simulator.units import PS_PER_S, Clock, ceil_div, transfer_ps

# Elements that PyTorch gives to one thread at least (at::internal::GRAIN_SIZE).
GRAIN = 32768

_GRADIENTS = {Role.DGRAD: "_dgrad", Role.WGRAD: "_wgrad"}


def dispatch_ps(cpu: Cpu, phase: Phase) -> int:
    """Return the time in ps that the framework takes to dispatch an operation of this phase."""
    own = getattr(cpu.dispatch, FACTS[phase].part, None)
    return Clock(cpu.clock).cycles_to_ps(cpu.op_overhead if own is None else own)


def part_of_step(phase: Phase) -> StepPart:
    """Return the part of a step that begins with an operation of this phase, LOOP if none does."""
    facts = FACTS[phase]
    return facts.part if facts.begins_part else StepPart.LOOP


def begin_ps(cpu: Cpu, part: StepPart) -> int:
    """Return the time in ps that a part of a step takes before its first operation."""
    cycles = getattr(cpu.dispatch.begin, part) if cpu.dispatch and part else 0
    return Clock(cpu.clock).cycles_to_ps(cycles)


def measured_kernel(cpu: Cpu, op: Op, *, compiled: bool = False) -> Kernel | None:
    """Return the calibrated kernel of this operation or else of its kind, None without one; in
    `compiled` code that of a compiled loop, or else the eager one.
    """
    kind = compiled_kind(op) if compiled else op.kind
    kernels = (_kernel_in(table, op, kind) for table in _tables(cpu, compiled=compiled))
    return next((kernel for kernel in kernels if kernel), None)


def _tables(cpu: Cpu, *, compiled: bool) -> Iterator[Kernels]:
    """Yield the calibrated kernels that may hold, the first ones first."""
    if compiled and cpu.compiled and cpu.compiled.kernels:
        yield cpu.compiled.kernels
    if cpu.kernels:
        yield cpu.kernels


def _kernel_in(kernels: Kernels, op: Op, kind: OpKind) -> Kernel | None:
    own = kernels.operations.get(op.base_name)
    return own or getattr(kernels, KIND_FACTS[kind].measured, None)


def compiled_kind(op: Op) -> OpKind:
    """Return the kind of a compiled loop: a copy is a loop as any other, unless the elements that
    lie side by side change.
    """
    if op.kind is not OpKind.COPY or _turns(op):
        return op.kind
    return OpKind.ELEMENTWISE


def _turns(op: Op) -> bool:
    """Return whether a copy has its inner dimension elsewhere than its source."""
    inner = {_inner(tensor) for tensor in (*op.inputs, *op.outputs) if len(tensor.shape) > 1}
    return len(inner) > 1


def _inner(tensor: Tensor) -> int:
    """Return the dimension from the end whose elements lie closest together."""
    steps = [
        (stride, -index)
        for index, (stride, size) in enumerate(zip(tensor.strides, tensor.shape, strict=True))
        if stride and size > 1
    ]
    return -min(steps)[1] - len(tensor.shape) if steps else -1


def product_of(cpu: Cpu, op: Op, gemm: Gemm, *, compiled: bool = False) -> ProductSpeed | None:
    """Return the calibrated speed of GEMMs like this one of `op`, None without one.

    A more general kind in the same dtype takes precedence over the GEMM's own kind in another.
    """
    named = _measured_products(cpu, op, gemm, compiled=compiled)
    return next((product for _, product in named), None)


def is_timed_whole(cpu: Cpu, op: Op, gemm: Gemm) -> bool:
    """Return whether the calibrated speed of `op` includes what it does between its GEMMs.

    A calibration times attention as one kernel, softmax included.
    """
    name = next((name for name, _ in _measured_products(cpu, op, gemm)), "")
    return name.startswith("attention")


def _measured_products(
    cpu: Cpu, op: Op, gemm: Gemm, *, compiled: bool = False
) -> Iterator[tuple[str, ProductSpeed]]:
    dtype = op.inputs[max(0, gemm.a)].dtype
    tables = list(_tables(cpu, compiled=compiled))
    for part in (*(kernels.dtypes.get(dtype) for kernels in tables), *tables):
        for name in product_names(op, gemm):
            product = getattr(part, name, None)
            if product:
                yield name, product


def product_names(op: Op, gemm: Gemm) -> tuple[str, str]:
    """Return the names of GEMMs like this one in a description, the specific before the general."""
    if gemm.conv is not None:
        role = _GRADIENTS.get(gemm.role, "")
        return f"{_convolution_name(gemm.conv)}{role}", f"convolution{role}"
    if "attention" in op.name:
        return "attention_backward" if "backward" in op.name else "attention", "gemm"
    return "gemm" if gemm.batch == 1 else "batched", "gemm"


def _convolution_name(conv: Conv) -> str:
    if conv.is_depthwise:
        return "depthwise"
    if conv.groups > 1:
        return "grouped"
    return "pointwise" if prod(conv.kernel) == 1 else "convolution"


@dataclass(frozen=True, slots=True)
class Compute:
    """Arithmetic of an operation: its time in ps on `threads` cores."""

    ps: int
    threads: int


def threads_of(cpu: Cpu, elements: int, kind: OpKind = OpKind.ELEMENTWISE) -> int:
    """Return the number of threads on which PyTorch runs an operation."""
    return 1 if KIND_FACTS[kind].serial else max(1, min(cpu.cores, ceil_div(elements, GRAIN)))


def loop_ps(cpu: Cpu, elements: int, bits: int, ops_per_element: int, threads: int) -> int:
    """Return the time in ps of a vectorised loop over `elements` of `bits` each."""
    lanes = max(1, cpu.simd * 8 // bits)
    vector_ops = ceil_div(ceil_div(elements, threads) * ops_per_element, lanes)
    return Clock(cpu.clock).cycles_to_ps(ceil_div(vector_ops, cpu.simd_pipes))


def new_ps(cpu: Cpu, size: int) -> int:
    """Return the time in ps of first touch (page faults) of `size` bytes of results."""
    return transfer_ps(size, cpu.costs.first_touch)


def measured_compute(
    cpu: Cpu, kernel: Kernel, elements: int, moved_bytes: int, new_bytes: int, threads: int
) -> Compute:
    """Return the time of a calibrated kernel on `threads` cores.

    It moves `moved_bytes` between cores and caches; `new_bytes` of its results are first-touch
    memory.
    """
    ps = elements * kernel.element
    stream = kernel.stream or (cpu.kernels.stream if cpu.kernels else None)
    ps += transfer_ps(moved_bytes, stream) if stream else 0
    ps += _touched_ps(cpu, new_bytes)
    return Compute(kernel.call + _divided(cpu, kernel, ps, threads), threads)


def product_compute(
    cpu: Cpu,
    product: ProductSpeed,
    gemms: Sequence[Gemm],
    bits: int,
    moved_bytes: int,
    new_bytes: int,
) -> Compute:
    """Return the time of calibrated GEMMs that pack and reorder `moved_bytes`.

    `new_bytes` of their results are first-touch memory.
    """
    lanes = max(1, cpu.simd * 8 // bits)
    macs = sum(slowed_macs(gemm, lanes, product.half) for gemm in gemms)
    threads = threads_of(cpu, macs)
    per_second = cpu.clock * lanes * cpu.simd_pipes * product.efficiency
    ps = ceil_div(macs * 1000 * PS_PER_S, per_second)  # efficiency is in permille
    ps += transfer_ps(moved_bytes, product.bandwidth) if product.bandwidth else 0
    ps += _touched_ps(cpu, new_bytes)
    return Compute(product.call + _divided(cpu, product, ps, threads), threads)


def slowed_macs(gemm: Gemm, lanes: int, half: int) -> int:
    """Return the MACs that take as long at full efficiency as `gemm` does."""
    macs = filled_macs(gemm, lanes)
    return macs + ceil_div(macs * half, smallest(gemm))


def filled_macs(gemm: Gemm, lanes: int) -> int:
    """Return the MACs of whole vectors: a convolution's output channels are padded to lanes."""
    if gemm.conv is None:
        return executed_macs(gemm)
    outputs = gemm.conv.in_channels if gemm.role is Role.DGRAD else gemm.conv.out_channels
    # Depthwise kernels have vectors across the groups.
    channels = outputs if gemm.conv.is_depthwise else max(1, outputs // gemm.conv.groups)
    return gemm.dense_macs * (ceil_div(channels, lanes) * lanes) // channels


def smallest(gemm: Gemm) -> int:
    """Return the smallest dimension of a GEMM."""
    return max(1, min(gemm.m, gemm.n, gemm.k))


def _touched_ps(cpu: Cpu, new_bytes: int) -> int:
    rate = cpu.kernels.first_touch if cpu.kernels else None
    return transfer_ps(new_bytes, rate) if rate else 0


def _divided(cpu: Cpu, measured: Kernel | ProductSpeed, ps: int, threads: int) -> int:
    """Return the time of `ps` of one thread divided among `threads`, fork and join included."""
    if threads == 1 or cpu.kernels is None:
        return ps
    own = measured.parallel_efficiency
    speed = 1000 + (threads - 1) * (cpu.kernels.parallel_efficiency if own is None else own)
    started_ps = Clock(cpu.clock).cycles_to_ps(cpu.kernels.parallel_overhead)
    return started_ps + ceil_div(ps * 1000, speed)
