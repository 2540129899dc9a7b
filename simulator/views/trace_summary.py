"""What a trace contains, in plain numbers: the run, one of its distinct steps, its memory."""

from collections import Counter
from itertools import pairwise

from simulator.trace.memory import footprint, occupancy
from simulator.trace.op import OpKind, Phase
from simulator.trace.phases import FACTS
from simulator.trace.totals import Total, by_layer, by_phase_and_kind, summed
from simulator.trace.trace import PERSISTENT, Step, StepKind, Trace
from simulator.views.memory_view import peak
from simulator.views.origin import notes, provenance
from simulator.views.trace_documents import (
    DistinctStepRow,
    EqualEpochs,
    PhaseTotals,
    TraceSummary,
    TraceTotals,
)


def trace_summary(trace: Trace, step: int | None = None) -> TraceSummary:
    """Return the trace in plain numbers: all of the run, and distinct step `step` in detail.

    That is the typical one by default. FLOPs are 2 x batch x M x N x K: of `flops_by_phase` over
    the whole run, elsewhere of one step. Raises InputError if there is no such step.
    """
    index = trace.chosen(step)
    shown = trace.steps[index]
    return {
        "name": trace.name,
        "origin": trace.origin,
        "provenance": provenance(trace.origin),
        "notes": notes(trace.origin),
        "digest": trace.digest,
        "flops_by_phase": trace.flops_by_phase(),
        "ops": sum(len(step.ops) * trace.runs_of(i) for i, step in enumerate(trace.steps)),
        "steps": trace.count(StepKind.TRAIN),
        "evaluation_steps": trace.count(StepKind.EVAL),
        "distinct_steps": len(trace.steps),
        "epochs": trace.epochs,
        "parameters": trace.parameters,
        "distinct": [_distinct(trace, i) for i in range(len(trace.steps))],
        "steps_per_epoch": _steps_per_epoch(trace),
        "step": index,
        "phases": _phases(shown),
        "layers": [{"layer": n, **_totals(total)} for n, total in by_layer(shown).items()],
        "memory": footprint(shown).as_dict(),
        "peak": peak(shown, occupancy(shown)),
        "segments": [[s.epoch, s.step, s.count] for s in trace.segments],
    }


# The run


def _distinct(trace: Trace, index: int) -> DistinctStepRow:
    """Return what tells a distinct step from the others."""
    step = trace.steps[index]
    first = _first_input(step)
    unlike, more_ops = _unlike(trace, index)
    return {
        "index": index,
        "kind": step.kind.value,
        "runs": trace.runs_of(index),
        "batch": first[0] if first else None,
        "input_shape": list(first),
        **_totals(summed(by_phase_and_kind(step).values())),
        "peak_bytes": footprint(step).peak_bytes,
        "unlike": unlike,
        "more_ops": more_ops,
    }


def _first_input(step: Step) -> tuple[int, ...]:
    """Return the shape of what enters the network: the first op's operand that is not its own."""
    for op in step.ops:
        if FACTS[op.phase].runs_network and op.kind is not OpKind.VIEW:
            for tensor in op.inputs:
                if step.storages[tensor.storage].kind not in PERSISTENT and tensor.shape:
                    return tensor.shape
    return ()


def _unlike(trace: Trace, index: int) -> tuple[int | None, dict[str, int]]:
    """Return the most frequent step of the same kind, and which ops this one has more (or less) of.

    None and no ops of that step itself.
    """
    kind = trace.steps[index].kind
    alike = [i for i, step in enumerate(trace.steps) if step.kind is kind]
    usual = max(alike, key=lambda i: (trace.runs_of(i), i))
    if usual == index:
        return None, {}
    ours, theirs = (Counter(op.base_name for op in trace.steps[i].ops) for i in (index, usual))
    ours.subtract(theirs)
    changed = sorted((item for item in ours.items() if item[1]), key=lambda i: (-abs(i[1]), i[0]))
    return usual, dict(changed)


def _steps_per_epoch(trace: Trace) -> list[EqualEpochs]:
    """Return how often each distinct step runs in an epoch, equal epochs together."""
    epochs: dict[int, dict[int, int]] = {}
    for segment in trace.segments:
        counts = epochs.setdefault(segment.epoch, {})
        counts[segment.step] = counts.get(segment.step, 0) + segment.count
    alike: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for epoch, counts in sorted(epochs.items()):
        alike.setdefault(tuple(counts.items()), []).append(epoch)
    return [
        {
            "epochs": _ranges(numbers),
            "steps": [
                {"step": step, "kind": trace.steps[step].kind.value, "count": count}
                for step, count in counts
            ],
        }
        for counts, numbers in alike.items()
    ]


def _ranges(numbers: list[int]) -> list[list[int]]:
    """Return ascending numbers as first and last of each run without a gap."""
    ends = [a for a, b in pairwise(numbers) if b != a + 1]
    starts = [b for a, b in pairwise(numbers) if b != a + 1]
    pairs = zip([numbers[0], *starts], [*ends, numbers[-1]], strict=True)
    return [list(pair) for pair in pairs]


# One step


def _totals(total: Total) -> TraceTotals:
    return {
        "ops": total.ops,
        "gemms": total.gemms,
        "flops": total.flops,
        "bytes": total.bytes,
        "flops_per_byte": total.intensity,
    }


def _phases(step: Step) -> list[PhaseTotals]:
    totals = by_phase_and_kind(step)
    rows: list[PhaseTotals] = []
    for phase in Phase:
        kinds = {kind: total for (of, kind), total in totals.items() if of is phase}
        if kinds:
            by_kind = {kind.value: _totals(kinds[kind]) for kind in OpKind if kind in kinds}
            whole = _totals(summed(kinds.values()))
            rows.append({"phase": phase.value, **whole, "by_kind": by_kind})
    return rows
