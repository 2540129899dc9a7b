"""What a step holds in memory over time, as its run goes: by kind of storage."""

from collections.abc import Iterable, Sequence

from simulator.activity import Span, StepRun
from simulator.results.step_documents import MemoryRow
from simulator.trace.memory import occupancy
from simulator.trace.trace import PERSISTENT, Step, StorageKind


def memory_levels(step: Step, run: StepRun) -> list[MemoryRow]:
    """Return the bytes that live from each moment on, kinds without any left out.

    As in `trace.memory.occupancy`, but by the times of ops in `run`, which may overlap: a storage
    lives from the start of the first op that touches it to the end of the last; parameters,
    buffers and optimizer state throughout, gradients to the end.
    """
    changes: dict[int, dict[StorageKind, int]] = {0: {}}
    sizes = occupancy(step).sizes
    for storage, (start, end) in _storage_spans(step, _op_spans(run, len(step.ops))).items():
        kind, size = step.storages[storage].kind, sizes[storage]
        _add(changes, 0 if kind in PERSISTENT else start, kind, size)
        if kind not in _TO_THE_END:
            _add(changes, end, kind, -size)
    return list(_levels(changes))


_TO_THE_END = PERSISTENT | {StorageKind.GRADIENT}


def _storage_spans(step: Step, ops: Sequence[Span]) -> dict[int, Span]:
    """Return from when to when ops touch each storage; those that none touches are there, too."""
    spans = {
        storage: Span(0, 0)
        for storage, entry in enumerate(step.storages)
        if entry.kind in PERSISTENT
    }
    for op, (start, end) in zip(step.ops, ops, strict=True):
        for tensor in (*op.inputs, *op.outputs):
            before = spans.get(tensor.storage, Span(start, end))
            spans[tensor.storage] = Span(min(start, before.start_ps), max(end, before.end_ps))
    return spans


def _op_spans(run: StepRun, ops: int) -> list[Span]:
    """Return when each op ran; one without tasks, at the moment when the one before it ended."""
    of_tasks: list[list[Span]] = [[] for _ in range(ops)]
    for task, span in zip(run.tasks, run.spans, strict=True):
        of_tasks[task.op].append(span)
    spans: list[Span] = []
    for each in of_tasks:
        before = spans[-1].end_ps if spans else 0
        start = min((span.start_ps for span in each), default=before)
        spans.append(Span(start, max((span.end_ps for span in each), default=before)))
    return spans


def _add(
    changes: dict[int, dict[StorageKind, int]], moment: int, kind: StorageKind, size: int
) -> None:
    at = changes.setdefault(moment, {})
    at[kind] = at.get(kind, 0) + size


def _levels(changes: dict[int, dict[StorageKind, int]]) -> Iterable[MemoryRow]:
    living = dict.fromkeys(StorageKind, 0)
    kinds = [kind for kind in StorageKind if any(kind in at for at in changes.values())]
    for moment in sorted(changes):
        for kind, size in changes[moment].items():
            living[kind] += size
        yield {"start_ps": moment, "bytes": {kind.value: living[kind] for kind in kinds}}
