"""Splits inference that runs a network several times into single passes."""

from collections.abc import Iterable, Sequence
from typing import Any

from simulator.trace.importers.inference import infer
from simulator.trace.importers.inference.result import count
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import OpEvent
from simulator.trace.importers.signature import is_parameter, signature
from simulator.trace.importers.values import tensors_in
from simulator.trace.op import OpKind, Tensor
from simulator.trace.op_kinds import KIND_FACTS


def passes(ops: list[OpEvent]) -> list[list[OpEvent]]:
    """Return the ops of each pass; a single one if they train or do not repeat.

    A pass is a sequence of ops and shapes that repeats from one end of `ops` nearly to the other.
    Identical layers repeat as well: unless modules separate them, a sequence whose output can be
    its input counts as layers.
    """
    if any(event.scope.in_backward or event.scope.marker is not None for event in ops):
        return [ops]
    signs = _signs(ops)
    head, period = _repetition(signs)
    tail, period_back = _repetition(signs[::-1])
    begin = 0
    if tail > head:
        begin, head, period = len(ops) - tail, tail, period_back
    rest = len(ops) - head
    if not head or rest >= 2 * period:
        return [ops]
    first = ops[begin : begin + period]
    if not first[0].scope.modules and _feeds_itself(first):
        return [ops]
    copies = [ops[at : at + period] for at in range(begin, begin + head, period)]
    return _with_rest(ops[:begin], copies, ops[begin + head :])


def restarts(ops: Sequence[OpEvent]) -> set[int]:
    """Return the places in a step where the network starts again after its backward pass.

    It is the same network if its layers have the same shapes: gradients accumulate over several
    batches.
    """
    runs: list[list[int]] = [[]]
    for place, event in enumerate(ops):
        if event.scope.in_backward and runs[-1]:
            runs.append([])
        elif not event.scope.in_backward and event.scope.marker is None and _is_layer(event):
            runs[-1].append(place)
    first, *others = ([_sign(ops[place]) for place in run] for run in runs)
    pairs = zip(others, runs[1:], strict=True)
    return {run[0] for signs, run in pairs if run and signs == first}


def _is_layer(event: OpEvent) -> bool:
    kind = kind_by_name(event.node.base)
    return kind is not None and (KIND_FACTS[kind].in_networks or kind is OpKind.EMBEDDING)


def _signs(ops: Iterable[OpEvent]) -> list[int]:
    """Return a number for each op, equal if name, shapes, modules and labels are equal."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(_sign(event), len(numbers)) for event in ops]


def _sign(event: OpEvent) -> tuple[Any, ...]:
    shapes = tuple((t.shape, t.dtype) for t in tensors_in(event.node.inputs))
    return event.node.name, shapes, event.scope.modules, event.scope.labels


def _repetition(signs: Sequence[int]) -> tuple[int, int]:
    """Return the length of the longest prefix that repeats a sequence, and that sequence's length.

    By the failure function of Knuth, Morris and Pratt.
    """
    failure = [0] * len(signs)
    best = (0, 0)
    for place in range(1, len(signs)):
        matched = failure[place - 1]
        while matched and signs[matched] != signs[place]:
            matched = failure[matched - 1]
        failure[place] = matched + (signs[matched] == signs[place])
        length, period = place + 1, place + 1 - failure[place]
        if 2 * period <= length and not length % period:
            best = (length, period)
    return best


def _feeds_itself(ops: Sequence[OpEvent]) -> bool:
    """Return whether a result of the last op can be the input of the first."""
    working = [event for event in ops if kind_by_name(event.node.base) is not OpKind.VIEW]
    if not working:
        return True
    data, results = _data(working[0]), _results(working[-1])
    return data is not None and any(
        count(shape) == count(data.shape) and dtype == data.dtype for shape, dtype in results
    )


def _data(event: OpEvent) -> Tensor | None:
    """Return the first tensor operand that is no parameter."""
    node = event.node
    pairs = zip(signature(node.base, node.schema).arguments, node.inputs, strict=False)
    candidates = (t for a, value in pairs if not is_parameter(a.name) for t in tensors_in(value))
    bias_first = node.base in ("addmm", "addmv", "baddbmm", "addbmm")
    if bias_first:
        next(candidates, None)
    return next(candidates, None)


def _results(event: OpEvent) -> list[tuple[tuple[int, ...], str]]:
    node = event.node
    if node.outputs is not None:
        return [(tensor.shape, tensor.dtype) for tensor in node.outputs]
    named = signature(node.base, node.schema).named(node.inputs)
    results = infer(node.base, named).results
    return list(results) or [(t.shape, t.dtype) for t in list(tensors_in(node.inputs))[:1]]


def _with_rest(
    before: list[OpEvent], copies: list[list[OpEvent]], after: list[OpEvent]
) -> list[list[OpEvent]]:
    """Return the passes with the ops before and after them; these are passes too if they have a
    product.
    """
    if before and _multiplies(before):
        copies = [before, *copies]
    else:
        copies[0] = before + copies[0]
    if after and _multiplies(after):
        return [*copies, after]
    copies[-1] = copies[-1] + after
    return copies


def _multiplies(ops: Iterable[OpEvent]) -> bool:
    return any(kind_by_name(event.node.base) is OpKind.GEMM for event in ops)
