"""Further CPUs: ops and GEMMs that a rule or a search gives them, in kernels like the host's."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from simulator.activity import Stage
from simulator.hardware.cpu import Cpu
from simulator.hardware.runtime import Driver
from simulator.lowering.backends.coherence import flushed
from simulator.lowering.backends.cpu import between, part_of
from simulator.lowering.binding import Binding, Site, storages
from simulator.lowering.cache import CacheContents, Transfers
from simulator.lowering.outline import UnitOutline
from simulator.lowering.placement import Placement, traced_precision
from simulator.lowering.requests import CpuRequests, WorkRequest
from simulator.trace.accesses import Loops, loops_of, whole
from simulator.trace.op import Gemm, Op
from simulator.trace.trace import phase_of


class ClusterBackend:
    """A further CPU as lowering sees it."""

    takes_ops: ClassVar[bool] = True
    by_rule: ClassVar[bool] = True

    def __init__(self, unit: str, outline: UnitOutline) -> None:
        """Lower for the CPU called `unit`."""
        assert isinstance(outline.interface, Cpu), "the outline is a CPU's"
        self.unit, self.cpu, self._outline = unit, outline.interface, outline
        self.requests = CpuRequests(self.cpu, unit)

    @property
    def driver(self) -> Driver:
        """What handing work to it costs the host."""
        return self._outline.driver

    def takes(self, op: Op, gemm: Gemm | None) -> Placement:
        """Return that it runs anything, as it was traced."""
        return Placement(self.unit, traced_precision(op, gemm) if gemm else "")

    def fuses(self, head: Op, rider: Op) -> bool:  # noqa: ARG002 - any rider, of any op
        """Return that it loops over elements once for all ops but products, which libraries do."""
        return not head.gemms

    def stages(self, binding: Binding, engines: Iterable[WorkRequest]) -> "ClusterStages":
        """Return what appends its calls to the step of `binding`."""
        return ClusterStages(self, binding, engines)


class ClusterStages:
    """The calls of a further CPU: the host dispatches and launches, the cores compute."""

    leaves_rest = False

    def __init__(
        self, backend: ClusterBackend, binding: Binding, engines: Iterable[WorkRequest]
    ) -> None:
        """Append calls of `backend` to `binding`."""
        self.engines = set(engines)
        self._backend, self._binding = backend, binding

    def add(self, index: int, op: Op, placed: Sequence[tuple[Gemm | None, Placement]], /) -> None:
        """Append `op`, or its GEMMs that are placed here, each role a launch of its own. The
        dispatch is paid with the first.
        """
        requests, new = self._backend.requests, self._binding.new[index]
        dispatch_ps = self._binding.requests.dispatch_ps(op)
        gemms = [gemm for gemm, _ in placed if gemm]
        if not gemms:
            site = Site(index, op.phase, op.layer)
            self._call(
                site, op, dispatch_ps,
                lambda transfers: requests.operation(op, transfers, new, dispatched=False),
            )  # fmt: skip
        for role in dict.fromkeys(gemm.role for gemm in gemms):
            products = tuple(gemm for gemm in gemms if gemm.role is role)
            site = Site(index, phase_of(op, role), op.layer)
            self._products(site, part_of(op, products), products, dispatch_ps, new)
            dispatch_ps = new = 0

    def _products(
        self, site: Site, part: Op, gemms: tuple[Gemm, ...], dispatch_ps: int, new: int
    ) -> None:
        requests, binding = self._backend.requests, self._binding
        done = self._call(
            site, part, dispatch_ps,
            lambda transfers: requests.cpu_gemm(part, gemms, transfers, new, dispatched=False),
        )  # fmt: skip
        inner = between(self._backend.cpu, requests, part, gemms)
        if inner is not None:
            binding.append(inner, site, (), storages(part.outputs), after=(done,))

    def _call(
        self, site: Site, op: Op, dispatch_ps: int, request: Callable[[Transfers], WorkRequest]
    ) -> int:
        """Append the flush, the launch and the work itself; return its task."""
        binding = self._binding
        flush = flushed(binding, site, whole(op.inputs), whole(op.outputs))
        launch_ps = dispatch_ps + self._backend.driver.launch
        launch = binding.driver(Stage.LAUNCH, launch_ps, site)
        return binding.append(
            request(_transfers(self._backend.cpu, loops_of(op))), site,
            storages(op.inputs), storages(op.outputs),
            after=(flush, launch), random=op.random,
        )  # fmt: skip


def _transfers(cpu: Cpu, loops: Loops) -> Transfers:
    """Return what a call transfers: its last-level cache has nothing when the call begins, and is
    written back when it ends, since other units read the results.
    """
    cache = CacheContents(cpu.llc.size if cpu.llc else 0)
    first = cache.walk(loops)
    left = tuple(line.dirty for _, line in cache.lines if line.dirty)
    return Transfers(first.reads, (*first.writes, *left), first.cached)
