"""Where a network runs again and again without learning: each run of it is a pass of its own."""

from collections.abc import Iterable, Sequence
from typing import Any

from simulator.trace.importers.calls import tensors_in
from simulator.trace.importers.inference import infer
from simulator.trace.importers.inference.result import count
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import Seen
from simulator.trace.importers.signature import is_parameter, signature
from simulator.trace.op import OpKind, Tensor
from simulator.trace.op_kinds import KIND_FACTS


def passes(ops: list[Seen]) -> list[list[Seen]]:
    """Return the ops of each pass; of all where they learn, or repeat nothing.

    A pass is what repeats, ops and shapes alike, nearly from one end to the other. Layers that are
    all alike repeat too: unless modules tell them apart, what feeds itself is taken for layers.
    """
    if any(seen.scope.in_backward or seen.scope.marker is not None for seen in ops):
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


def restarts(ops: Sequence[Seen]) -> set[int]:
    """Return where, in a step, the network begins once more after its backward pass.

    That is the same network if its layers have the shapes of the first one's: gradients are
    accumulated over several batches.
    """
    runs: list[list[int]] = [[]]
    for place, seen in enumerate(ops):
        if seen.scope.in_backward and runs[-1]:
            runs.append([])
        elif not seen.scope.in_backward and seen.scope.marker is None and _is_layer(seen):
            runs[-1].append(place)
    first, *others = ([_sign(ops[place]) for place in run] for run in runs)
    pairs = zip(others, runs[1:], strict=True)
    return {run[0] for signs, run in pairs if run and signs == first}


def _is_layer(seen: Seen) -> bool:
    kind = kind_by_name(seen.node.base)
    return kind is not None and (KIND_FACTS[kind].in_networks or kind is OpKind.EMBEDDING)


def _signs(ops: Iterable[Seen]) -> list[int]:
    """Return a number for each op, equal where name, shapes, modules and labels are."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(_sign(seen), len(numbers)) for seen in ops]


def _sign(seen: Seen) -> tuple[Any, ...]:
    shapes = tuple((t.shape, t.dtype) for t in tensors_in(seen.node.inputs))
    return seen.node.name, shapes, seen.scope.modules, seen.scope.labels


def _repetition(signs: Sequence[int]) -> tuple[int, int]:
    """Return the length of the longest beginning that is some sequence twice or more often, and
    the length of that sequence; by the failure function of Knuth, Morris and Pratt.
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


def _feeds_itself(ops: Sequence[Seen]) -> bool:
    """Tell whether what the last op returns can be what the first one reads."""
    working = [seen for seen in ops if kind_by_name(seen.node.base) is not OpKind.VIEW]
    if not working:
        return True
    data, results = _data(working[0]), _results(working[-1])
    return data is not None and any(
        count(shape) == count(data.shape) and dtype == data.dtype for shape, dtype in results
    )


def _data(seen: Seen) -> Tensor | None:
    """Return the first tensor that an op reads and that is no parameter."""
    node = seen.node
    pairs = zip(signature(node.base, node.schema).arguments, node.inputs, strict=False)
    found = (t for a, value in pairs if not is_parameter(a.name) for t in tensors_in(value))
    bias_first = node.base in ("addmm", "addmv", "baddbmm", "addbmm")
    if bias_first:
        next(found, None)
    return next(found, None)


def _results(seen: Seen) -> list[tuple[tuple[int, ...], str]]:
    node = seen.node
    if node.outputs is not None:
        return [(tensor.shape, tensor.dtype) for tensor in node.outputs]
    named = signature(node.base, node.schema).named(node.inputs)
    found = infer(node.base, named).results
    return list(found) or [(t.shape, t.dtype) for t in list(tensors_in(node.inputs))[:1]]


def _with_rest(before: list[Seen], copies: list[list[Seen]], after: list[Seen]) -> list[list[Seen]]:
    """Return the passes with what came before and after: passes too, if they hold a product."""
    if before and _multiplies(before):
        copies = [before, *copies]
    else:
        copies[0] = before + copies[0]
    if after and _multiplies(after):
        return [*copies, after]
    copies[-1] = copies[-1] + after
    return copies


def _multiplies(ops: Iterable[Seen]) -> bool:
    return any(kind_by_name(seen.node.base) is OpKind.GEMM for seen in ops)
