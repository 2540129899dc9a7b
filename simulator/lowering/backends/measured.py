"""Units that are known by a table of measured kernels: what is in the table, a kernel each."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from simulator.activity import KERNEL_TIME, Action, Counts, Stage, Work
from simulator.hardware.measured import KernelTimes
from simulator.hardware.runtime import Driver
from simulator.lowering.backends.coherence import flushed
from simulator.lowering.backends.cpu import part_of
from simulator.lowering.binding import Binding, Site, storages
from simulator.lowering.cache import Transfers
from simulator.lowering.outline import UnitOutline
from simulator.lowering.placement import Placement, precision_of_operands, traced_precision
from simulator.lowering.requests import WorkRequest
from simulator.lowering.works import Templates
from simulator.timing.measured import Estimate, KernelBook
from simulator.timing.shares import WHOLE
from simulator.trace.accesses import Access
from simulator.trace.op import Gemm, Op
from simulator.trace.trace import phase_of


class MeasuredBackend:
    """A unit of measured kernels as lowering sees it."""

    takes_ops: ClassVar[bool] = True
    by_rule: ClassVar[bool] = False

    def __init__(self, unit: str, outline: UnitOutline) -> None:
        """Lower for the unit of this name."""
        assert isinstance(outline.interface, KernelTimes), "the outline is a measured unit's"
        self.unit, self._outline = unit, outline
        self._book = KernelBook(outline.interface)

    @property
    def driver(self) -> Driver:
        """What handing work to it costs the host."""
        return self._outline.driver

    def takes(self, op: Op, gemm: Gemm | None) -> Placement | None:
        """Return that it runs what its table has, in the format that memory has it in; kernels that
        fuse products, as attention does, it leaves to others.
        """
        if gemm is None:
            unknown = op.gemms or op.parts or self.time(op, None) is None
            return None if unknown else Placement(self.unit, "")
        if any(min(each.a, each.b, each.c) < 0 for each in op.gemms):
            return None
        number_format = precision_of_operands(op, gemm)
        converts = traced_precision(op, gemm) != number_format or any(gemm.formats)
        unknown = converts or self.time(op, gemm) is None
        return None if unknown else Placement(self.unit, number_format)

    def fuses(self, head: Op, rider: Op) -> bool:  # noqa: ARG002 - no ops at all
        """Return that it runs kernels as they were measured, one by one."""
        return False

    def time(self, op: Op, gemm: Gemm | None) -> Estimate | None:
        """Return the time of a product of `op`, or without one of all of `op`, if it is known."""
        if gemm is None:
            return self._book.operation(op)
        return self._book.product(op, gemm, precision_of_operands(op, gemm))

    def stages(self, binding: Binding, engines: Iterable[WorkRequest]) -> "MeasuredStages":
        """Return what appends its calls to the step of `binding`."""
        return MeasuredStages(self, binding, engines)


class MeasuredStages:
    """The calls of a unit of measured kernels: the host launches each one."""

    leaves_rest = False

    def __init__(
        self, backend: MeasuredBackend, binding: Binding, engines: Iterable[WorkRequest]
    ) -> None:
        """Append calls of `backend` to `binding`."""
        self.engines = set(engines)
        self._backend, self._binding = backend, binding

    def add(self, index: int, op: Op, placed: Sequence[tuple[Gemm | None, Placement]], /) -> None:
        """Append `op`, or each of its GEMMs that are placed here; the first pays the dispatch."""
        dispatch_ps = self._binding.requests.dispatch_ps(op)
        for gemm, _ in placed:
            phase = phase_of(op, gemm.role) if gemm else op.phase
            self._call(Site(index, phase, op.layer), op, gemm, dispatch_ps)
            dispatch_ps = 0

    def _call(self, site: Site, op: Op, gemm: Gemm | None, dispatch_ps: int) -> None:
        """Append the flush, the launch and the kernel."""
        backend, binding = self._backend, self._binding
        part = part_of(op, (gemm,)) if gemm else op
        reads = [Access(tensor.storage, tensor.bytes) for tensor in part.inputs]
        writes = [Access(tensor.storage, tensor.bytes) for tensor in part.outputs]
        flush = flushed(binding, site, reads, writes)
        launch = binding.driver(Stage.LAUNCH, dispatch_ps + backend.driver.launch, site)
        transfers = Transfers(tuple(a.size for a in reads), tuple(a.size for a in writes))
        time = backend.time(op, gemm)
        assert time is not None, "it takes what it has a time for"
        sizes = (gemm.batch, gemm.m, gemm.n, gemm.k) if gemm else (0,) * 4
        macs = (gemm.macs, gemm.dense_macs, *sizes) if gemm else (0, 0, *sizes)
        key = ("kernel", backend.unit, time, macs, transfers)
        work = binding.requests.once(
            backend.unit, key, lambda on: _work(backend.unit, time, macs, transfers, on)
        )
        reading, writing = storages(part.inputs), storages(part.outputs)
        binding.append(work, site, reading, writing, after=(flush, launch), random=op.random)


def _work(
    unit: str, time: Estimate, macs: tuple[int, ...], transfers: Transfers, templates: Templates
) -> Work:
    """Return a kernel of a measured time beside which its operands and results move.

    Alone it takes that time; where others leave it too little of the memory, its traffic is the
    longer. A kernel that waits for memory draws as much power as one that computes; time lost to
    other masters is not charged, so that counts do not depend on timing.
    """
    stage = Stage.GEMM if macs[0] else Stage.OP
    work = templates.streamed(unit, stage, time.ps, transfers, {})
    amounts = {
        **dict(work.counts.items()),
        Action(unit, KERNEL_TIME): work.progress.duration_ps(WHOLE),
    }
    useful, issued, batch, m, n, k = macs
    return replace(
        work, counts=Counts(amounts, useful, issued), mapping_reason=time.basis.value,
        batch=batch, m=m, n=n, k=k,
    )  # fmt: skip
