"""One step over time, as a plain document: what ran when, what moved, what power it drew."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from simulator.activity import Action, Counts, DramStates, Span, StepRun
from simulator.energy.prices import Prices
from simulator.errors import InputError
from simulator.files.json import read_document
from simulator.hardware import Hardware
from simulator.results.documents import AGAIN
from simulator.results.memory_levels import memory_levels
from simulator.results.power import PowerLevel, power_levels
from simulator.results.step_documents import (
    FlowRow,
    MachineDocument,
    PowerRow,
    StepDocument,
    TaskRow,
    check_step,
)
from simulator.trace.trace import Step

_STEP = TypeAdapter(Annotated[StepDocument, AfterValidator(check_step)])


def step_document(
    hardware: Hardware,
    prices: Prices,
    run: StepRun,
    states: Sequence[DramStates],
    step: Step,
    name: str,
) -> StepDocument:
    """Return `run` of `step` as plain lists: tasks, memory flows, levels of power and of memory.

    Times are in ps. `states` are those of the memory in the time that is charged to each task.

    Each flow has the bytes that one task moved between two moments at a constant rate.
    """
    dynamic = [prices.dynamic_aj_of(task.work.counts) for task in run.tasks]
    spent = _with_memory(dynamic, states, prices)
    levels = power_levels(run.spans, spent, prices.whole_static_uw)
    return {
        "trace": name,
        "hardware": hardware.name,
        "duration_ps": run.duration_ps,
        "machine": _machine(hardware),
        "tasks": [
            _task(run, index, dynamic[index], states[index], step)
            for index in range(len(run.tasks))
        ],
        "flows": _flows(run),
        "power": list(map(_power, levels)),
        "memory": memory_levels(step, run),
    }


def recost_step(step: StepDocument, prices: Prices) -> StepDocument:
    """Return a step with its energies and its power at other `prices`."""
    tasks, actions = step["tasks"], prices.by_key
    dynamic = [prices.dynamic_aj_of(_counts(task["counts"], actions)) for task in tasks]
    spans = [Span(task["start_ps"], task["end_ps"]) for task in tasks]
    states = [DramStates(*task.get("states_ps", ())) for task in tasks]
    spent = _with_memory(dynamic, states, prices)
    levels = power_levels(spans, spent, prices.whole_static_uw)
    repriced: list[TaskRow] = [
        {**task, "dynamic_aj": energy} for task, energy in zip(tasks, dynamic, strict=True)
    ]
    return {**step, "tasks": repriced, "power": list(map(_power, levels))}


def _with_memory(
    dynamic_aj: Sequence[int], states: Sequence[DramStates], prices: Prices
) -> list[int]:
    """Return what each task spends with the memory that is awake for it."""
    pairs = zip(dynamic_aj, states, strict=True)
    return [energy + prices.states_aj(each) for energy, each in pairs]


def _counts(amounts: Mapping[str, int], actions: Mapping[str, Action]) -> Counts:
    unknown = amounts.keys() - actions.keys()
    if unknown:
        raise InputError(f"step.json: this run prices no action {min(unknown)}: {AGAIN}")
    return Counts({actions[key]: amount for key, amount in amounts.items()})


def read_step(directory: Path) -> StepDocument:
    """Return the step that `run -o` left in `directory`.

    Raises InputError without one, and where a value is none that a step can have.
    """
    path = directory / "step.json"
    try:
        return read_document(_STEP, path, AGAIN)
    except OSError:
        raise InputError(f"{directory}: no step.json here: run `trainsoc run -o` first") from None


def _power(level: PowerLevel) -> PowerRow:
    return {"start_ps": level.start_ps, "power_uw": level.power_uw}


def _machine(hardware: Hardware) -> MachineDocument:
    cpu, array = hardware.cpu, hardware.accelerator
    lanes = cpu.simd * 8 // 32
    return {
        "dram_bytes_per_s": hardware.dram.peak_bytes_per_s,
        "array_macs_per_s": array.peak_macs_per_s if array else 0,
        "array_precision": array.precision if array else None,
        "cpu_fp32_macs_per_s": cpu.cores * cpu.clock * lanes * cpu.simd_pipes,
    }


def _task(run: StepRun, index: int, dynamic_aj: int, states: DramStates, step: Step) -> TaskRow:
    task, span = run.tasks[index], run.spans[index]
    counts = task.work.counts
    return {
        "index": index,
        "unit": task.work.unit,
        "stage": task.work.stage.value,
        "op": step.ops[task.op].name,
        "op_index": task.op,
        "layer": task.layer,
        "phase": task.phase.value,
        "start_ps": span.start_ps,
        "end_ps": span.end_ps,
        "attributed_ps": run.attributed_ps[index],
        "macs": counts.macs,
        "dram_bytes": counts.dram_bytes,
        "dynamic_aj": dynamic_aj,
        "states_ps": [*states],
        "counts": {action.key: amount for action, amount in counts.items()},
        "mnk": [task.work.batch, task.work.m, task.work.n, task.work.k],
    }


def _flows(run: StepRun) -> list[FlowRow]:
    served: dict[int, int] = {}
    rows: list[FlowRow] = []
    for flow in run.flows:
        before = served.get(flow.task, 0)
        after = served[flow.task] = before + flow.channel_ps
        row: FlowRow = {
            "unit": flow.unit,
            "task": flow.task,
            "start_ps": flow.start_ps,
            "end_ps": flow.end_ps,
            "bytes": _bytes_at(run, flow.task, after) - _bytes_at(run, flow.task, before),
        }
        rows.append(row)
    return rows


def _bytes_at(run: StepRun, task: int, served_ps: int) -> int:
    """Return the bytes that `task` has moved after so much of its memory time."""
    work = run.tasks[task].work
    return work.counts.dram_bytes * served_ps // work.progress.channel_ps
