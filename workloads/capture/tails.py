"""Where a step ends after its update or evaluation: with the last call that uses its results."""

from collections.abc import Iterator, Sequence
from typing import Any

from simulator.trace.op import OpKind, Phase
from workloads.capture.operands import Ragged, Sparse, TensorWindow
from workloads.capture.spots import Spot
from workloads.capture.tape import RecordedCall, Tape
from workloads.capture.tape_split import cut


def tail_end(
    tape: Tape, end: int, begin: int, spots: Sequence[Spot]
) -> tuple[int, RecordedCall | None]:
    """Return the call after the last one from `end` on that still belongs to the step.

    Such a call uses results of calls from `begin` on, or a gradient, or writes to a parameter.
    Zeroing gradients and loading a batch belong to the next step, as does a network of functions:
    the second value is its first call with a parameter.
    """
    last, own = end, set(range(begin, end))
    for call, record in enumerate(tape.records(end), end):
        spot = spots[record.spot]
        if spot.outside is Phase.ZERO_GRAD or spot.loading:
            return last, None
        numbers = set(storages(record.operands)) | set(storages(record.keywords.values()))
        leaves = numbers & tape.leaves.keys()
        if leaves and (_learns(record) or _evaluates(record)):
            return last, record
        if leaves and record.grad and record.signature.kind is OpKind.VIEW:
            continue  # of whatever comes next
        made = any(tape.makers[number] in own for number in numbers - leaves)
        if leaves or made or numbers & tape.gradients.keys():
            own.add(call)
            last = call + 1
    return last, None


def independent(tape: Tape, end: int) -> bool:
    """Return whether no call from number `end` on uses results of the calls before it."""
    for record in tape.records(end):
        values = (*record.operands, *record.keywords.values())
        if any(0 <= tape.makers[number] < end for number in storages(values)):
            return False
    return True


def parted(tape: Tape, ends: Sequence[int]) -> list[Tape]:
    """Return a tape in parts that begin at these calls, where nothing from there on uses earlier
    results.
    """
    parts = []
    for end in reversed(ends):  # from the back, so that each call is moved once
        if 0 < end < len(tape) and independent(tape, end):
            parts.append(cut(tape, end))
    return [tape, *reversed(parts)]


def evaluation_end(tape: Tape, spots: Sequence[Spot]) -> int:
    """Return the call after an evaluation by functions at the start of a tape, 0 if
    there is none.
    """
    last = 0
    for call, record in enumerate(tape.records()):
        if tape.leaves.keys().isdisjoint(storages(record.operands)) or record.node is not None:
            continue
        if _learns(record):
            break
        if _evaluates(record):
            last = call + 1
    return tail_end(tape, last, 0, spots)[0] if last else 0


def _learns(record: RecordedCall) -> bool:
    """Return whether a call with a parameter is part of a differentiated forward pass."""
    is_view = record.signature.kind is OpKind.VIEW
    return record.grad and not is_view and not record.signature.mutates


def _evaluates(record: RecordedCall) -> bool:
    """Return whether a call with a parameter is a product without gradient."""
    return not record.grad and record.signature.kind is OpKind.GEMM


def storages(values: Any) -> Iterator[int]:
    """Yield the storages of all arguments or results."""
    for value in values:
        if value.__class__ is TensorWindow:
            yield value.storage
        elif value.__class__ is list:
            yield from storages(value)
        elif value.__class__ is Sparse or value.__class__ is Ragged:
            yield from (part.storage for part in value.parts)
