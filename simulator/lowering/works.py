"""Work templates: what an operation costs on its unit, remembered by shape, bound to nothing."""

from collections.abc import Callable, Hashable
from dataclasses import replace

from simulator.activity import MACS_IN, Counts, Stage, Unit, Work, sequential
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.precision import PRECISION_BITS
from simulator.hardware.runtime import Handling
from simulator.hardware.soc import Hardware
from simulator.lowering.cache import Moved
from simulator.lowering.convolution import ConvShape
from simulator.lowering.layout import layout
from simulator.lowering.mapper import mapped
from simulator.lowering.placement import Placement
from simulator.lowering.pricing import Traffic, permille_written, pricing_of
from simulator.lowering.shape import GemmShape, Widths
from simulator.timing.cores import (
    OPS_PER_ELEMENT,
    Compute,
    Continuous,
    dispatch_ps,
    elementwise_compute,
    gemm_compute,
    kernel_of,
    measured_compute,
    product_compute,
    product_of,
    threads_of,
)
from simulator.timing.shares import WHOLE
from simulator.trace.op import Gemm, Op, OpKind, Role
from simulator.units import PS_PER_S, Clock, ceil_div, transfer_ps

NOTHING = Moved((), ())


class Templates:
    """Makes work for one SoC. Equal requests return the same object."""

    def __init__(self, hardware: Hardware) -> None:
        """Make work for `hardware`."""
        self.hardware = hardware
        self._pricing = pricing_of(hardware.dram, hardware.interconnect)
        self._known: dict[Hashable, Work] = {}

    def dispatch_ps(self, op: Op) -> int:
        """Return what the framework takes to issue `op`, in ps."""
        return dispatch_ps(self.hardware.cpu, op.phase)

    def operation(self, op: Op, moved: Moved, new: int = 0, *, dispatched: bool = True) -> Work:
        """Return a non-GEMM operation on the CPU; its dispatch may be paid elsewhere.

        So many bytes of its results are in `new` memory.
        """
        issue_ps = self.dispatch_ps(op) if dispatched else 0
        key = ("operation", op.kind, op.sizes, moved, issue_ps, new, self._measured(op))
        return self._once(key, lambda: self._operation(op, moved, issue_ps, new))

    def cpu_gemm(
        self,
        op: Op,
        gemms: tuple[Gemm, ...],
        moved: Moved,
        new: int = 0,
        *,
        dispatched: bool = True,
    ) -> Work:
        """Return GEMMs of one op that stay on the CPU, computed as one kernel."""
        issue_ps = self.dispatch_ps(op) if dispatched else 0
        key = ("cpu gemm", gemms, op.sizes, moved, issue_ps, new)
        return self._once(key, lambda: self._cpu_gemm(op, gemms, moved, issue_ps, new))

    def array_gemm(
        self,
        gemm: Gemm,
        placement: Placement,
        out_bits: int,
        mapping: str = "",
        cached: frozenset[str] = frozenset(),
    ) -> Work:
        """Return a GEMM on the accelerator with outputs of `out_bits`, mapped as `mapping` says,
        or else as the machine does. What is `cached`, of "a", "b" and "c", lies in a shared cache.
        """
        array = self.hardware.accelerator
        told_apart = gemm.conv or (array and array.wgrad_dataflow)  # else a product is a product
        role = gemm.role if told_apart else None
        sizes = (role, gemm.batch, gemm.m, gemm.n, gemm.k, gemm.conv)
        key = ("array", sizes, placement, out_bits, mapping, cached)

        def make() -> Work:
            array = self.hardware.accelerator
            assert array is not None, "placement chose an accelerator"
            array = array.at(placement.precision).for_groups(gemm.conv.groups if gemm.conv else 1)
            shape = replace(shape_of(gemm, array, placement, out_bits), cached=cached)
            work = mapped(array, self._pricing, shape, gemm.macs, mapping)
            counts = _counted_in(work.counts, placement.precision, self.hardware.accelerator)
            return replace(work, counts=counts, batch=gemm.batch, m=gemm.m, n=gemm.n, k=gemm.k)

        return self._once(key, make)

    def pass_over(
        self, stage: Stage, elements: int, bits: int, moved: Moved, ops_per_element: int
    ) -> Work:
        """Return a CPU loop over `elements` of `bits` each."""
        key = ("pass", stage, elements, bits, moved, ops_per_element)

        def make() -> Work:
            cpu = self.hardware.cpu
            threads = threads_of(cpu, elements)
            compute = elementwise_compute(cpu, elements, bits, ops_per_element, threads)
            return self._cpu(stage, 0, compute, moved)

        return self._once(key, make)

    def rearrange(self, elements: int, moved: Moved, each_ps: int) -> Work:
        """Return a loop of one core that takes `each_ps` to put an element in another place."""
        key = ("rearrange", elements, moved, each_ps)
        compute = Compute(elements * each_ps, 1)
        return self._once(key, lambda: self._cpu(Stage.REARRANGE, 0, compute, moved))

    def handle(self, stage: Stage, handling: Handling, size: int, moved: Moved) -> Work:
        """Return a pass of one core over `size` bytes, on their way from or to an accelerator."""
        key = ("handle", stage, handling, size, moved)
        compute = Compute(transfer_ps(size, handling.rate) if handling.rate else 0, 1)
        return self._once(key, lambda: self._cpu(stage, handling.fixed, compute, moved))

    def driver(self, stage: Stage, duration_ps: int) -> Work:
        """Return driver code of fixed duration on one core."""
        key = ("driver", stage, duration_ps)
        return self._once(key, lambda: self._cpu(stage, duration_ps, Compute(0, 1), NOTHING))

    def _once(self, key: Hashable, make: Callable[[], Work]) -> Work:
        work = self._known.get(key)
        if work is None:
            work = self._known[key] = make()
        return work

    def _operation(self, op: Op, moved: Moved, issue_ps: int, new: int) -> Work:
        cpu = self.hardware.cpu
        if op.kind is OpKind.VIEW:
            overhead_ps = Clock(cpu.clock).cycles_to_ps(cpu.view_overhead)
            return self._cpu(Stage.VIEW, overhead_ps, Compute(0, 1), NOTHING)
        return self._cpu(Stage.OP, issue_ps, self._compute(op, new), moved)

    def _measured(self, op: Op) -> Hashable:
        """Return what else the time of `op` hangs on where kernels are measured."""
        return op.base_name if self.hardware.cpu.kernels else None

    def _compute(self, op: Op, new: int) -> Compute:
        cpu = self.hardware.cpu
        written = sum(tensor.elements for tensor in op.outputs)
        elements = max([written, *(tensor.elements for tensor in op.inputs)])
        threads = threads_of(cpu, elements, op.kind)
        kernel = kernel_of(cpu, op)
        if kernel is None:
            each = OPS_PER_ELEMENT[op.kind]
            return elementwise_compute(cpu, elements, _lane_bits(op), each, threads)
        moved_bytes = op.read_bytes + op.write_bytes
        return measured_compute(cpu, kernel, elements, moved_bytes, new, threads)

    def _cpu_gemm(
        self, op: Op, gemms: tuple[Gemm, ...], moved: Moved, issue_ps: int, new: int
    ) -> Work:
        cpu, first = self.hardware.cpu, gemms[0]
        macs = sum(gemm.macs for gemm in gemms)
        product = product_of(cpu, first, op.inputs[max(0, first.a)].dtype)
        if product is None:
            compute = gemm_compute(cpu, macs, _lane_bits(op))
        else:
            moved_bytes = op.read_bytes + op.write_bytes
            compute = product_compute(cpu, product, gemms, _lane_bits(op), moved_bytes, new)
        mnk = (first.batch, first.m, first.n, first.k)
        return self._cpu(Stage.GEMM, issue_ps, compute, moved, macs, mnk)

    def _cpu(
        self,
        stage: Stage,
        overhead_ps: int,
        compute: Compute,
        moved: Moved,
        macs: int = 0,
        mnk: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> Work:
        cpu = self.hardware.cpu
        traffic = self._traffic(moved)
        size = traffic.read_bytes + traffic.write_bytes
        port_ps = self._pricing.cores_ps(size, cpu, compute.threads)
        if cpu.llc is not None:
            port_ps = max(port_ps, transfer_ps(moved.cached, cpu.llc.bandwidth))
        progress = Continuous(overhead_ps, compute.ps, traffic.channel_ps, port_ps)
        # A core that waits for memory is as active as one that computes; the time lost to
        # other masters is not charged to the work, so that counts do not depend on timing.
        active_ps = overhead_ps + compute.threads * (progress.duration_ps(WHOLE) - overhead_ps)
        counts = Counts(
            macs=macs,
            macs_issued=macs,
            cpu_cycles=ceil_div(active_ps * cpu.clock, PS_PER_S),
            interconnect_bytes=size,
            dram_read_bytes=traffic.read_bytes,
            dram_write_bytes=traffic.write_bytes,
            dram_activates=traffic.activates,
            dram_read_bursts=traffic.read_bursts,
            dram_write_bursts=traffic.write_bursts,
        )
        memory_ps = max(traffic.channel_ps, port_ps)
        return Work(Unit.CPU, stage, progress, counts, overhead_ps, compute.ps, memory_ps, *mnk)

    def _traffic(self, moved: Moved) -> Traffic:
        patterns = [sequential(size, write=False) for size in moved.reads]
        patterns += [sequential(size, write=True) for size in moved.writes]
        written = permille_written(sum(moved.reads), sum(moved.writes))
        return self._pricing.traffic(patterns, written)


def _counted_in(counts: Counts, precision: str, array: Accelerator | None) -> Counts:
    """Return the counts of work in one of an array's precisions: each has a price of its own."""
    if array is None or precision == array.precision:
        return counts
    macs = {f"{MACS_IN}{precision}": counts.array_macs_issued, "array_macs_issued": 0}
    return counts._replace(**macs)


def shape_of(
    gemm: Gemm, array: Accelerator, placement: Placement, out_bits: int
) -> GemmShape | ConvShape:
    """Return what the array is asked to compute for `gemm`."""
    laid = layout(gemm, array)
    sum_bits = PRECISION_BITS[array.accumulator_precision]
    widths = Widths(PRECISION_BITS[placement.precision], out_bits, sum_bits)
    repeats = gemm.batch * placement.passes
    dataflow = array.dataflow
    if gemm.role is Role.WGRAD and array.wgrad_dataflow:
        dataflow = array.wgrad_dataflow
    if laid.taps:
        word_bits, command = 8 * array.dma.word, (array.rows, array.command)
        tile = (array.rows * array.dot_width, array.cols) if array.padded else None
        return ConvShape(
            repeats, laid.taps, widths, dataflow, array.layout, word_bits, array.cols, command, tile
        )
    blocked = array.layout == "blocked"
    return GemmShape(
        repeats, laid.dims, widths, dataflow, laid.window_a, laid.window_b, blocked=blocked
    )


def _lane_bits(op: Op) -> int:
    """Return the width that arithmetic is done in: indices and counters beside floats are few."""
    tensors = (*op.outputs, *op.inputs)
    floats = [tensor.bits for tensor in tensors if tensor.is_float]
    return max(floats or [tensor.bits for tensor in tensors], default=32)
