"""Work templates: what an operation costs on its unit, remembered by shape, bound to nothing."""

from collections.abc import Iterable

from simulator.activity import AccessPattern, Counts, Stage, Unit, Work, sequential
from simulator.hardware.soc import PRECISION_BITS, Hardware
from simulator.lowering.mapper import map_gemm
from simulator.lowering.placement import Placement
from simulator.lowering.pricing import Pricing, Traffic, permille_written
from simulator.lowering.shape import GemmShape, Window, backward_window, forward_window
from simulator.timing.cores import (
    OPS_PER_ELEMENT,
    Compute,
    Continuous,
    elementwise_compute,
    gemm_compute,
)
from simulator.timing.shares import WHOLE
from simulator.timing.systolic import Dims
from simulator.trace.op import Gemm, Op, OpKind, Role, Tensor
from simulator.units import PS_PER_S, ceil_div

_QUANTISE_OPS = 3  # scale, round, clamp
_RESTORE_OPS = 1  # scale


class Templates:
    """Makes work for one SoC. Equal requests return the same object."""

    def __init__(self, hardware: Hardware) -> None:
        """Make work for `hardware`."""
        self.hardware = hardware
        self._pricing = Pricing(hardware)
        self._known: dict[object, Work] = {}

    def operation(self, op: Op) -> Work:
        """Return a non-GEMM operation on the CPU."""
        key = (op.kind, _sizes(op.inputs), _sizes(op.outputs))
        return self._known.get(key) or self._remember(key, self._operation(op))

    def cpu_gemm(self, op: Op, gemms: tuple[Gemm, ...]) -> Work:
        """Return GEMMs of one op that stay on the CPU, computed as one kernel."""
        key = (gemms, _sizes(op.inputs), _sizes(op.outputs))
        return self._known.get(key) or self._remember(key, self._cpu_gemm(op, gemms))

    def array_gemm(self, gemm: Gemm, placement: Placement) -> Work:
        """Return a GEMM on the accelerator, tiled and mapped."""
        key = (gemm.role, gemm.batch, gemm.m, gemm.n, gemm.k, gemm.conv, placement)
        return self._known.get(key) or self._remember(key, self._array_gemm(gemm, placement))

    def quantise(self, elements: int, bits: int, to_bits: int) -> Work:
        """Return the CPU's conversion of `elements`: find the range, then scale and round."""
        source, target = ceil_div(elements * bits, 8), ceil_div(elements * to_bits, 8)
        return self.pass_over(
            Stage.QUANTISE, elements, bits, (source, source), target, 1 + _QUANTISE_OPS
        )

    def restore(self, elements: int, from_bits: int, bits: int, passes: int) -> Work:
        """Return the CPU's scaling of accumulator values to the traced precision."""
        source, target = ceil_div(elements * from_bits, 8), ceil_div(elements * bits, 8)
        sources = (source,) * passes
        return self.pass_over(
            Stage.DEQUANTISE, elements, bits, sources, target, _RESTORE_OPS * passes
        )

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
        key = (stage, elements, bits, reads, writes, ops_per_element)
        known = self._known.get(key)
        if known:
            return known
        compute = elementwise_compute(self.hardware.cpu, elements, bits, ops_per_element)
        patterns = [sequential(size, write=False) for size in reads if size]
        patterns += [sequential(writes, write=True)] if writes else []
        return self._remember(key, self._cpu(stage, 0, compute, patterns))

    def driver(self, stage: Stage, duration_ps: int) -> Work:
        """Return driver code of fixed duration on one core."""
        key = (stage, duration_ps)
        known = self._known.get(key)
        return known or self._remember(key, self._cpu(stage, duration_ps, Compute(0, 1), []))

    def _remember(self, key: object, work: Work) -> Work:
        self._known[key] = work
        return work

    def _operation(self, op: Op) -> Work:
        cpu = self.hardware.cpu
        if op.kind is OpKind.VIEW:
            return self._cpu(Stage.VIEW, cpu.view_overhead, Compute(0, 1), [])
        written = sum(tensor.elements for tensor in op.outputs)
        elements = max([written, *(tensor.elements for tensor in op.inputs)])
        bits = max([tensor.bits for tensor in (*op.outputs, *op.inputs)], default=32)
        compute = elementwise_compute(cpu, elements, bits, OPS_PER_ELEMENT[op.kind])
        return self._cpu(Stage.OP, cpu.op_overhead, compute, _patterns(op))

    def _cpu_gemm(self, op: Op, gemms: tuple[Gemm, ...]) -> Work:
        cpu = self.hardware.cpu
        macs = sum(gemm.macs for gemm in gemms)
        bits = max(tensor.bits for tensor in (*op.outputs, *op.inputs))
        work = self._cpu(Stage.GEMM, cpu.op_overhead, gemm_compute(cpu, macs, bits), _patterns(op))
        first = gemms[0]
        return _with(work, first, macs)

    def _cpu(
        self, stage: Stage, overhead_ps: int, compute: Compute, patterns: list[AccessPattern]
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
            cpu_cycles=ceil_div(active_ps * cpu.clock, PS_PER_S),
            interconnect_bytes=size,
            dram_read_bytes=traffic.read_bytes,
            dram_write_bytes=traffic.write_bytes,
            dram_activates=traffic.activates,
            dram_read_bursts=traffic.read_bursts,
            dram_write_bursts=traffic.write_bursts,
        )
        return Work(Unit.CPU, stage, progress, counts, overhead_ps + compute.ps)

    def _traffic(self, patterns: list[AccessPattern]) -> Traffic:
        reads = sum(pattern.bytes for pattern in patterns if not pattern.write)
        writes = sum(pattern.bytes for pattern in patterns if pattern.write)
        return self._pricing.traffic(patterns, permille_written(reads, writes))

    def _array_gemm(self, gemm: Gemm, placement: Placement) -> Work:
        array = self.hardware.accelerator
        assert array is not None, "placement chose an accelerator"
        bits = PRECISION_BITS[placement.precision]
        out_bits = PRECISION_BITS[array.accumulator_precision]
        dims, window_a, window_b = self._operands(gemm)
        shape = GemmShape(gemm.batch, dims, bits, out_bits, placement.passes, window_a, window_b)
        return map_gemm(array, shape, gemm.macs, self._pricing)

    def _operands(self, gemm: Gemm) -> tuple[Dims, Window | None, Window | None]:
        """Return the GEMM's dimensions on this accelerator and the operands it reads in place."""
        array, conv = self.hardware.accelerator, gemm.conv
        dims = Dims(gemm.m, gemm.n, gemm.k)
        if conv is None or array is None or array.im2col == "software" or conv.transposed:
            return dims, None, None
        if gemm.role is Role.FORWARD:
            return dims, forward_window(conv), None
        if gemm.role is Role.WGRAD:
            return dims, None, forward_window(conv)
        if array.dgrad == "direct":
            return direct_dims(gemm), backward_window(conv), None
        return dims, None, None


