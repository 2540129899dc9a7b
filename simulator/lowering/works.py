"""Work templates: what an operation costs on its unit of one SoC, bound to nothing."""

from collections.abc import Callable, Hashable
from dataclasses import replace

from simulator.activity import MACS_IN, Counts, Stage, Unit, Work, sequential
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import Dram
from simulator.hardware.interconnect import Interconnect
from simulator.hardware.precision import PRECISION_BITS
from simulator.hardware.soc import Hardware
from simulator.lowering.cache import Moved
from simulator.lowering.convolution import ConvShape
from simulator.lowering.layout import layout
from simulator.lowering.mapper import mapped
from simulator.lowering.placement import Placement
from simulator.lowering.pricing import Traffic, permille_written, pricing_of
from simulator.lowering.remembered import Remembered
from simulator.lowering.shape import GemmShape, Widths
from simulator.timing.cores import (
    OPS_PER_ELEMENT,
    Compute,
    Continuous,
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


class Templates:
    """Makes work for one SoC. What is asked for again is the same object."""

    def __init__(self, hardware: Hardware) -> None:
        """Make work for `hardware`."""
        self.hardware = hardware
        self._pricing = pricing_of(hardware.dram, hardware.interconnect)
        self._on_array: dict[Hashable, Work] = {}
        self._on_cpu = _works_on(hardware.cpu, hardware.dram, hardware.interconnect)

    def once(self, unit: Unit, key: Hashable, make: Callable[["Templates"], Work]) -> Work:
        """Return what `make` made for `key`, on this SoC or, for the CPU, on one whose CPU and
        memory path are the same: work on a CPU depends on nothing else.
        """
        if unit is Unit.CPU:
            return self._on_cpu.get(key, lambda: make(self))
        work = self._on_array.get(key)
        if work is None:
            work = self._on_array[key] = make(self)
        return work

    def array_gemm(
        self,
        gemm: Gemm,
        placement: Placement,
        out_bits: int,
        mapping: str = "",
        cached: frozenset[str] = frozenset(),
        in_memory: tuple[int, int] = (0, 0),
    ) -> Work:
        """Return a GEMM on the accelerator with outputs of `out_bits`, mapped as `mapping` says,
        or else as the machine does. What is `cached`, of "a", "b" and "c", lies in a shared cache.
        Operands a and b have `in_memory` bits there, where the DMA engine converts them.
        """
        array = self.hardware.accelerator
        assert array is not None, "placement chose an accelerator"
        array = array.at(placement.precision).for_groups(gemm.conv.groups if gemm.conv else 1)
        shape = shape_of(gemm, array, placement, out_bits)
        widths = shape.widths._replace(a=in_memory[0], b=in_memory[1])
        shape = replace(shape, widths=widths, cached=cached)
        work = mapped(array, self._pricing, shape, gemm.macs, mapping)
        counts = _counted_in(work.counts, placement.precision, self.hardware.accelerator)
        return replace(work, counts=counts, batch=gemm.batch, m=gemm.m, n=gemm.n, k=gemm.k)

    def pass_over(
        self, stage: Stage, elements: int, bits: int, moved: Moved, ops_per_element: int
    ) -> Work:
        """Return a CPU loop over `elements` of `bits` each."""
        cpu = self.hardware.cpu
        threads = threads_of(cpu, elements)
        compute = elementwise_compute(cpu, elements, bits, ops_per_element, threads)
        return self._cpu(stage, 0, compute, moved)

    def one_core(self, stage: Stage, fixed_ps: int, each_ps: int, moved: Moved) -> Work:
        """Return what one core does in a fixed time and then for so long, beside its transfers."""
        return self._cpu(stage, fixed_ps, Compute(each_ps, 1), moved)

    def operation(
        self, op: Op, moved: Moved, issue_ps: int, new: int, stage: Stage = Stage.OP
    ) -> Work:
        """Return a non-GEMM operation on the CPU; so many bytes of its results are `new`."""
        cpu = self.hardware.cpu
        if op.kind is OpKind.VIEW:
            overhead_ps = Clock(cpu.clock).cycles_to_ps(cpu.view_overhead)
            return self._cpu(Stage.VIEW, overhead_ps, Compute(0, 1), Moved((), ()))
        return self._cpu(stage, issue_ps, self._compute(op, new), moved)

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

    def cpu_gemm(
        self, op: Op, gemms: tuple[Gemm, ...], moved: Moved, issue_ps: int, new: int
    ) -> Work:
        """Return GEMMs of one op that stay on the CPU, computed as one kernel."""
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


# Guesses: works on CPUs, of about 1 kB, that a trace with many kinds of operation asks for, and
# memory paths that a sweep tries in turn.
_WORKS = 8192
_PATHS = 8


_ON_CPU: Remembered[Remembered[Work]] = Remembered(_PATHS)


def _works_on(cpu: Cpu, dram: Dram, interconnect: Interconnect) -> Remembered[Work]:
    """Return the work remembered of a CPU on a memory path, which is all that it depends on."""
    # By its text, which is complete: a measured CPU holds dictionaries, and so has no hash.
    key = repr(cpu), dram, interconnect
    return _ON_CPU.get(key, lambda: Remembered(_WORKS))


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
