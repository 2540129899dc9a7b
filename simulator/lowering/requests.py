"""Requests for work, by all that tells one from another, whatever an array's sizes make of it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from simulator.activity import Stage, Work
from simulator.hardware.accelerator import ArrayInterface
from simulator.hardware.cpu import CompiledCode, Cpu
from simulator.hardware.runtime import Handling
from simulator.hardware.unit import HOST
from simulator.lowering.cache import Transfers
from simulator.lowering.epilogue import EpilogueKernels, VectorLoop
from simulator.lowering.outline import Outline
from simulator.lowering.placement import Placement
from simulator.lowering.works import Templates
from simulator.mapping.layout import Layout
from simulator.mapping.problem import OperandBits
from simulator.timing.compiled import call_ps, compiled_kinds, compiled_on, is_compiled, launch_ps
from simulator.timing.cores import begin_ps, dispatch_ps
from simulator.timing.kernels import KernelCost, kernel_of
from simulator.trace.accesses import elements_of, moved_bytes
from simulator.trace.compiled_graph import NO_EXTRAS, LoopExtras
from simulator.trace.op import Gemm, Op
from simulator.trace.phases import StepPart
from simulator.units import transfer_ps

NOTHING = Transfers((), ())


@dataclass(frozen=True, slots=True, eq=False)
class WorkRequest:
    """A request for work of one unit, and how templates make the work."""

    unit: str
    make: Callable[[Templates], Work]

    def of(self, templates: Templates) -> Work:
        """Return the work on the SoC of `templates`."""
        return templates.once(self.unit, self, self.make)


class CpuRequests:
    """Makes requests to one CPU. Equal requests are the same object."""

    def __init__(self, cpu: Cpu, unit: str = HOST) -> None:
        """Request work of `cpu`, a unit of this name."""
        self._cpu, self._unit = cpu, unit
        self._requests: dict[Hashable, WorkRequest] = {}
        self._compiled: CompiledCode | None = None

    def dispatch_ps(self, op: Op) -> int:
        """Return what the framework, or compiled code, takes to issue `op`, in ps."""
        if self._compiled and is_compiled(self._compiled, op):
            return launch_ps(self._cpu, self._compiled, op)
        return dispatch_ps(self._cpu, op.phase)

    def operation(
        self,
        op: Op,
        transfers: Transfers,
        new: int = 0,
        *,
        dispatched: bool = True,
        stage: Stage = Stage.OP,
        extras: LoopExtras = NO_EXTRAS,
    ) -> WorkRequest:
        """Request a non-GEMM operation on the CPU, with or without its dispatch.

        `new` bytes of its results lie in new memory. It may be a `stage` of an offload. In compiled
        code it does `extras` besides.
        """
        issue_ps = self.dispatch_ps(op) if dispatched else 0
        name = op.base_name if self._cpu.kernels or self._compiled else kernel_of(op)
        walked = elements_of(op), moved_bytes(op)
        sizes = op.sizes, tuple([(part.base_name, part.sizes) for part in op.parts])
        compiled = extras if is_compiled(self._compiled, op) else None
        kind = op.kind if compiled is None else compiled_kinds(op)
        key = ("operation", stage, kind, sizes, walked, transfers, issue_ps, new, name, compiled)
        return self._on_cpu(
            key,
            lambda on: on.operation(op, transfers, issue_ps, new, stage, compiled=compiled),
        )

    def cpu_gemm(
        self,
        op: Op,
        gemms: tuple[Gemm, ...],
        transfers: Transfers,
        new: int = 0,
        *,
        dispatched: bool = True,
        extras: LoopExtras = NO_EXTRAS,
    ) -> WorkRequest:
        """Request GEMMs of one op that stay on the CPU, computed as one kernel; compiled code does
        `extras` besides.
        """
        issue_ps = self.dispatch_ps(op) if dispatched else 0
        compiled = extras if is_compiled(self._compiled, op) else None
        sizes = op.sizes, moved_bytes(op)
        key = ("cpu gemm", op.base_name, gemms, sizes, transfers, issue_ps, new, compiled)
        return self._on_cpu(
            key, lambda on: on.cpu_gemm(op, gemms, transfers, issue_ps, new, compiled=compiled)
        )

    def pass_over(
        self, stage: Stage, elements: int, bits: int, transfers: Transfers, ops_per_element: int
    ) -> WorkRequest:
        """Request a CPU loop over `elements` of `bits` each."""
        key = ("pass", stage, elements, bits, transfers, ops_per_element)
        return self._on_cpu(
            key, lambda on: on.pass_over(stage, elements, bits, transfers, ops_per_element)
        )

    def kernel(
        self, stage: Stage, kernel: KernelCost, elements: int, transfers: Transfers
    ) -> WorkRequest:
        """Request what a kernel of PyTorch does to `elements` in fp32, without a dispatch."""
        key = ("kernel", stage, kernel, elements, transfers)
        return self._on_cpu(key, lambda on: on.kernel(stage, kernel, elements, transfers))

    def rearrange(self, elements: int, transfers: Transfers, each_ps: int) -> WorkRequest:
        """Request a loop of one core that takes `each_ps` to put an element in another place."""
        return self._one_core(Stage.REARRANGE, 0, elements * each_ps, transfers)

    def handle(
        self, stage: Stage, handling: Handling, size: int, transfers: Transfers
    ) -> WorkRequest:
        """Request a pass of one core over `size` bytes, on their way from or to an accelerator."""
        taken_ps = transfer_ps(size, handling.rate) if handling.rate else 0
        return self._one_core(stage, handling.fixed, taken_ps, transfers)

    def driver(self, stage: Stage, duration_ps: int) -> WorkRequest:
        """Request driver code of fixed duration on one core."""
        return self._one_core(stage, duration_ps, 0, NOTHING)

    def _one_core(
        self, stage: Stage, fixed_ps: int, each_ps: int, transfers: Transfers
    ) -> WorkRequest:
        key = ("one core", stage, fixed_ps, each_ps, transfers)
        return self._on_cpu(key, lambda on: on.one_core(stage, fixed_ps, each_ps, transfers))

    def _on_cpu(self, key: Hashable, make: Callable[[Templates], Work]) -> WorkRequest:
        if self._unit == HOST:
            return self.once(HOST, key, make)
        return self.once(self._unit, key, lambda on: on.of_cpu(self._unit, make))

    def once(self, unit: str, key: Hashable, make: Callable[[Templates], Work]) -> WorkRequest:
        """Request what `make` makes of templates on `unit`; the same request for an equal `key`."""
        request = self._requests.get(key)
        if request is None:
            request = self._requests[key] = WorkRequest(unit, make)
        return request


class Requests(CpuRequests):
    """Makes requests to hardware of one outline, its host and its arrays."""

    def __init__(self, outline: Outline) -> None:
        """Request work of hardware of this outline."""
        super().__init__(outline.cpu)
        self.outline = outline
        self._compiled = compiled_on(outline.cpu, outline.runtime)

    def begin_ps(self, part: StepPart, tensors: int) -> int:
        """Return what the host takes to begin a part of a step whose network reads `tensors`."""
        if self._compiled:
            called_ps = call_ps(self._cpu, self._compiled, part, tensors)
            if called_ps is not None:
                return called_ps
        return begin_ps(self._cpu, part)

    def array_gemm(
        self,
        gemm: Gemm,
        layout: Layout,
        placement: Placement,
        out_bits: int,
        cached: frozenset[str],
        operands: tuple[OperandBits, OperandBits] | None = None,
        epilogue: EpilogueKernels | None = None,
        resident: frozenset[str] = frozenset(),
    ) -> WorkRequest:
        """Request a GEMM on an array with outputs of `out_bits`; see `Templates.array_gemm`."""
        array = self.outline.units[placement.unit].interface
        assert isinstance(array, ArrayInterface), "an array takes it"
        by_role = gemm.conv or array.wgrad_dataflow  # else a product is a product
        role = gemm.role if by_role else None
        sizes = (role, gemm.batch, gemm.m, gemm.n, gemm.k, gemm.conv, gemm.causal)
        zeros = gemm.sparsity.anywhere
        key = ("array", sizes, zeros, placement, out_bits, cached, operands, epilogue, resident)
        return self.once(
            placement.unit,
            key,
            lambda on: on.array_gemm(
                gemm, layout, placement, out_bits,
                cached=cached, operands=operands, epilogue=epilogue, resident=resident,
            ),
        )  # fmt: skip

    def vector_loop(self, unit: str, loop: VectorLoop) -> WorkRequest:
        """Request a loop of the vector unit of the accelerator called `unit`."""
        return self.once(unit, ("vector", unit, loop), lambda on: on.vector_loop(unit, loop))