def direct_dims(gemm: Gemm) -> Dims:
    """Return the dimensions of a convolution's dgrad as a direct convolution of the gradient.

    Per group: M = input pixels, N = input channels, K = output channels x taps. With stride
    above 1 it multiplies the zeros between gradient elements too.
    """
    conv = gemm.conv
    assert conv is not None, "only convolutions have a direct dgrad"
    taps, pixels = 1, conv.images
    for size, kernel in zip(conv.input, conv.kernel, strict=True):
        taps, pixels = taps * kernel, pixels * size
    return Dims(pixels, conv.in_channels // conv.groups, gemm.k * taps)


def _patterns(op: Op) -> list[AccessPattern]:
    reads = [sequential(tensor.bytes, write=False) for tensor in op.inputs if tensor.bytes]
    return reads + [sequential(tensor.bytes, write=True) for tensor in op.outputs if tensor.bytes]


def _sizes(tensors: Iterable[Tensor]) -> tuple[tuple[int, int], ...]:
    return tuple((tensor.elements, tensor.bits) for tensor in tensors)


def _with(work: Work, gemm: Gemm, macs: int) -> Work:
    return Work(
        work.unit,
        work.stage,
        work.progress,
        work.counts._replace(macs=macs, macs_issued=macs),
        work.compute_ps,
        gemm.batch,
        gemm.m,
        gemm.n,
        gemm.k,
    )
