"""The schema of step.json, one step over time; checked as those in `documents` are."""

from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, Field, with_config
from typing_extensions import TypedDict  # pydantic takes typing's from Python 3.12 on

from simulator.files.json import BY_NEED
from simulator.results.documents import Count


class TimedRow(TypedDict):
    """Something between two moments of a step."""

    start_ps: Count
    end_ps: Count


def _in_order(row: Any) -> Any:
    if row["end_ps"] < row["start_ps"]:
        raise ValueError("ends before it starts")
    return row


class TaskRow(TimedRow):
    """A task of a step: what it was, when it ran, what it moved and cost.

    `counts` are those of its actions, `mnk` its batch, M, N and K; `op_index` tells ops of one name
    apart, by their place in the step. `states_ps`: the time charged to it in which the memory was
    in standby, and in that or power-down.
    """

    index: Count
    op_index: NotRequired[Count]
    unit: str
    stage: str
    op: str
    layer: str
    phase: str
    attributed_ps: Count
    macs: Count
    dram_bytes: Count
    dynamic_aj: Count
    states_ps: NotRequired[Annotated[list[Count], Field(min_length=2, max_length=2)]]
    counts: dict[str, Count]
    mnk: Annotated[list[Count], Field(min_length=4, max_length=4)]


class FlowRow(TimedRow):
    """Bytes that a task moved at a constant rate."""

    unit: str
    task: Count
    bytes: Count


class PowerRow(TypedDict):
    """The power from a moment on."""

    start_ps: Count
    power_uw: Count


class MemoryRow(TypedDict):
    """What lives in memory from a moment on, in bytes by kind of storage."""

    start_ps: Count
    bytes: dict[str, Count]


class MachineDocument(TypedDict):
    """The rates that bound the step."""

    dram_bytes_per_s: Count
    array_macs_per_s: Count
    array_precision: str | None
    cpu_fp32_macs_per_s: Count


@with_config(BY_NEED)
class StepDocument(TypedDict):
    """The content of step.json: one step over time."""

    trace: str
    hardware: str
    duration_ps: Count
    machine: MachineDocument
    tasks: list[Annotated[TaskRow, AfterValidator(_in_order)]]
    flows: list[Annotated[FlowRow, AfterValidator(_in_order)]]
    power: list[PowerRow]
    memory: NotRequired[list[MemoryRow]]


def check_step(step: StepDocument) -> StepDocument:
    """Return a step; raises ValueError where something of it ends after it."""
    ends = [*(row["end_ps"] for row in step["tasks"]), *(row["end_ps"] for row in step["flows"])]
    last = max(ends, default=0)
    if last > step["duration_ps"]:
        raise ValueError(f"a task or flow ends at {last} ps, after the step")
    return step
