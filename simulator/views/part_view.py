"""What a part of a trace computes, holds and exchanges with the rest, as numbers and words."""

from simulator.si import si
from simulator.trace.parts import TracePart, crossing, part, source_of
from simulator.trace.trace import Trace
from simulator.views.trace_documents import PartDocument


def part_document(trace: Trace, spec: TracePart, step: int) -> PartDocument:
    """Return what a run of step number `step` of the part does, and what crosses its cut."""
    source = source_of(trace, spec, step)
    ops = part(trace, spec).steps[step].ops
    bytes_ = crossing(trace, spec, source)
    return {
        "part": str(spec),
        "step_of_trace": source,
        "macs": sum(gemm.macs for op in ops for gemm in op.gemms),
        "weight_bytes": bytes_.weights,
        "enter_bytes": bytes_.enters,
        "leave_bytes": bytes_.leaves,
        "input_bytes": bytes_.inputs,
    }


def part_sentence(document: PartDocument) -> str:
    """Return them in a sentence."""
    return (
        f"Of step {document['step_of_trace']} of the whole run it has "
        f"{si(document['macs'], 'MAC')}, {si(document['weight_bytes'], 'B')} of weights; "
        f"{si(document['enter_bytes'], 'B')} enter from the rest, "
        f"{si(document['leave_bytes'], 'B')} leave to it, "
        f"{si(document['input_bytes'], 'B')} are inputs of the step."
    )
