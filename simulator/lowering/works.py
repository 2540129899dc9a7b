"""Work templates: what an operation costs on its unit, remembered by shape, bound to nothing."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from simulator.activity import AccessPattern, Counts, Stage, Unit, Work, sequential
from simulator.hardware.soc import PRECISION_BITS, Accelerator, Hardware
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
    elementwise_compute,
    gemm_compute,
)
from simulator.timing.shares import WHOLE
from simulator.trace.op import Gemm, Op, OpKind, Role
from simulator.units import PS_PER_S, Clock, ceil_div

# Vector operations per element of the conversions, counted from the arithmetic they do.
_RANGE_OPS = 1  # maximum of absolute values
_ROUND_OPS = 3  # scale, round, clamp
_SCALE_OPS = 1


class Templates:
    """Makes work for one SoC. Equal requests return the same object."""

    def __init__(self, hardware: Hardware) -> None:
        """Make work for `hardware`."""
        self.hardware = hardware
        self._pricing = pricing_of(hardware.dram, hardware.interconnect)
        self._known: dict[Hashable, Work] = {}
        self.dispatch_ps = Clock(hardware.cpu.clock).cycles_to_ps(hardware.cpu.op_overhead)

    def operation(self, op: Op, *, dispatched: bool = True) -> Work:
        """Return a non-GEMM operation on the CPU; its dispatch may be paid elsewhere."""
        key = ("operation", op.kind, op.sizes, dispatched)
        return self._once(key, lambda: self._operation(op, dispatched))

    def cpu_gemm(self, op: Op, gemms: tuple[Gemm, ...], *, dispatched: bool = True) -> Work:
        """Return GEMMs of one op that stay on the CPU, computed as one kernel."""
        key = ("cpu gemm", gemms, op.sizes, dispatched)
        return self._once(key, lambda: self._cpu_gemm(op, gemms, dispatched))

    def array_gemm(
        self, gemm: Gemm, placement: Placement, out_bits: int, mapping: str = ""
    ) -> Work:
        """Return a GEMM on the accelerator with outputs of `out_bits`, mapped as `mapping` says,
        or else as the machine does.
        """
        array = self.hardware.accelerator
        told_apart = gemm.conv or (array and array.wgrad_dataflow)  # else a product is a product
        role = gemm.role if told_apart else None
        sizes = (role, gemm.batch, gemm.m, gemm.n, gemm.k, gemm.conv)
        key = ("array", sizes, placement, out_bits, mapping)
        return self._once(key, lambda: self._array_gemm(gemm, placement, out_bits, mapping))

    def convert(self, elements: int, bits: int, precision: str) -> Work:
        """Return the CPU's conversion of `elements` to `precision`.

        To integers: find the range, then scale and round, so that the source is read twice. To
        floats: a cast.
        """
        to_bits = PRECISION_BITS[precision]
        source, target = ceil_div(elements * bits, 8), ceil_div(elements * to_bits, 8)
        rounds = precision.startswith("int")
        reads = (source, source) if rounds else (source,)
        cost = _RANGE_OPS + _ROUND_OPS if rounds else OPS_PER_ELEMENT[OpKind.COPY]
        return self.pass_over(Stage.QUANTISE, elements, bits, reads, target, cost)

    def restore(
        self, elements: int, from_bits: int, bits: int, passes: int, added: Sequence[int] = ()
    ) -> Work:
        """Return the CPU's scaling of raw outputs to the traced precision.

        It sums the slices of several `passes`, and adds operands of `added` bytes, such as a bias.
        """
        source, target = ceil_div(elements * from_bits, 8), ceil_div(elements * bits, 8)
        reads = (*(source,) * passes, *added)
        cost = _SCALE_OPS * passes + len(added)
        return self.pass_over(Stage.DEQUANTISE, elements, bits, reads, target, cost)

    def pass_over(
        self,
        stage: Stage,
        elements: int,
        bits: int,
        reads: tuple[int, ...],
        writes: int,
        ops_per_element: int,
    ) -> Work:
        """Return a CPU loop over `elements` that reads and writes so many bytes."""
        key = ("pass", stage, elements, bits, reads, writes, ops_per_element)

        def make() -> Work:
            compute = elementwise_compute(self.hardware.cpu, elements, bits, ops_per_element)
            patterns = [sequential(size, write=False) for size in reads if size]
            patterns += [sequential(writes, write=True)] if writes else []
            return self._cpu(stage, 0, compute, patterns)

        return self._once(key, make)

    def rearrange(self, elements: int, bits: int, each_ps: int) -> Work:
        """Return a loop of one core that takes `each_ps` to put an element in another place."""
        key = ("rearrange", elements, bits, each_ps)
        size = ceil_div(elements * bits, 8)
        moved = [sequential(size, write=write) for write in (False, True)]
        compute = Compute(elements * each_ps, 1)
        return self._once(key, lambda: self._cpu(Stage.REARRANGE, 0, compute, moved))

    def driver(self, stage: Stage, duration_ps: int) -> Work:
        """Return driver code of fixed duration on one core."""
        key = ("driver", stage, duration_ps)
        return self._once(key, lambda: self._cpu(stage, duration_ps, Compute(0, 1), []))

    def _once(self, key: Hashable, make: Callable[[], Work]) -> Work:
        work = self._known.get(key)
        if work is None:
            work = self._known[key] = make()
        return work

    def _operation(self, op: Op, dispatched: bool) -> Work:
        cpu = self.hardware.cpu
        if op.kind is OpKind.VIEW:
            overhead_ps = Clock(cpu.clock).cycles_to_ps(cpu.view_overhead)
            return self._cpu(Stage.VIEW, overhead_ps, Compute(0, 1), [])
        written = sum(tensor.elements for tensor in op.outputs)
        elements = max([written, *(tensor.elements for tensor in op.inputs)])
        compute = elementwise_compute(cpu, elements, _lane_bits(op), OPS_PER_ELEMENT[op.kind])
        overhead_ps = self.dispatch_ps if dispatched else 0
        return self._cpu(Stage.OP, overhead_ps, compute, _patterns(op))

    def _cpu_gemm(self, op: Op, gemms: tuple[Gemm, ...], dispatched: bool) -> Work:
        cpu, first = self.hardware.cpu, gemms[0]
        macs = sum(gemm.macs for gemm in gemms)
        compute = gemm_compute(cpu, macs, _lane_bits(op))
        overhead_ps = self.dispatch_ps if dispatched else 0
        mnk = (first.batch, first.m, first.n, first.k)
        return self._cpu(Stage.GEMM, overhead_ps, compute, _patterns(op), macs, mnk)

    def _cpu(
        self,
        stage: Stage,
        overhead_ps: int,
        compute: Compute,
        patterns: list[AccessPattern],
        macs: int = 0,
        mnk: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> Work:
        cpu = self.hardware.cpu
        traffic = self._traffic(patterns)
        size = traffic.read_bytes + traffic.write_bytes
        port_ps = self._pricing.port_ps(size, compute.threads * cpu.bandwidth_per_core)
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

    def _traffic(self, patterns: list[AccessPattern]) -> Traffic:
        reads = sum(pattern.bytes for pattern in patterns if not pattern.write)
        writes = sum(pattern.bytes for pattern in patterns if pattern.write)
        return self._pricing.traffic(patterns, permille_written(reads, writes))

    def _array_gemm(self, gemm: Gemm, placement: Placement, out_bits: int, mapping: str) -> Work:
        array = self.hardware.accelerator
        assert array is not None, "placement chose an accelerator"
        shape = shape_of(gemm, array, placement, out_bits)
        work = mapped(array, self._pricing, shape, gemm.macs, mapping)
        return replace(work, batch=gemm.batch, m=gemm.m, n=gemm.n, k=gemm.k)


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


def _patterns(op: Op) -> list[AccessPattern]:
    reads = [sequential(tensor.bytes, write=False) for tensor in op.inputs if tensor.bytes]
    return reads + [sequential(tensor.bytes, write=True) for tensor in op.outputs if tensor.bytes]


def _lane_bits(op: Op) -> int:
    """Return the width that arithmetic is done in: indices and counters beside floats are few."""
    tensors = (*op.outputs, *op.inputs)
    floats = [tensor.bits for tensor in tensors if tensor.is_float]
    return max(floats or [tensor.bits for tensor in tensors], default=32)
