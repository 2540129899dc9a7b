"""What a trace contains, as tables: phases, largest layers, steps per epoch, memory."""

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulator.results.text import percent, si
from simulator.trace.memory import footprint
from simulator.trace.op import Op, Phase
from simulator.trace.trace import Step, StepKind, Trace, phase_of

_LARGEST = 10


def trace_summary(trace: Trace) -> dict[str, Any]:
    """Return the trace in plain numbers; FLOPs are 2 x batch x M x N x K over the whole run."""
    held = footprint(trace.steps[trace.typical_step])
    return {
        "name": trace.name,
        "origin": trace.origin,
        "digest": trace.digest,
        "flops_by_phase": trace.flops_by_phase(),
        "ops": sum(len(step.ops) * trace.runs_of(i) for i, step in enumerate(trace.steps)),
        "steps": trace.count(StepKind.TRAIN),
        "evaluation_steps": trace.count(StepKind.EVAL),
        "distinct_steps": len(trace.steps),
        "epochs": trace.epochs,
        "parameters": trace.parameters,
        "memory": held.as_dict(),
        "segments": [[s.epoch, s.step, s.count] for s in trace.segments],
    }


def trace_table(trace: Trace) -> Group:
    """Return the trace as a person wants to see it."""
    step = trace.steps[trace.typical_step]
    held = footprint(step)
    memory = Text(
        f"Memory of that step: {si(held.peak_bytes, 'B')} at its peak "
        f"(parameters {si(held.parameters, 'B')}, gradients {si(held.gradients, 'B')}, "
        f"optimizer state {si(held.optimizer_state, 'B')}, "
        f"activations {si(held.activations, 'B')})"
    )
    return Group(Text(_headline(trace)), _phases(step), _layers(step), memory)


def _headline(trace: Trace) -> str:
    trains, evals = trace.count(StepKind.TRAIN), trace.count(StepKind.EVAL)
    return (
        f"{trace.name}: {trace.epochs} epoch{'s' * (trace.epochs != 1)}, "
        f"{trains} training and {evals} evaluation steps "
        f"({len(trace.steps)} distinct), {trace.parameters:,} parameters. "
        "The most frequent training step:"
    )


def _phases(step: Step) -> Table:
    table = Table("phase", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("ops", "GEMMs", "GEMM FLOP", "bytes", "FLOP / byte"):
        table.add_column(column, justify="right")
    for phase in Phase:
        flops, gemms = _gemm_work(step, phase)
        ops = [op for op in step.ops if op.phase is phase]
        moved = sum(_bytes(op, phase) for op in step.ops)
        if ops or gemms:
            intensity = f"{flops / moved:.1f}" if moved and flops else "-"
            cells = (str(len(ops)), str(gemms), si(flops, "FLOP"), si(moved, "B"), intensity)
            table.add_row(phase.value, *cells)
    return table


def _bytes(op: Op, phase: Phase) -> int:
    """Return the bytes that an op moves for `phase`: its GEMMs' operands if they have several."""
    phases = {phase_of(op, gemm.role) for gemm in op.gemms}
    if len(phases) < 2:
        belongs = phases == {phase} if phases else op.phase is phase
        return op.read_bytes + op.write_bytes if belongs else 0
    mine = [gemm for gemm in op.gemms if phase_of(op, gemm.role) is phase]
    read = {i for gemm in mine for i in (gemm.a, gemm.b) if i >= 0}
    written = {gemm.c for gemm in mine if gemm.c >= 0}
    return sum(op.inputs[i].bytes for i in read) + sum(op.outputs[i].bytes for i in written)


def _gemm_work(step: Step, phase: Phase) -> tuple[int, int]:
    macs = [gemm.macs for op in step.ops for gemm in op.gemms if phase_of(op, gemm.role) is phase]
    return 2 * sum(macs), len(macs)


def _layers(step: Step) -> Table:
    flops: dict[str, int] = {}
    for op in step.ops:
        for gemm in op.gemms:
            flops[op.layer] = flops.get(op.layer, 0) + 2 * gemm.macs
    table = Table("largest layers", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("GEMM FLOP", justify="right")
    table.add_column("share", justify="right")
    for layer in sorted(flops, key=lambda name: -flops[name])[:_LARGEST]:
        share = percent(flops[layer], sum(flops.values()))
        table.add_row(layer or "-", si(flops[layer], "FLOP"), share)
    return table
