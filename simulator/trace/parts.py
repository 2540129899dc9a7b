"""Parts of a trace that run alone, and the bytes that cross the cut around one."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from simulator.errors import InputError, join_names, shown
from simulator.trace.crossing import Crossing, DividedOp, crossing_of, data_of
from simulator.trace.op import Op, Tensor
from simulator.trace.part_spec import TracePart
from simulator.trace.places import places
from simulator.trace.trace import Segment, Step, Storage, StorageKind, Trace

__all__ = ["Crossing", "TracePart", "crossing", "part", "source_of"]

_PASSING = frozenset({StorageKind.INPUT, StorageKind.ACTIVATION})


def part(trace: Trace, spec: TracePart | str) -> Trace:
    """Return the trace of a part alone: its ops with their storages, as often as they ran.

    `spec` is a part, or text such as "conv1..layer2" (see `part_spec`).

    Steps that are equal within the part become one; those that have nothing of it are left out.
    What enters is in memory before the step begins. Raises InputError if the part is empty.
    """
    spec = _spec(spec)
    numbers: dict[str, int] = {}
    steps: list[Step] = []
    by_step: dict[int, int] = {}
    for index, step in _steps(trace, spec).items():
        by_step[index] = numbers.setdefault(step.digest, len(steps))
        steps += [step] if by_step[index] == len(steps) else []
    segments = tuple(
        Segment(each.epoch, by_step[each.step], each.count, each.method)
        for each in trace.segments
        if each.step in by_step
    )
    origin = trace.origin | {"part": str(spec)}
    return replace(trace, steps=tuple(steps), segments=segments, origin=origin, timings=())


def crossing(trace: Trace, spec: TracePart | str, step: int | None = None) -> Crossing:
    """Return what crosses the cut in distinct step `step` of `trace`, by default its typical one.

    Raises InputError if there is no such step, or if the part is empty.
    """
    spec = _spec(spec)
    _steps(trace, spec)
    whole = trace.steps[trace.chosen(step)]
    return crossing_of(whole, list(_divided(whole, spec)))


def source_of(trace: Trace, spec: TracePart, step: int) -> int:
    """Return the first step of `trace` that gives step number `step` of its part."""
    digests = {index: each.digest for index, each in _steps(trace, spec).items()}
    digest = list(dict.fromkeys(digests.values()))[step]
    return next(index for index, each in digests.items() if each == digest)


def _spec(spec: TracePart | str) -> TracePart:
    return TracePart.parse(spec) if isinstance(spec, str) else spec


def _steps(trace: Trace, spec: TracePart) -> dict[int, Step]:
    """Return the steps of a part by their numbers in the trace."""
    inner = {index: _inside(step, spec) for index, step in enumerate(trace.steps)}
    steps = {index: step for index, step in inner.items() if step.ops}
    if not steps:
        raise InputError(_empty(trace, spec))
    return steps


def _inside(step: Step, spec: TracePart) -> Step:
    """Return the step of what is inside of a part; its storages are numbered by first use."""
    chosen = {n: inner for n, (inner, _) in enumerate(_divided(step, spec)) if inner}
    numbers = {old: new for new, old in enumerate(chosen)} | {-1: -1}
    ops = list(chosen.values())
    tensors = [tensor for op in ops for tensor in (*op.inputs, *op.outputs)]
    storages = {old: new for new, old in enumerate(dict.fromkeys(t.storage for t in tensors))}
    inputs = _read_before_written(ops)
    return Step(
        step.kind,
        tuple(
            replace(
                op,
                inputs=_renumbered(op.inputs, storages),
                outputs=_renumbered(op.outputs, storages),
                forward=numbers.get(op.forward, -1),
            )
            for op in ops
        ),
        tuple(_storage(step.storages[old], is_input=old in inputs) for old in storages),
        step.tokens,
    )


def _divided(step: Step, spec: TracePart) -> Iterator[DividedOp]:
    """Yield what of each op is inside of a part, and what outside.

    An update of many parameters at once has both.
    """
    where = places(step)
    covered = spec.covers(where)
    for number, op in enumerate(step.ops):
        read, written = where.updates.get(number, ((), ()))
        split = len({place in covered for place in written}) > 1
        if not spec.has(number, op):
            yield None, op
        elif split and not op.gemms:
            flags = [[place in covered for place in each] for each in (read, written)]
            yield _only(op, *flags), _only(op, *([not f for f in each] for each in flags))
        else:
            yield (op, None) if where.ops[number] in covered else (None, op)


def _only(op: Op, read: list[bool], written: list[bool]) -> Op:
    """Return an update of these tensors alone."""
    inputs = tuple(tensor for tensor, mine in zip(op.inputs, read, strict=True) if mine)
    outputs = tuple(tensor for tensor, mine in zip(op.outputs, written, strict=True) if mine)
    return replace(op, inputs=inputs, outputs=outputs)


def _renumbered(tensors: Iterable[Tensor], numbers: dict[int, int]) -> tuple[Tensor, ...]:
    return tuple(replace(tensor, storage=numbers[tensor.storage]) for tensor in tensors)


def _read_before_written(ops: Iterable[Op]) -> set[int]:
    inputs: set[int] = set()
    written: set[int] = set()
    for op in ops:
        inputs |= {tensor.storage for tensor in data_of(op, op.inputs)} - written
        written |= {tensor.storage for tensor in data_of(op, op.outputs)}
    return inputs


def _storage(storage: Storage, *, is_input: bool) -> Storage:
    if storage.kind not in _PASSING:
        return storage
    return replace(storage, kind=StorageKind.INPUT if is_input else StorageKind.ACTIVATION)


def _empty(trace: Trace, spec: TracePart) -> str:
    """Return the sentence on a part without ops: a layer that is not there, or none in order."""
    wheres = [places(step) for step in trace.steps]
    missing = [name for name in spec.names if not any(where.has(name) for where in wheres)]
    layers = dict.fromkeys(layer for where in wheres for layer in where.layers if layer)
    reason = f"there is no layer {shown(missing[0])}" if missing else "no op is in it"
    order = f"layers in order: {join_names(layers)}"
    return f"part {shown(str(spec))} of trace {trace.name}: {reason}; {order}"
