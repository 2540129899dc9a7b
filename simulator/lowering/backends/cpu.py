"""The host: the CPU that runs the framework, the drivers, and all that no other unit takes."""

from collections.abc import Sequence

from simulator.activity import Stage
from simulator.hardware.cpu import Cpu
from simulator.lowering.binding import Binding, Site, storages
from simulator.lowering.requests import NOTHING, CpuRequests, WorkRequest
from simulator.timing.cores import is_timed_whole, part_of_step
from simulator.timing.flash import executed_results
from simulator.timing.kernels import between_products
from simulator.trace.accesses import loops_of
from simulator.trace.compiled_graph import NO_EXTRAS, NO_GRAPH, CompiledGraph
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role
from simulator.trace.phases import FACTS, StepPart
from simulator.trace.trace import phase_of


class HostStages:
    """Appends the work of the host to one step: it needs no launch, and its cache is walked."""

    def __init__(self, cpu: Cpu, binding: Binding, graph: CompiledGraph = NO_GRAPH) -> None:
        """Append the work of `cpu` to `binding`; the step's network compiles to `graph`."""
        self._cpu, self._binding, self._requests = cpu, binding, binding.requests
        self._graph = graph
        self._part = StepPart.LOOP

    def begin(self, index: int, op: Op) -> None:
        """Begin another part of the step if `op` is the first of one."""
        part = part_of_step(op.phase) or self._part
        if part != self._part:
            self._part = part
            site = Site(index, op.phase, op.layer)
            self._binding.driver(
                Stage.BEGIN, self._requests.begin_ps(part, self._graph.tensors), site
            )

    def add(self, index: int, op: Op, new: int = 0, *, dispatched: bool = True) -> None:
        """Append an op without GEMMs, `new` bytes of whose results lie in new memory.

        A view moves nothing and waits for nothing.
        """
        site, binding = Site(index, op.phase, op.layer), self._binding
        if op.kind is OpKind.VIEW:
            work = self._requests.operation(op, NOTHING, dispatched=dispatched)
            binding.append(work, site, (), ())
            return
        transfers = binding.cache.walk(loops_of(op))
        extras = self._graph.extras.get(index, NO_EXTRAS)
        work = self._requests.operation(op, transfers, new, dispatched=dispatched, extras=extras)
        barrier = op.kind is OpKind.SYNC
        reads, writes = storages(op.inputs), storages(op.outputs)
        binding.append(work, site, reads, writes, random=op.random, barrier=barrier)

    def add_gemms(
        self, index: int, op: Op, gemms: tuple[Gemm, ...], new: int, *, dispatched: bool
    ) -> None:
        """Append GEMMs of one role of `op`, and what a fused kernel computes between them."""
        part, binding = part_of(op, gemms), self._binding
        site = Site(index, phase_of(op, gemms[0].role), op.layer)
        transfers = binding.cache.walk(loops_of(part))
        extras = self._graph.extras.get(index, NO_EXTRAS)
        work = self._requests.cpu_gemm(
            part, gemms, transfers, new, dispatched=dispatched, extras=extras
        )
        reads, writes = storages(part.inputs), storages(part.outputs)
        done = binding.append(work, site, reads, writes, random=op.random)
        inner = between(self._cpu, self._requests, part, gemms)
        if inner is not None:
            binding.append(inner, site, (), writes, after=(done,))

    def add_rest(self, index: int, op: Op, *, dispatched: bool) -> None:
        """Append what `op` computes besides its GEMMs: the bias gradient. A driver of eager ops has
        it `dispatched`; else it is part of the op.
        """
        results = {gemm.c for gemm in op.gemms}
        rest = tuple(tensor for i, tensor in enumerate(op.outputs) if i not in results)
        if not rest or not FACTS[op.phase].backward or -1 in results:
            return
        sources = tuple(op.inputs[which] for which in [_gradient(op)] if which >= 0)
        reduction = Op(op.name, OpKind.REDUCTION, Phase.WGRAD, op.layer, sources, rest)
        self.add(index, reduction, dispatched=dispatched)


def between(cpu: Cpu, requests: CpuRequests, op: Op, gemms: Sequence[Gemm]) -> WorkRequest | None:
    """Request what a fused kernel computes between its GEMMs, in its caches: a softmax or gates."""
    hidden = sum(executed_results(gemm) for gemm in gemms if gemm.c < 0)
    if not hidden or is_timed_whole(cpu, op, gemms[0]):
        return None
    return requests.kernel(Stage.OP, between_products(op.name), hidden, NOTHING)


def _gradient(op: Op) -> int:
    """Return the input of a convolution's backward that is the gradient of its output."""
    gemm = op.gemms[0]
    transposed = gemm.conv is not None and gemm.conv.transposed
    return gemm.b if transposed and gemm.role is Role.WGRAD else gemm.a


def part_of(op: Op, gemms: tuple[Gemm, ...]) -> Op:
    """Return the part of `op` that computes `gemms`: its operands, with the indices of sparse ones,
    and results alone.
    """
    if len(gemms) == len(op.gemms):
        return op
    named = {which for gemm in gemms for which in (gemm.a, gemm.b) if which >= 0}
    indices = frozenset[int]().union(*(gemm.sparsity.indices for gemm in gemms))
    used = sorted(named | {i for i, each in enumerate(op.inputs) if each.storage in indices})
    made = sorted({gemm.c for gemm in gemms if gemm.c >= 0})
    inputs = tuple(op.inputs[i] for i in used)
    outputs = tuple(op.outputs[i] for i in made)
    return Op(op.name, op.kind, op.phase, op.layer, inputs, outputs)
