"""What the zeros of a trace save on a machine: as a result has it."""

from collections.abc import Iterable

from simulator.results.documents import SparsityDocument
from simulator.results.record import StepRecord
from simulator.trace.sparsity import DENSE
from simulator.trace.trace import Trace


def sparsity_document(trace: Trace, records: Iterable[StepRecord]) -> SparsityDocument | None:
    """Return what the zeros of `trace` save in a run of these records, None without any.

    Equal numbers are equal steps.
    """
    gemms = [
        (gemm, trace.runs_of(number))
        for number, step in enumerate(trace.steps)
        for op in step.ops
        for gemm in op.gemms
    ]
    if all(gemm.sparsity == DENSE for gemm, _ in gemms):
        return None
    works = [
        (record.run.lowered.works[number], record.count)
        for record in records
        for number in record.run.lowered.program.numbers
    ]
    return SparsityDocument(
        dense_macs=sum(runs * gemm.dense_macs for gemm, runs in gemms),
        useful_macs=sum(runs * gemm.macs for gemm, runs in gemms),
        issued_macs=sum(times * work.counts.macs_issued for work, times in works),
        skipped_macs=sum(times * work.skipped_macs for work, times in works),
        skipped_ps=sum(times * work.skipped_ps for work, times in works),
    )
