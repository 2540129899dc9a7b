"""Frozen layers: no weight gradients, no updates, and no backward work that nobody reads."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from simulator.trace.op import Op, OpKind, Phase
from simulator.trace.passes.families import family, parameters
from simulator.trace.passes.treatment import Method
from simulator.trace.trace import Step, StorageKind

_BACKWARD = frozenset({Phase.DGRAD, Phase.WGRAD})
_STAYS = frozenset(
    {StorageKind.PARAMETER, StorageKind.BUFFER, StorageKind.OPTIMIZER_STATE, StorageKind.GRADIENT}
)


def without_frozen(step: Step, method: Method) -> Step:
    """Return `step` without what only frozen layers need; their weights stay."""
    frozen = {index for index, layer in parameters(step).items() if method.of(layer).frozen}
    if not frozen:
        return step
    gone = family(step, frozen, lambda layer: method.of(layer).frozen)
    less = ((op, _updating_less(op, gone)) for op in step.ops)
    ops = [after for before, after in less if after.outputs or not before.outputs]
    gone -= frozen
    needed = _needed(step, ops, gone)
    storages = tuple(
        replace(storage, bytes=0) if index in gone else storage
        for index, storage in enumerate(step.storages)
    )
    return replace(step, ops=tuple(_alive(ops, needed)), storages=storages)


def _updating_less(op: Op, gone: set[int]) -> Op:
    """Return an optimizer's op without the tensors that are gone, other ops as they are."""
    if op.phase not in (Phase.OPTIMIZER, Phase.ZERO_GRAD) or op.gemms:
        return op
    inputs = tuple(tensor for tensor in op.inputs if tensor.storage not in gone)
    outputs = tuple(tensor for tensor in op.outputs if tensor.storage not in gone)
    if len(inputs) == len(op.inputs) and len(outputs) == len(op.outputs):
        return op
    return replace(op, inputs=inputs if outputs else (*inputs, *op.inputs[:1]), outputs=outputs)


def _needed(step: Step, ops: Iterable[Op], gone: set[int]) -> list[set[int]]:
    """Return, per op, which of its outputs are read later or stay."""
    wanted = {
        index
        for index, storage in enumerate(step.storages)
        if storage.kind in _STAYS and index not in gone
    }
    needed: list[set[int]] = []
    for op in reversed(list(ops)):
        outputs = {i for i, tensor in enumerate(op.outputs) if tensor.storage in wanted}
        needed.append(outputs)
        if outputs or op.phase not in _BACKWARD or op.kind is OpKind.SYNC:
            kept = op if len(outputs) == len(op.outputs) else _with_outputs(op, outputs)
            wanted |= {tensor.storage for tensor in (kept if outputs else op).inputs}
    return needed[::-1]


def _alive(ops: Iterable[Op], needed: Iterable[set[int]]) -> Iterator[Op]:
    """Yield the ops without the backward work that nobody needs."""
    for op, outputs in zip(ops, needed, strict=True):
        if op.phase not in _BACKWARD or len(outputs) == len(op.outputs):
            yield op
        elif outputs:
            yield _with_outputs(op, outputs)


def _with_outputs(op: Op, kept: set[int]) -> Op:
    """Return `op` with these results alone, and the products and operands that they take."""
    if op.phase not in _BACKWARD:
        return op
    gemms = [gemm for gemm in op.gemms if gemm.c < 0 or gemm.c in kept]
    used = {which for gemm in gemms for which in (gemm.a, gemm.b)}
    unused = {which for gemm in op.gemms for which in (gemm.a, gemm.b)} - used
    inputs = [index for index in range(len(op.inputs)) if index not in unused]
    outputs = sorted(kept)
    at = {old: new for new, old in enumerate(inputs)} | {-1: -1}
    to = {old: new for new, old in enumerate(outputs)} | {-1: -1}
    return replace(
        op,
        inputs=tuple(op.inputs[index] for index in inputs),
        outputs=tuple(op.outputs[index] for index in outputs),
        gemms=tuple(replace(g, a=at[g.a], b=at[g.b], c=to[g.c]) for g in gemms),
    )
