"""Steps of a run that does not learn: evaluations, prefills and decodes of a language model.

A capture sees calls of networks. What they are follows once the whole run is known.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, is_dataclass, replace
from typing import Any

from simulator.trace.crossing import data_of
from simulator.trace.op import Op, OpKind, Phase, Tensor
from simulator.trace.phases import FACTS
from simulator.trace.trace import Step, StepKind, StorageKind

_PASSING = frozenset({StorageKind.INPUT, StorageKind.ACTIVATION})
_COPYING = frozenset(map(OpKind, ("copy", "elementwise", "embedding")))


def evaluation(step: Step) -> Step:
    """Return a step of a run without any training as the evaluation that it is.

    A network may run in the mode of training, with gradients in view that nobody asks for. What
    runs no network stays as it is, and so does a step with gradients.
    """
    facts = [FACTS[op.phase] for op in step.ops]
    runs = any(each.runs_network for each in facts) and not any(each.backward for each in facts)
    if step.kind is not StepKind.OTHER or not runs:
        return step
    ops = tuple(
        replace(op, phase=Phase.EVAL) if FACTS[op.phase].becomes_eval else op for op in step.ops
    )
    return replace(step, kind=StepKind.EVAL, ops=ops)


def generation(step: Step, carried: Set[int]) -> Step:
    """Return the evaluation `step` as a prefill or a decode, if a language model generates in it.

    It does if it looks up tokens, and keeps keys and values: storages that attention reads, which
    evaluations pass on (`carried`), or buffers that it fills. In a decode there are earlier ones.
    """
    tokens, caches = _tokens(step), _caches(step, carried)
    if step.kind is not StepKind.EVAL or not tokens or not caches:
        return step
    kind = StepKind.DECODE if any(_has_past(step, each) for each in caches) else StepKind.PREFILL
    phase = Phase(kind.value)
    ops = tuple(replace(op, phase=phase) if op.phase is Phase.EVAL else op for op in step.ops)
    storages = tuple(
        replace(storage, kind=StorageKind.CACHE) if index in caches else storage
        for index, storage in enumerate(step.storages)
    )
    return Step(kind, ops, storages, tokens)


def _tokens(step: Step) -> int:
    """Return how many tokens the first table of parameters is asked for, 0 if there is none."""
    for op in step.ops:
        if op.base_name == "embedding" and _is_weight(step, op.inputs[0]):
            return op.inputs[1].elements
    return 0


def _caches(step: Step, carried: Set[int]) -> set[int]:
    """Return the storages that hold keys or values: of those that may, the ones that attention
    reads, or copies of which it reads.
    """
    filled = {tensor.storage for op in step.ops for tensor in data_of(op, op.outputs)}
    origins = {
        index: {index}
        for index, storage in enumerate(step.storages)
        if (index in carried and storage.kind in _PASSING)
        or (index in filled and storage.kind is StorageKind.BUFFER)
    }
    caches: set[int] = set()
    for op in step.ops:
        if op.gemms:
            caches |= _attended(step, op, origins)
        elif op.kind in _COPYING:
            made_of = set[int]().union(*(origins.get(t.storage, ()) for t in op.inputs))
            for tensor in op.outputs:
                origins.setdefault(tensor.storage, set()).update(made_of)
    return caches


def _attended(step: Step, op: Op, origins: Mapping[int, set[int]]) -> set[int]:
    """Return the origins of the operands of products that read no weights."""
    caches: set[int] = set()
    for gemm in op.gemms:
        operands = [op.inputs[which] for which in (gemm.a, gemm.b) if which >= 0]
        if not any(_is_weight(step, operand) for operand in operands):
            caches |= set[int]().union(*(origins.get(each.storage, ()) for each in operands))
    return caches


def _has_past(step: Step, cache: int) -> bool:
    """Return whether the step reads more of a cache than it writes."""
    read = max(_windows(step, cache, written=False), default=0)
    return read > sum(_windows(step, cache, written=True))


def _windows(step: Step, storage: int, *, written: bool) -> Iterator[int]:
    """Yield the bytes of each access to a storage."""
    for op in step.ops:
        for tensor in data_of(op, op.outputs if written else op.inputs):
            if tensor.storage == storage:
                yield tensor.bytes


def _is_weight(step: Step, tensor: Tensor) -> bool:
    return step.storages[tensor.storage].kind is StorageKind.PARAMETER


def between(first: Step, last: Step, at: int, of: int) -> Step:
    """Return the step that lies `at` of `of` steps after `first`, where `last` lies `of` after it.

    All sizes grow evenly from step to step, as a cache does. Raises ValueError if these two differ
    in more than sizes, or by no whole number from step to step.
    """
    if len(first.ops) != len(last.ops) or len(first.storages) != len(last.storages):
        raise ValueError("the steps have other ops")
    ops = _grown(first.ops, last.ops, at, of)
    storages = _grown(first.storages, last.storages, at, of)
    return replace(first, ops=ops, storages=storages)


def _grown(start: Any, end: Any, at: int, of: int) -> Any:
    """Return the value between two that are equal but for whole numbers."""
    if start == end:
        return start
    if isinstance(start, int) and isinstance(end, int):
        growth, rest = divmod((end - start) * at, of)
        if rest:
            raise ValueError(f"{start} to {end} is no whole number a step")
        return start + growth
    if isinstance(start, tuple) and len(start) == len(end):
        return tuple(_grown(a, b, at, of) for a, b in zip(start, end, strict=True))
    if is_dataclass(start) and not isinstance(start, type) and type(start) is type(end):
        pairs = {f.name: (getattr(start, f.name), getattr(end, f.name)) for f in fields(start)}
        return replace(start, **{name: _grown(*pair, at, of) for name, pair in pairs.items()})
    raise ValueError(f"{start} and {end} differ in more than sizes")
