"""Which ops a machine fused, and what that spared the memory: as a result has it."""

from collections.abc import Iterable

from simulator.results.documents import FusedRow, FusionDocument
from simulator.results.record import StepRecord
from simulator.trace.op import OpKind
from simulator.trace.passes.fuse import saved_bytes
from simulator.trace.trace import Trace


def fusion_document(
    mode: str, traced: Trace, fused: Trace, records: Iterable[StepRecord], *, compiled: bool = False
) -> FusionDocument | None:
    """Return what `mode` made of a trace, None for "none". Equal numbers are equal steps. The
    host's code may be `compiled` at known costs.

    A fused product that was placed where nothing rides on it ran part by part, as `records` say.
    """
    if mode == "none":
        return None
    apart = {(record.step, op) for record in records for op in record.run.lowered.program.unfused}
    more = sum(len(fused.steps[step].ops[op].parts) - 1 for step, op in apart)
    groups = [
        FusedRow(
            step=number,
            op=op.name,
            layer=op.layer,
            phase=op.phase.value,
            parts=[part.base_name for part in op.parts if part.kind is not OpKind.VIEW],
            runs=fused.runs_of(number),
            saved_bytes=saved_bytes(op),
        )
        for number, step in enumerate(fused.steps)
        for index, op in enumerate(step.ops)
        if op.parts and (number, index) not in apart
    ]
    document = FusionDocument(
        mode=mode,
        ops_traced=sum(len(step.ops) for step in traced.steps),
        ops=sum(len(step.ops) for step in fused.steps) + more,
        saved_bytes=sum(row["runs"] * row["saved_bytes"] for row in groups),
        groups=groups,
    )
    return document | {"compiled": True} if compiled else document
