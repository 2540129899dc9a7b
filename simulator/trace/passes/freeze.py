"""Frozen layers: no weight gradients, no updates, and no backward work that nobody reads."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from simulator.trace.op import Op, OpKind
from simulator.trace.passes.families import family, parameters
from simulator.trace.passes.rewrite import Pass
from simulator.trace.passes.treatment import Treatment
from simulator.trace.phases import FACTS
from simulator.trace.trace import Step, StorageKind

_PERSISTENT = frozenset(
    {StorageKind.PARAMETER, StorageKind.BUFFER, StorageKind.OPTIMIZER_STATE, StorageKind.GRADIENT}
)


@dataclass(frozen=True)
class Freeze(Pass[bool]):
    """Removes what only the training of frozen layers needs; their weights stay."""

    key = "frozen"
    value_type = bool

    @classmethod
    def value_in(cls, treatment: Treatment) -> bool | None:
        """Return True for a frozen layer, None for others."""
        return treatment.frozen or None

    def apply(self, step: Step) -> Step:
        """Return `step` without the gradients and updates of frozen layers."""
        frozen = {index for index, layer in parameters(step).items() if self.of(layer)}
        if not frozen:
            return step
        gone = family(step, frozen, lambda layer: bool(self.of(layer)))
        pairs = ((op, _without_updates(op, gone)) for op in step.ops)
        ops = [after for before, after in pairs if after.outputs or not before.outputs]
        gone -= frozen
        needed = _needed(step, ops, gone)
        storages = tuple(
            replace(storage, bytes=0) if index in gone else storage
            for index, storage in enumerate(step.storages)
        )
        return replace(step, ops=tuple(_alive(ops, needed)), storages=storages)


def _without_updates(op: Op, gone: set[int]) -> Op:
    """Return an optimizer op without the tensors in `gone`, other ops unchanged."""
    if not FACTS[op.phase].updates or op.gemms:
        return op
    inputs = tuple(tensor for tensor in op.inputs if tensor.storage not in gone)
    outputs = tuple(tensor for tensor in op.outputs if tensor.storage not in gone)
    if len(inputs) == len(op.inputs) and len(outputs) == len(op.outputs):
        return op
    return replace(op, inputs=inputs if outputs else (*inputs, *op.inputs[:1]), outputs=outputs)


def _needed(step: Step, ops: Iterable[Op], gone: set[int]) -> list[set[int]]:
    """Return, per op, which of its outputs are live: read later, or persistent."""
    live = {
        index
        for index, storage in enumerate(step.storages)
        if storage.kind in _PERSISTENT and index not in gone
    }
    needed: list[set[int]] = []
    for op in reversed(list(ops)):
        outputs = {i for i, tensor in enumerate(op.outputs) if tensor.storage in live}
        needed.append(outputs)
        if outputs or not FACTS[op.phase].backward or op.kind is OpKind.SYNC:
            partial = outputs and len(outputs) < len(op.outputs)
            reader = _with_outputs(op, outputs) if partial else op
            live |= {tensor.storage for tensor in reader.inputs}
    return needed[::-1]


def _alive(ops: Iterable[Op], needed: Iterable[set[int]]) -> Iterator[Op]:
    """Yield the ops without dead backward work."""
    for op, outputs in zip(ops, needed, strict=True):
        if not FACTS[op.phase].backward or len(outputs) == len(op.outputs):
            yield op
        elif outputs:
            yield _with_outputs(op, outputs)


def _with_outputs(op: Op, live: set[int]) -> Op:
    """Return backward `op` with these outputs alone, and the GEMMs and operands they need."""
    if not FACTS[op.phase].backward:
        return op
    gemms = [gemm for gemm in op.gemms if gemm.c < 0 or gemm.c in live]
    used = {which for gemm in gemms for which in (gemm.a, gemm.b)}
    unused = {which for gemm in op.gemms for which in (gemm.a, gemm.b)} - used
    inputs = [index for index in range(len(op.inputs)) if index not in unused]
    outputs = sorted(live)
    at = {old: new for new, old in enumerate(inputs)} | {-1: -1}
    to = {old: new for new, old in enumerate(outputs)} | {-1: -1}
    return replace(
        op,
        inputs=tuple(op.inputs[index] for index in inputs),
        outputs=tuple(op.outputs[index] for index in outputs),
        gemms=tuple(replace(g, a=at[g.a], b=at[g.b], c=to[g.c]) for g in gemms),
    )
