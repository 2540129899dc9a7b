"""What compiled passes over a network cost on a CPU beside their arithmetic: calls and launches."""

from simulator.hardware.cpu import CompiledCall, CompiledCode, Cpu
from simulator.hardware.runtime import Runtime
from simulator.timing.cores import compiled_kind
from simulator.trace.compiled_graph import LoopExtras
from simulator.trace.op import Op, OpKind
from simulator.trace.phases import FACTS, StepPart
from simulator.units import Clock


def compiled_on(cpu: Cpu, runtime: Runtime) -> CompiledCode | None:
    """Return what compiling costs on a host, None where nothing is compiled at a known cost."""
    return cpu.compiled if runtime.fusion == "chains" else None


def is_compiled(compiled: CompiledCode | None, op: Op) -> bool:
    """Return whether an op is part of compiled code: the network's passes are, the loss is not."""
    return compiled is not None and FACTS[op.phase].in_network


def compiled_kinds(op: Op) -> tuple[OpKind, ...]:
    """Return the kinds of the loops that are fused into the loop of `op`, or its own."""
    return tuple([compiled_kind(part) for part in op.parts or (op,)])


def launch_ps(cpu: Cpu, compiled: CompiledCode, op: Op) -> int:
    """Return the time in ps in which compiled code launches an op."""
    return Clock(cpu.clock).cycles_to_ps(compiled.extern if op.gemms else compiled.kernel)


def call_ps(cpu: Cpu, compiled: CompiledCode, part: StepPart, tensors: int) -> int | None:
    """Return the time in ps of a call of the compiled pass that a part of the step is, over so many
    `tensors`; None for a part that is no pass.
    """
    call: CompiledCall | None = getattr(compiled, part, None) if part else None
    if call is None:
        return None
    return Clock(cpu.clock).cycles_to_ps(call.call + tensors * call.tensor)


def extras_ps(compiled: CompiledCode, extras: LoopExtras) -> int:
    """Return the time in ps in which one core writes and reads masks, and turns what lies in
    another order.
    """
    copies = compiled.kernels.copies if compiled.kernels else None
    turned_ps = extras.turned * copies.element if copies else 0
    return extras.written * compiled.mask_write + extras.read * compiled.mask_read + turned_ps
