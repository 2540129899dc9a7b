"""Work templates: what an operation costs on its unit of one SoC, bound to nothing."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from simulator.activity import (
    ARRAY_MACS,
    CPU_BYTES,
    CPU_CYCLES,
    CPU_VECTORS,
    CPU_WAITS,
    SCRATCHPAD_READS,
    SCRATCHPAD_WRITES,
    VECTOR_OPS,
    Action,
    Counts,
    Stage,
    Work,
    sequential,
)
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import Dram
from simulator.hardware.interconnect import Interconnect
from simulator.hardware.soc import Hardware
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.cache import Transfers
from simulator.lowering.epilogue import EpilogueKernels, VectorLoop
from simulator.lowering.placement import Placement
from simulator.lowering.program import HostPart, Program
from simulator.mapping.array_shape import shape_of
from simulator.mapping.layout import Layout
from simulator.mapping.mapper import map_shape
from simulator.mapping.problem import Epilogue, OperandBits
from simulator.mapping.sparse_shape import with_zeros
from simulator.memo import Memo
from simulator.timing.compiled import extras_ps
from simulator.timing.convolutions import convolution
from simulator.timing.cores import (
    loop_ps,
    new_ps,
    product_compute,
    product_of,
    threads_of,
)
from simulator.timing.flash import executed_macs
from simulator.timing.kernels import KernelCost, millicycles
from simulator.timing.operations import operation_stretch
from simulator.timing.pricing import Pricing, Traffic, permille_written, pricing_of
from simulator.timing.products import products_ps
from simulator.timing.sparsity import kernel_shares
from simulator.timing.stretches import Stretch, StretchBound, Stretched, cycles_ps
from simulator.timing.vector import millioperations, vector_port_ps, vector_ps
from simulator.trace.accesses import moved_bytes
from simulator.trace.compiled_graph import LoopExtras
from simulator.trace.op import Gemm, Op, OpKind
from simulator.units import PS_PER_S, Clock, ceil_div, transfer_ps


class _PricedStretch(NamedTuple):
    """Traffic of a stretch, and the least time in which cores, port and cache pass it, in ps."""

    traffic: Traffic
    port_ps: int


class _CoreMacs(NamedTuple):
    """MACs of products on cores: useful, executed, and the vector instructions that do them."""

    useful: int = 0
    issued: int = 0
    vectors: int = 0


# A guess: the works of some tens of designs.
_OF_GEMMS: Memo[Work] = Memo("works of GEMMs", 2048)


def _of_gemm(work: Work, unit: str, precision: str, size: tuple[int, int, int, int]) -> Work:
    """Return the work of an array as that of `unit` for a GEMM of this batch, m, n and k."""
    counts = _counted_on(work.counts, ACCELERATOR, unit, precision)
    batch, m, n, k = size
    return replace(work, unit=unit, counts=counts, batch=batch, m=m, n=n, k=k)


class Templates:
    """Makes work for one SoC. Equal keys get the same object."""

    def __init__(self, hardware: Hardware) -> None:
        """Make work for `hardware`."""
        self.hardware = hardware
        self._units, self._ports = hardware.units, hardware.ports
        self._pricing = pricing_of(hardware.dram, hardware.interconnect)
        self._works: dict[Hashable, Work] = {}
        self._of_cpus: dict[str, Templates] = {}
        self._on_cpu = _works_on(hardware.cpu, hardware.dram, hardware.interconnect)

    def once(self, unit: str, key: Hashable, make: Callable[["Templates"], Work]) -> Work:
        """Return what `make` made for `key`, on this SoC or, for the CPU, on one whose CPU and
        memory path are the same: work on a CPU depends on nothing else.
        """
        if unit == HOST:
            return self._on_cpu.works.get(key, lambda: make(self))
        work = self._works.get(key)
        if work is None:
            work = self._works[key] = make(self)
        return work

    def on_host(self, program: Program) -> HostPart:
        """Return the works of `program` on the host, made once for all equal hosts."""
        return self._on_cpu.parts.get(program, lambda: HostPart(self._host_works(program)))

    def _host_works(self, program: Program) -> list[Work | None]:
        return [request.of(self) if request.unit == HOST else None for request in program.works]

    def of_cpu(self, unit: str, make: Callable[["Templates"], Work]) -> Work:
        """Return the work that `make` makes on the further CPU called `unit`, as on a host."""
        work = make(self._templates_of(unit))
        return replace(work, unit=unit, counts=_counted_on(work.counts, HOST, unit))

    def _templates_of(self, unit: str) -> "Templates":
        """Return the templates of this SoC with the CPU called `unit` for a host."""
        templates = self._of_cpus.get(unit)
        if templates is None:
            hardware, fabric = self.hardware, self.hardware.interconnect
            width = self._ports[unit].bytes_per_s // fabric.clock
            own = {
                "cpu": self._units[unit],
                "interconnect": fabric.model_copy(update={"cpu_width": width}),
            }
            templates = self._of_cpus[unit] = Templates(hardware.model_copy(update=own))
        return templates

    def array_gemm(
        self,
        gemm: Gemm,
        layout: Layout,
        placement: Placement,
        out_bits: int,
        mapping: str = "",
        cached: frozenset[str] = frozenset(),
        operands: tuple[OperandBits, OperandBits] | None = None,
        epilogue: EpilogueKernels | None = None,
        resident: frozenset[str] = frozenset(),
    ) -> Work:
        """Return a GEMM on an array with outputs of `out_bits`, under `mapping`, or else under the
        one that the machine chooses. What is `cached`, of "a", "b" and "c", lies in a shared cache.
        `operands` says how a and b lie in memory and scratchpad, if not as it computes. The vector
        unit does `epilogue` to the outputs, of whose tensors `out_bits` is then the sum. What is
        `resident` lies in the scratchpad, of which tiles have the rest.
        """
        native = self._units[placement.unit]
        assert isinstance(native, Accelerator), "placement chose an array"
        array = native.at(placement.precision).for_groups(gemm.conv.groups if gemm.conv else 1)
        array = array.for_tiles
        shape = shape_of(
            gemm, layout, array, out_bits,
            passes=placement.passes, operands=operands, cached=cached,
            epilogue=_on_way_out(array, epilogue), resident=resident,
        )  # fmt: skip
        shape = with_zeros(shape, gemm, array)
        work = map_shape(array, self._pricing_of(placement.unit), shape, gemm.macs, mapping)
        own = "" if placement.precision == native.precision else placement.precision
        key = work, placement.unit, own, (gemm.batch, gemm.m, gemm.n, gemm.k)
        return _OF_GEMMS.get(key, lambda: _of_gemm(*key))

    def streamed(
        self,
        unit: str,
        stage: Stage,
        compute_ps: int,
        transfers: Transfers,
        actions: Mapping[Action, int],
        overhead_ps: int = 0,
        engine_ps: int = 0,
    ) -> Work:
        """Return work of `unit` that reads and writes memory in sequence while it computes for
        `compute_ps`, and does `actions` beside. Its port bounds the traffic, or a DMA engine that
        takes `engine_ps`.
        """
        traffic = self._traffic(transfers, allocates=False)
        rate = self._ports[unit].bytes_per_s
        port_ps = max(engine_ps, transfer_ps(traffic.read_bytes + traffic.write_bytes, rate))
        bound = StretchBound(max(compute_ps, port_ps), traffic.channel_ps)
        return Work(
            unit, stage, Stretched(overhead_ps, [bound]), Counts({**actions, **traffic.actions}),
            overhead_ps, compute_ps, max(traffic.channel_ps, port_ps),
        )  # fmt: skip

    def vector_loop(self, unit: str, loop: VectorLoop) -> Work:
        """Return a loop of the vector unit of the accelerator called `unit`."""
        array = self._units[unit]
        assert isinstance(array, Accelerator), "placement chose an accelerator"
        assert array.vector is not None, "placement chose a vector unit"
        operations = sum(
            ceil_div(elements * millioperations(array.vector.costs, [kernel]), 1000)
            for kernel, elements in loop.kernels
        )
        engine = self._pricing_of(unit).engine(array)
        return self.streamed(
            unit, loop.stage, vector_ps(array, operations), loop.transfers,
            {Action(unit, VECTOR_OPS): operations, **_resident_actions(unit, loop)},
            array.launch_latency,
            vector_port_ps(array, engine, *loop.transfers[:2], loop.out_bits, loop.row),
        )  # fmt: skip

    def _pricing_of(self, unit: str) -> Pricing:
        """Return the prices of transfers through the port of an array."""
        fabric = self.hardware.interconnect
        port = self._ports[unit].bytes_per_s
        if port == fabric.accelerator_bytes_per_s:
            return self._pricing
        own = fabric.model_copy(update={"accelerator_width": port // fabric.clock})
        return pricing_of(self.hardware.dram, own)

    def pass_over(
        self, stage: Stage, elements: int, bits: int, transfers: Transfers, ops_per_element: int
    ) -> Work:
        """Return a CPU loop of its own over `elements` of `bits` each, in vector operations."""
        cpu = self.hardware.cpu
        threads = threads_of(cpu, elements)
        ps = loop_ps(cpu, elements, bits, ops_per_element, threads)
        return self._cpu(stage, 0, (Stretch(ps, threads),), transfers)

    def kernel(self, stage: Stage, kernel: KernelCost, elements: int, transfers: Transfers) -> Work:
        """Return what a kernel of PyTorch does to `elements` in fp32, without a dispatch."""
        cpu = self.hardware.cpu
        threads = threads_of(cpu, elements)
        ps = cycles_ps(cpu, elements * millicycles(cpu, kernel), threads)
        return self._cpu(stage, 0, (Stretch(ps, threads),), transfers)

    def one_core(self, stage: Stage, fixed_ps: int, each_ps: int, transfers: Transfers) -> Work:
        """Return what one core does in a fixed time and then for so long, beside its transfers."""
        return self._cpu(stage, fixed_ps, (Stretch(each_ps),), transfers)

    def operation(
        self,
        op: Op,
        transfers: Transfers,
        issue_ps: int,
        new: int,
        stage: Stage = Stage.OP,
        *,
        compiled: LoopExtras | None = None,
    ) -> Work:
        """Return a non-GEMM operation on the CPU, in a `compiled` loop or eager; `new` bytes of its
        results are in new memory.
        """
        cpu = self.hardware.cpu
        if op.kind is OpKind.VIEW:
            overhead_ps = (
                0 if compiled is not None else Clock(cpu.clock).cycles_to_ps(cpu.view_overhead)
            )
            return self._cpu(Stage.VIEW, overhead_ps, (), Transfers((), ()))
        stretches = (operation_stretch(cpu, op, new, compiled=compiled),)
        return self._cpu(stage, issue_ps, stretches, transfers, copying=op.kind is OpKind.COPY)

    def cpu_gemm(
        self,
        op: Op,
        gemms: tuple[Gemm, ...],
        transfers: Transfers,
        issue_ps: int,
        new: int,
        *,
        compiled: LoopExtras | None = None,
    ) -> Work:
        """Return GEMMs of one op that stay on the CPU, computed as one kernel; it is called eagerly
        or by `compiled` code.
        """
        first, macs = gemms[0], sum(gemm.macs for gemm in gemms)
        shares = [kernel_shares(self.hardware.cpu, gemm) for gemm in gemms]
        each = zip(gemms, shares, strict=True)
        issued = sum(round(executed_macs(gemm) * share.macs) for gemm, share in each)
        slowest = max(share.time for share in shares)
        mnk = (first.batch, first.m, first.n, first.k)
        called = self._products(op, gemms, new, compiled is not None)
        products = [each.at(slowest) for each in called]
        if self.hardware.cpu.compiled and compiled:
            threads = threads_of(self.hardware.cpu, compiled.turned)
            ps = ceil_div(extras_ps(self.hardware.cpu.compiled, compiled), threads)
            products += [Stretch(ps, threads)] if ps else []
        vectors = ceil_div(issued * _lane_bits(op), 8 * self.hardware.cpu.simd)
        macs_of = _CoreMacs(macs, issued, vectors)
        return self._cpu(Stage.GEMM, issue_ps, products, transfers, macs_of, mnk)

    def _products(
        self, op: Op, gemms: tuple[Gemm, ...], new: int, compiled: bool
    ) -> tuple[Stretch, ...]:
        cpu, first = self.hardware.cpu, gemms[0]
        dtype = op.inputs[max(0, first.a)].dtype
        product = product_of(cpu, op, first, compiled=compiled)
        if product is not None:
            compute = product_compute(cpu, product, gemms, _lane_bits(op), moved_bytes(op), new)
            return (Stretch(compute.ps, compute.threads),)
        fetched = Stretch(new_ps(cpu, new), cpu.cores)
        if first.conv is not None and cpu.convolutions != "direct":
            stretches = [stretch for gemm in gemms for stretch in convolution(cpu, gemm)]
            return (fetched, *stretches)
        macs = sum(gemm.dense_macs for gemm in gemms)
        ps = products_ps(cpu, op.base_name, gemms, dtype)
        return (Stretch(fetched.ps + ps, threads_of(cpu, macs)),)

    def _cpu(
        self,
        stage: Stage,
        overhead_ps: int,
        stretches: Sequence[Stretch],
        transfers: Transfers,
        macs: "_CoreMacs | None" = None,
        mnk: tuple[int, int, int, int] = (0, 0, 0, 0),
        *,
        copying: bool = False,
    ) -> Work:
        """Return work whose operands move beside its first stretch."""
        cpu = self.hardware.cpu
        first, *others = stretches or [Stretch(0)]
        priced = [self._priced(first.threads, transfers, copying=copying)]
        priced += [self._priced(each.threads, _own(each)) for each in others]
        bounds = [
            StretchBound(max(stretch.ps, each.port_ps), each.traffic.channel_ps)
            for stretch, each in zip((first, *others), priced, strict=True)
        ]
        # A core that waits for memory is as active as one that computes; the time lost to
        # other masters is not charged to the work, so that counts do not depend on timing.
        active_ps = overhead_ps + sum(
            stretch.threads * bound.alone_ps
            for stretch, bound in zip((first, *others), bounds, strict=True)
        )
        traffic = reduce(Traffic.plus, (each.traffic for each in priced))
        parts = zip((first, *others), bounds, strict=True)
        waits = [(1, overhead_ps), *((each.threads, bound.alone_ps) for each, bound in parts)]
        macs = macs or _CoreMacs()
        own = {
            CPU_CYCLES: ceil_div(active_ps * cpu.clock, PS_PER_S),
            CPU_WAITS: _wait_cycles(cpu, waits),
            CPU_VECTORS: macs.vectors,
            CPU_BYTES: _passed_bytes(transfers, others),
        }
        counts = Counts(own | traffic.actions, macs.useful, macs.issued)
        compute_ps = sum(stretch.ps for stretch in (first, *others))
        memory_ps = sum(max(each.traffic.channel_ps, each.port_ps) for each in priced)
        progress = Stretched(overhead_ps, bounds)
        return Work(HOST, stage, progress, counts, overhead_ps, compute_ps, memory_ps, *mnk)

    def _priced(
        self, threads: int, transfers: Transfers, *, copying: bool = False
    ) -> "_PricedStretch":
        """Return what a stretch moves. Rates of cores are of what they read and write; the memory
        has the lines besides that a store fetches first.
        """
        cpu = self.hardware.cpu
        size = sum(transfers.reads) + sum(transfers.writes)
        port_ps = self._pricing.cores_ps(size, cpu, threads, copying=copying)
        if cpu.llc is not None:
            port_ps = max(port_ps, transfer_ps(transfers.cached, cpu.llc.bandwidth))
        traffic = self._traffic(transfers, allocates=cpu.write_allocate)
        return _PricedStretch(traffic, port_ps)

    def _traffic(self, transfers: Transfers, *, allocates: bool) -> Traffic:
        """Price transfers of a master whose cache `allocates` lines that it writes, or has none."""
        fetched = transfers.writes if allocates else ()
        reads = (*transfers.reads, *fetched)
        patterns = [sequential(size, write=False) for size in reads]
        patterns += [sequential(size, write=True) for size in transfers.writes]
        written = permille_written(sum(reads), sum(transfers.writes))
        return self._pricing.traffic(patterns, written)


def _resident_actions(unit: str, loop: VectorLoop) -> dict[Action, int]:
    """Return what a loop does to the scratchpad: bytes of tensors that stay there."""
    read, written = loop.resident
    reads, writes = Action(unit, SCRATCHPAD_READS), Action(unit, SCRATCHPAD_WRITES)
    return {reads: read, writes: written} if read or written else {}


def _on_way_out(array: Accelerator, epilogue: EpilogueKernels | None) -> Epilogue | None:
    if epilogue is None:
        return None
    assert array.vector is not None, "lowering gives an epilogue to a vector unit that is there"
    operations = millioperations(array.vector.costs, epilogue.kernels)
    return Epilogue(epilogue.reads, epilogue.writes, operations)


def _wait_cycles(cpu: Cpu, parts: Sequence[tuple[int, int]]) -> int:
    """Return the cycles in which cores spin that have no part in some work: parts of so many
    threads and ps. A core sleeps when a part lasts longer than it spins.

    Work on one core wakes no team; one that still spins from before it is left out.
    """
    if max(threads for threads, _ in parts) == 1:
        return 0
    spin_ps = Clock(cpu.clock).cycles_to_ps(cpu.spin)
    waited_ps = sum([(cpu.cores - threads) * min(ps, spin_ps) for threads, ps in parts])
    return waited_ps * cpu.clock // PS_PER_S


def _passed_bytes(transfers: Transfers, others: Iterable[Stretch]) -> int:
    """Return the bytes that work reads and writes, wherever they lie."""
    operands = max(transfers.cached, sum(transfers.reads) + sum(transfers.writes))
    return operands + sum([each.read_bytes + each.write_bytes for each in others])


def _own(stretch: Stretch) -> Transfers:
    """Return what a stretch moves of buffers of its own."""
    reads = (stretch.read_bytes,) if stretch.read_bytes else ()
    writes = (stretch.write_bytes,) if stretch.write_bytes else ()
    return Transfers(reads, writes)


# Guesses: works on CPUs, of about 1 kB, that a trace with many kinds of operation asks for, and
# memory paths that a sweep tries in turn.
_WORKS = 8192
_PARTS = 64
_PATHS = 16


class _HostWorks:
    """Works on a CPU and memory path, on which nothing else has an influence."""

    def __init__(self) -> None:
        """Start without works."""
        self.works: Memo[Work] = Memo("works on a CPU", _WORKS)
        self.parts: Memo[HostPart] = Memo("programs on a CPU", _PARTS)


_ON_CPU: Memo[_HostWorks] = Memo("memory paths of CPUs", _PATHS)


def _works_on(cpu: Cpu, dram: Dram, interconnect: Interconnect) -> _HostWorks:
    """Return the works on a CPU and memory path, which equal ones share."""
    return _ON_CPU.get((cpu.digest, dram, interconnect), _HostWorks)


def _counted_on(counts: Counts, own: str, unit: str, number_format: str = "") -> Counts:
    """Return the counts of the unit `own` as those of `unit`, array MACs in a further format."""
    if unit == own and not number_format:
        return counts
    amounts = {
        Action(unit, action.what, number_format if action.what == ARRAY_MACS else "")
        if action.unit == own
        else action: amount
        for action, amount in counts.items()
    }
    return Counts(amounts, counts.macs, counts.macs_issued)


def _lane_bits(op: Op) -> int:
    """Return the width that arithmetic is done in: indices and counters beside floats are few."""
    tensors = (*op.outputs, *op.inputs)
    floats = [tensor.bits for tensor in tensors if tensor.is_float]
    return max(floats or [tensor.bits for tensor in tensors], default=32)
