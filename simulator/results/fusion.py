"""Which ops a machine fused, and what that spared the memory: as a result has it."""

from simulator.results.documents import FusedRow, FusionDocument
from simulator.trace.op import OpKind
from simulator.trace.passes.fuse import saved_bytes
from simulator.trace.trace import Trace


def fusion_document(mode: str, traced: Trace, fused: Trace) -> FusionDocument | None:
    """Return what `mode` made of a trace, None for "none". Equal numbers are equal steps."""
    if mode == "none":
        return None
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
        for op in step.ops
        if op.parts
    ]
    return FusionDocument(
        mode=mode,
        ops_traced=sum(len(step.ops) for step in traced.steps),
        ops=sum(len(step.ops) for step in fused.steps),
        saved_bytes=sum(row["runs"] * row["saved_bytes"] for row in groups),
        groups=groups,
    )
