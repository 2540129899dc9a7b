"""DSPs: products and ops on integers, in kernels of a library, beside a host that launches them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from simulator.activity import CPU_CYCLES, DSP_BYTES, DSP_MACS, DSP_PS, Action, Counts, Stage, Work
from simulator.hardware.dsp import LayoutSpeed
from simulator.hardware.precision import FORMATS
from simulator.hardware.runtime import Driver
from simulator.hardware.unit import Dsp
from simulator.lowering.backends.coherence import flushed
from simulator.lowering.backends.cpu import part_of
from simulator.lowering.binding import Binding, Site, storages
from simulator.lowering.cache import Transfers
from simulator.lowering.outline import UnitOutline
from simulator.lowering.placement import Placement, traced_precision
from simulator.lowering.requests import WorkRequest
from simulator.lowering.works import Templates
from simulator.timing.dsp import batched, elementwise_ps, product_time
from simulator.trace.accesses import Access, moved_bytes
from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.trace.trace import phase_of
from simulator.units import PS_PER_S, ceil_div


class DspBackend:
    """A DSP as lowering sees it."""

    takes_ops: ClassVar[bool] = True
    by_rule: ClassVar[bool] = False

    def __init__(self, unit: str, outline: UnitOutline) -> None:
        """Lower for the DSP called `unit`."""
        assert isinstance(outline.interface, Dsp), "the outline is a DSP's"
        self.unit, self.part, self._outline = unit, outline.interface, outline

    @property
    def driver(self) -> Driver:
        """What handing work to it costs the host."""
        return self._outline.driver

    def takes(self, op: Op, gemm: Gemm | None) -> Placement | None:
        """Return that it runs products in formats that it multiplies, and ops of its kinds that
        have no floats; else None.
        """
        if gemm is None:
            floats = any(tensor.is_float for tensor in (*op.inputs, *op.outputs))
            suits = op.kind in self.part.kinds and bool(op.outputs) and not op.parts
            return Placement(self.unit, "") if suits and not floats else None
        precision = traced_precision(op, gemm)
        if not gemm.macs or self.part.macs.of(precision) is None:
            return None
        return Placement(self.unit, precision)

    def fuses(self, head: Op, rider: Op) -> bool:  # noqa: ARG002 - whatever they are
        """Return that it takes kernels of its library one by one."""
        return False

    def stages(self, binding: Binding, engines: Iterable[WorkRequest]) -> "DspStages":
        """Return what appends its calls to the step of `binding`."""
        return DspStages(self, binding, engines)

    def product(self, op: Op, gemm: Gemm, precision: str, templates: Templates) -> Work:
        """Return the work that a product is."""
        part, bits = self.part, FORMATS[precision].bits
        rate = part.macs.of(precision)
        assert rate is not None, "it takes products of its formats alone"
        time = product_time(part, batched(op, gemm, bits), rate)
        used = [op.inputs[which] for which in (gemm.a, gemm.b) if which >= 0]
        made = [op.outputs[gemm.c]] if gemm.c >= 0 else []
        # Misses begin with the first pass over each tensor, which is traffic in any case.
        again = time.missed_bytes - sum(t.bytes for t in (*used, *made))
        reads = (*_sizes(used), *((again,) if again > 0 else ()))
        actions = {Action(self.unit, DSP_MACS): time.macs_issued}
        actions |= {Action(self.unit, DSP_BYTES): time.cache_bytes}
        transfers = Transfers(reads, _sizes(made))
        work = self.streamed(Stage.GEMM, time.ps, transfers, templates, actions)
        counts = work.counts.plus(Counts(macs=gemm.macs, macs_issued=time.macs_issued))
        return replace(work, counts=counts, batch=gemm.batch, m=gemm.m, n=gemm.n, k=gemm.k)

    def operation(self, op: Op, templates: Templates) -> Work:
        """Return the work that an op without products is."""
        size = moved_bytes(op)
        transfers = Transfers(_sizes(op.inputs), _sizes(op.outputs))
        ps, actions = elementwise_ps(self.part, size), {Action(self.unit, DSP_BYTES): size}
        return self.streamed(Stage.OP, ps, transfers, templates, actions)

    def streamed(
        self,
        stage: Stage,
        compute_ps: int,
        transfers: Transfers,
        templates: Templates,
        actions: Mapping[Action, int],
    ) -> Work:
        """Return work of the unit with its active power, and that of host cores that poll."""
        work = templates.streamed(self.unit, stage, compute_ps, transfers, actions)
        active_ps = max(work.compute_ps, work.memory_ps)
        cycles = ceil_div(self.part.polls * active_ps * templates.hardware.cpu.clock, PS_PER_S)
        power = {Action(self.unit, DSP_PS): active_ps, CPU_CYCLES: cycles}
        return replace(work, counts=work.counts.plus(Counts(power)))


class DspStages:
    """The calls of a DSP: orders of operands, the host's launch, the kernel."""

    leaves_rest = False

    def __init__(
        self, backend: DspBackend, binding: Binding, engines: Iterable[WorkRequest]
    ) -> None:
        """Append calls of `backend` to `binding`."""
        self.engines = set(engines)
        self._backend, self._binding = backend, binding
        self._waits = binding.requests.outline.runtime.issue == "synchronous"

    def add(self, index: int, op: Op, placed: Sequence[tuple[Gemm | None, Placement]], /) -> None:
        """Append `op`, or its products that are placed here, each a call of its own. The dispatch
        is paid with the first.
        """
        backend, requests = self._backend, self._binding.requests
        dispatch_ps = requests.dispatch_ps(op)
        for gemm, placement in placed:
            if gemm is None:
                key = ("op", backend.unit, moved_bytes(op), *map(_sizes, (op.inputs, op.outputs)))
                work = requests.once(backend.unit, key, lambda on: backend.operation(op, on))
                self._call(Site(index, op.phase, op.layer), op, work, dispatch_ps)
                continue
            site = Site(index, phase_of(op, gemm.role), op.layer)
            self._product(site, op, gemm, placement.precision, dispatch_ps)
            dispatch_ps = 0

    def _product(self, site: Site, op: Op, gemm: Gemm, precision: str, dispatch_ps: int) -> None:
        backend, unit = self._backend, self._backend.unit
        sizes = (gemm.role, gemm.batch, gemm.m, gemm.n, gemm.k, gemm.conv, op.sizes)
        key = ("product", unit, sizes, precision, *map(_sizes, (op.inputs, op.outputs)))
        work = self._binding.requests.once(
            unit, key, lambda on: backend.product(op, gemm, precision, on)
        )
        driver, part = backend.driver, backend.part
        if driver.first_call and (part.graphs == "each_step" or work not in self.engines):
            self._binding.driver(Stage.BUILD, driver.first_call, site)
            self.engines.add(work)
        laid = self._laid(site, op, gemm)
        self._call(site, part_of(op, (gemm,)), work, dispatch_ps, laid)

    def _laid(self, site: Site, op: Op, gemm: Gemm) -> tuple[int, ...]:
        """Append the new order of an operand that a gradient of a convolution needs."""
        layouts = self._backend.part.layouts
        if gemm.conv is None or gemm.role not in (Role.DGRAD, Role.WGRAD) or gemm.b < 0:
            return ()
        rotates = gemm.role is Role.DGRAD
        speed = layouts.rotate if rotates else layouts.transpose
        where = layouts.rotate_on if rotates else layouts.transpose_on
        tensor = op.inputs[gemm.b]
        each_ps = speed.host if where == "host" else speed.unit
        if not each_ps:
            return ()
        copy = self._binding.copy(
            (Stage.REARRANGE, gemm.role), tensor, tensor.storage, tensor.bytes,
            lambda token: self._rearrange(site, tensor, speed, where == "host", token),
        )  # fmt: skip
        return (copy,)

    def _rearrange(
        self, site: Site, tensor: Tensor, speed: LayoutSpeed, by_host: bool, token: int
    ) -> None:
        backend, binding = self._backend, self._binding
        if by_host:
            source = Access(tensor.storage, tensor.bytes), Access(token, tensor.bytes)
            transfers = binding.cache.touch(source[:1], source[1:])
            work = binding.requests.rearrange(tensor.elements, transfers, speed.host)
        else:
            ps = tensor.elements * speed.unit
            transfers = Transfers((tensor.bytes,), (tensor.bytes,))
            work = binding.requests.once(
                backend.unit, ("order", backend.unit, transfers, ps),
                lambda on: backend.streamed(Stage.REARRANGE, ps, transfers, on, {}),
            )  # fmt: skip
        binding.append(work, site, (tensor.storage,), (token,))

    def _call(
        self, site: Site, op: Op, work: WorkRequest, dispatch_ps: int, laid: tuple[int, ...] = ()
    ) -> None:
        """Append the flush, the launch and the kernel, which a synchronous host awaits."""
        binding, backend = self._binding, self._backend
        reads, writes = _accesses(op.inputs), _accesses(op.outputs)
        flush = flushed(binding, site, reads, writes)
        launch = binding.driver(Stage.LAUNCH, dispatch_ps + backend.driver.launch, site)
        written = storages(op.outputs)
        binding.append(
            work, site, (*storages(op.inputs), *laid), written,
            after=(flush, launch), random=op.random,
        )  # fmt: skip
        if self._waits and written:
            binding.await_completion(written[0], site)


def _accesses(tensors: Iterable[Tensor]) -> list[Access]:
    return [Access(tensor.storage, tensor.bytes) for tensor in tensors]


def _sizes(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    return tuple(tensor.bytes for tensor in tensors)
