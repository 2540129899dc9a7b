"""Predicted against measured: a step of a timed trace on a machine, op by op and in sums."""

from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict, cast

from simulator.errors import InputError
from simulator.hardware import Hardware
from simulator.replay import Replay
from simulator.trace.op import Op
from simulator.trace.phases import FACTS
from simulator.trace.trace import Step, Timing, Trace
from simulator.units import PS_PER_S

Row = dict[str, Any]
SCHEMA = "1.0"


class ComparedRow(TypedDict):
    """A part of a step as measured and as predicted; `error` is None where nothing was measured."""

    count: int
    measured_s: float
    predicted_s: float
    error: float | None
    predicted_low_s: NotRequired[float]
    predicted_high_s: NotRequired[float]


class ComparedStep(ComparedRow):
    """The whole step; `measured_is` says whether it ran unrecorded, or is the sum of its ops."""

    measured_is: str


class ComparedPhase(ComparedRow):
    """The ops of a phase."""

    phase: str


class ComparedKind(ComparedRow):
    """The ops of a kind."""

    kind: str


class ComparedOp(TypedDict):
    """An op of the step."""

    kind: str
    phase: str
    measured_s: float
    predicted_s: float


class Comparison(TypedDict):
    """A step of a timed trace on a machine, predicted against measured."""

    schema: str
    hardware: str
    trace: str
    step: ComparedStep
    phases: list[ComparedPhase]
    kinds: list[ComparedKind]
    ops: list[ComparedOp]
    samples: NotRequired[int]
    seed: NotRequired[int]
    level: NotRequired[float]


def compare(hardware: Hardware, trace: Trace) -> Comparison:
    """Return the typical step of `trace` as measured and as predicted on `hardware`.

    The document has rows for `step`, `phases`, `kinds` and `ops`, with times in seconds; `error` is
    predicted over measured minus 1. An op that computes both gradients (of a convolution) has one
    measured time, so both are the phase "backward" here. Raises InputError for a trace without
    measured times.
    """
    if hardware.runtime.fusion != "none":
        raise InputError(
            f"{hardware.name} fuses ops, but each was measured by itself: "
            "compare with --set runtime.fusion=none"
        )
    if not trace.timings:
        raise InputError(f"trace {trace.name} has no measured times: capture it with --time")
    index = trace.typical_step
    step, timing = trace.steps[index], trace.timings[index]
    predicted = _predicted_ps(Replay(hardware, trace), index, len(step.ops))
    ops = _op_rows(step, timing, predicted)
    document = {
        "schema": SCHEMA,
        "hardware": hardware.name,
        "trace": trace.name,
        "step": _step_row(timing, predicted),
        "phases": _grouped(ops, "phase"),
        "kinds": _grouped(ops, "kind"),
        "ops": ops,
    }
    return cast(Comparison, document)


def _predicted_ps(replay: Replay, index: int, ops: int) -> list[int]:
    run = replay.steady_step(index)
    times = [0] * ops
    for task, ps in zip(run.tasks, run.attributed_ps, strict=False):
        times[task.op] += ps
    return times


def _op_rows(step: Step, timing: Timing, predicted: Iterable[int]) -> list[Row]:
    return [
        {"index": index, "op": op.name, "kind": op.kind.value, "phase": phase_name(op)}
        | {"layer": op.layer}
        | _times(measured_ps, predicted_ps)
        for index, (op, measured_ps, predicted_ps) in enumerate(
            zip(step.ops, timing.ops_ps, predicted, strict=True)
        )
    ]


def phase_name(op: Op) -> str:
    """Return the phase of an op where both gradients are one."""
    facts = FACTS[op.phase]
    return facts.part.value if facts.backward else op.phase.value


def _step_row(timing: Timing, predicted: list[int]) -> Row:
    """Return the whole step; if none ran without op timing, the sum of its ops."""
    whole = timing.step_ps or sum(timing.ops_ps)
    row = {"count": len(predicted), "measured_is": "step" if timing.step_ps else "sum of ops"}
    return row | _times(whole, sum(predicted))


def _grouped(ops: list[Row], key: str) -> list[Row]:
    groups: dict[str, list[Row]] = {}
    for row in ops:
        groups.setdefault(row[key], []).append(row)
    rows = [{key: name} | _summed(rows) for name, rows in groups.items()]
    return sorted(rows, key=lambda row: -row["measured_s"])


def _summed(rows: list[Row]) -> Row:
    measured, predicted = (
        round(sum(row[key] for row in rows) * PS_PER_S) for key in ("measured_s", "predicted_s")
    )
    return {"count": len(rows)} | _times(measured, predicted)


def _times(measured_ps: int, predicted_ps: int) -> Row:
    error = predicted_ps / measured_ps - 1 if measured_ps else None
    measured_s, predicted_s = measured_ps / PS_PER_S, predicted_ps / PS_PER_S
    return {"measured_s": measured_s, "predicted_s": predicted_s, "error": error}
