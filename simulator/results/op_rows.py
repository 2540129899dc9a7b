"""One row per task of a step, as the result lists them: what it was, took, moved and cost."""

from typing import Any

from simulator.activity import DramStates, Span, Work
from simulator.energy.prices import Prices
from simulator.results.record import Record
from simulator.results.tally import contention_ps
from simulator.units import AJ_PER_J, PS_PER_S


def op_rows(record: Record, prices: Prices) -> list[dict[str, Any]]:
    """Return a row for each task of `record`, its energy at `prices`."""
    ran = record.ran
    rows = zip(record.tasks, ran.spans, ran.attributed_ps, ran.alone_ps, ran.states, strict=True)
    return [
        {
            "index": index,
            "step": record.step,
            "count": record.count,
            "phase": task.phase.value,
            "layer": task.layer,
            "op": record.op_names[task.op],
            **_of_work(task.work, span, attributed, alone, states, prices),
        }
        for index, (task, span, attributed, alone, states) in enumerate(rows)
    ]


def _of_work(
    work: Work,
    span: Span,
    attributed: int,
    alone_ps: int,
    states: DramStates,
    prices: Prices,
) -> dict[str, Any]:
    counts = work.counts
    energy = prices.within.energy_aj(counts, attributed, states)
    duration = span.end_ps - span.start_ps
    total_cycles = _cycles(work.compute_cycles, work.compute_ps, duration)
    return {
        "stage": work.stage.value,
        "unit": work.unit,
        "start_s": span.start_ps / PS_PER_S,
        "end_s": span.end_ps / PS_PER_S,
        "attributed_s": attributed / PS_PER_S,
        "attributed_ps": attributed,
        "contention_s": contention_ps(duration, alone_ps) / PS_PER_S,
        "batch": work.batch,
        "m": work.m,
        "n": work.n,
        "k": work.k,
        "compute_cycles": work.compute_cycles,
        "stall_cycles": total_cycles - work.compute_cycles,
        "total_cycles": total_cycles,
        "bound": _bound(work),
        "mapping": work.mapping,
        "mapped": work.mapping_reason,
        "macs": counts.macs,
        "macs_issued": counts.macs_issued,
        "dram_read_bytes": counts.dram_read_bytes,
        "dram_write_bytes": counts.dram_write_bytes,
        "energy_j": energy / AJ_PER_J,
        "energy_aj": energy,
    }


def _cycles(compute_cycles: int, compute_ps: int, duration_ps: int) -> int:
    """Return the duration in the unit's cycles, whose length the computation gives."""
    if not compute_cycles or not compute_ps:
        return 0
    return max(compute_cycles, duration_ps * compute_cycles // compute_ps)


def _bound(work: Work) -> str:
    """Return what the work's duration alone is mostly made of."""
    parts = {"compute": work.compute_ps, "memory": work.memory_ps, "launch": work.overhead_ps}
    return max(parts, key=lambda name: parts[name])
