"""A step's ops one by one: each goes to the units where it is placed, whole or in parts."""

from collections.abc import Mapping, Sequence

from simulator.hardware.unit import HOST
from simulator.lowering.backends.backend import Backend
from simulator.lowering.backends.cpu import HostStages
from simulator.lowering.binding import Binding
from simulator.lowering.outline import Outline
from simulator.lowering.placement import Placement, place
from simulator.lowering.requests import WorkRequest
from simulator.lowering.splitting import UnitPart, apart, join, parts_of
from simulator.trace.compiled_graph import NO_GRAPH, CompiledGraph
from simulator.trace.op import Gemm, Op, OpKind


class StepOnUnits:
    """Appends the ops of one step to a binding, each on the units where it is placed."""

    def __init__(
        self,
        outline: Outline,
        backends: Mapping[str, Backend],
        binding: Binding,
        engines: frozenset[WorkRequest],
        graph: CompiledGraph = NO_GRAPH,
    ) -> None:
        """Append to `binding`; `engines` exist already, and the network compiles to `graph`."""
        self._runtime, self._backends, self._new = outline.runtime, backends, binding.new
        self._op_backends = {name: b for name, b in backends.items() if b.takes_ops}
        self._stages = {name: b.stages(binding, engines) for name, b in backends.items()}
        self._engines, self._binding = engines, binding
        self._host = HostStages(outline.cpu, binding, graph)
        self.unfused: set[int] = set()
        """The fused ops whose parts were appended one by one."""

    @property
    def engines(self) -> frozenset[WorkRequest]:
        """The engines that exist after the step."""
        return self._engines.union(*(stages.engines for stages in self._stages.values()))

    def add(self, index: int, op: Op, unit: str | None, sizes: tuple[int, ...] = ()) -> None:
        """Append op `index`, on `unit` or where the rules place it; `sizes` are of its parts."""
        self._host.begin(index, op)
        parts = () if unit else parts_of(self._runtime, op.head, sizes)
        if parts:
            self._split(index, op, parts)
        elif op.gemms:
            self._gemms(index, op, unit)
        elif not self._offloaded(index, op, unit):
            self._host.add(index, op, self._new[index])

    def _offloaded(self, index: int, op: Op, unit: str | None) -> bool:
        """Append an op without GEMMs on a unit that takes it; return whether there is one."""
        if not self._op_backends or op.kind is OpKind.VIEW or op.kind is OpKind.SYNC:
            return False
        placement = place(self._runtime, self._op_backends, op, None, unit)
        if placement.unit == HOST:
            return False
        self._stages[placement.unit].add(index, op, [(None, placement)])
        return True

    def _split(self, index: int, op: Op, parts: Sequence[UnitPart]) -> None:
        """Append the parts of an op's products, what joins them, and all else that the op does."""
        if len(parts) == 1:
            self._gemms(index, op, parts[0].unit)
            return
        ops = [apart(self._binding, op.head, part.op) for part in parts]
        for part, (unit, _) in zip(ops, parts, strict=True):
            self._gemms(index, part, unit)
        join(self._binding, index, op.head, ops)
        self._host.add_rest(index, op.head, dispatched=False)
        self.unfused |= {index} if op.parts else set()
        for rider in op.riders:
            self.add(index, rider, None)

    def _gemms(self, index: int, op: Op, unit: str | None) -> None:
        """Append GEMMs where they are placed, each role a task of its own; then what else the op
        does. What rides on a product that went elsewhere than its unit follows by itself.
        """
        placed = [(gemm, place(self._runtime, self._backends, op, gemm, unit)) for gemm in op.gemms]
        if op.parts and not self._carried(op, placed):
            self.unfused.add(index)
            for part in op.parts:
                self.add(index, part, unit)
            return
        on_host = [gemm for gemm, placement in placed if placement.unit == HOST]
        roles = list(dict.fromkeys(gemm.role for gemm in on_host))
        for role in roles:
            gemms = tuple(gemm for gemm in on_host if gemm.role is role)
            first = role is roles[0]
            new = self._new[index] if first else 0
            self._host.add_gemms(index, op, gemms, new, dispatched=first)
        units = [name for name in dict.fromkeys(p.unit for _, p in placed) if name != HOST]
        for name in units:
            self._stages[name].add(index, op, [each for each in placed if each[1].unit == name])
        if units or len(roles) > 1:
            eager = any(self._stages[name].leaves_rest for name in units)
            self._host.add_rest(index, op.head, dispatched=eager)

    def _carried(self, op: Op, placed: Sequence[tuple[Gemm, Placement]]) -> bool:
        """Return whether the unit of a fused product runs its riders, too."""
        units = {placement.unit for _, placement in placed}
        on = self._backends.get(next(iter(units))) if len(units) == 1 else None
        riders = [rider for rider in op.riders if rider.kind is not OpKind.VIEW]
        return on is not None and all(on.fuses(op.head, rider) for rider in riders)
