"""One step of a run as columns: its tasks, what limits them, and lanes of memory and power."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from simulator.activity import Task
from simulator.results.causes import cause_parts
from simulator.results.record import Record
from simulator.results.step_documents import StepDocument, TaskRow
from simulator.stages import NAMED_BY_OP
from simulator.timing.shares import WHOLE
from simulator.units import PS_PER_S
from simulator.views.page.columns import levels, names, thinned
from simulator.views.page.documents import (
    CauseRow,
    LevelColumns,
    MemoryTime,
    PageTasks,
    RoofRow,
    StepSection,
)
from simulator.views.page.limits import MERGED_WITHIN, MOST_LEVELS, MOST_TASKS
from simulator.views.page.memory_lanes import memory_lanes

_SCRATCHPAD = ("scratchpad_read_bytes", "scratchpad_write_bytes")


class PageTask(NamedTuple):
    """A task, or several short ones of a unit and phase, as a page shows it."""

    row: TaskRow
    op: str
    cause: str
    tasks: int


def step_section(
    step: StepDocument,
    record: Record,
    hardware: Mapping[str, Any],
    most: int = MOST_TASKS,
) -> StepSection:
    """Return a step as a page draws it.

    `record` has its tasks with what they take alone; `hardware` is the content of hardware.json.
    """
    parts = list(map(_parts, record.tasks, step["tasks"]))
    shown = _merged(list(map(_page_task, step["tasks"], parts)), step["duration_ps"], most)
    section: StepSection = {
        "duration": step["duration_ps"],
        "total_tasks": len(step["tasks"]),
        "tasks": _columns(shown),
        "causes": _causes(step["tasks"], parts),
        "bandwidth": _bandwidth(step),
        "power": _power(step),
        "roofs": _roofs(step, hardware),
        "dram": _memory_time(step, record),
    }
    memory = memory_lanes(step)
    return section | {"memory": memory} if memory else section


def record_of(step: StepDocument, records: Iterable[Record]) -> Record | None:
    """Return the record whose tasks are those of `step`, as close in duration as any; or None."""
    kinds = [(row["unit"], row["stage"], row["layer"], row["phase"]) for row in step["tasks"]]
    same = [each for each in records if _kinds(each) == kinds]
    return min(same, key=lambda each: abs(_duration(each) - step["duration_ps"]), default=None)


def _kinds(record: Record) -> list[tuple[str, str, str, str]]:
    return [(t.work.unit, t.work.stage.value, t.layer, t.phase.value) for t in record.tasks]


def _duration(record: Record) -> int:
    return max((span.end_ps for span in record.ran.spans), default=0)


def _parts(task: Task, row: TaskRow) -> dict[str, int]:
    """Return what the time of a task goes to by cause; nothing off the critical path."""
    parts: Counter[str] = Counter()
    for name, time_ps in cause_parts(task.work, row["end_ps"] - row["start_ps"]):
        parts[name] += time_ps
    return dict(parts)


def _page_task(row: TaskRow, parts: Mapping[str, int]) -> PageTask:
    op = row["op"] if row["stage"] in NAMED_BY_OP else f"{row['stage']} ({row['op']})"
    return PageTask(row, op, max(parts, key=lambda name: parts[name]), 1)


def _merged(tasks: list[PageTask], duration_ps: int, most: int) -> list[PageTask]:
    """Return the longest `most` tasks, and the others as blocks of near neighbours."""
    if len(tasks) <= most:
        return tasks
    lengths = sorted((_length(task) for task in tasks), reverse=True)
    least = lengths[most]
    long = [task for task in tasks if _length(task) > least]
    short = [task for task in tasks if _length(task) <= least]
    short.sort(key=lambda task: (task.row["unit"], task.row["phase"], task.row["start_ps"]))
    gap = duration_ps // MERGED_WITHIN
    blocks = [
        _block(list(group))
        for _, near in groupby(short, key=lambda task: (task.row["unit"], task.row["phase"]))
        for _, group in groupby(_numbered(near, gap), key=lambda pair: pair[0])
    ]
    return sorted([*long, *blocks], key=lambda task: task.row["start_ps"])


def _numbered(tasks: Iterable[PageTask], gap: int) -> Iterable[tuple[int, PageTask]]:
    """Yield each task with the number of its block, which ends where a gap can be seen."""
    number, end = 0, 0
    for task in tasks:
        if task.row["start_ps"] - end > gap:
            number += 1
        end = max(end, task.row["end_ps"])
        yield number, task


def _block(pairs: list[tuple[int, PageTask]]) -> PageTask:
    tasks = [task for _, task in pairs]
    rows = [task.row for task in tasks]
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row["counts"])
    whole: TaskRow = {
        **rows[0],
        "layer": rows[0]["layer"] if len({row["layer"] for row in rows}) == 1 else "",
        "start_ps": min(row["start_ps"] for row in rows),
        "end_ps": max(row["end_ps"] for row in rows),
        "attributed_ps": sum(row["attributed_ps"] for row in rows),
        "macs": sum(row["macs"] for row in rows),
        "dram_bytes": sum(row["dram_bytes"] for row in rows),
        "dynamic_aj": sum(row["dynamic_aj"] for row in rows),
        "counts": dict(counts),
        "mnk": [0, 0, 0, 0] if len(rows) > 1 else rows[0]["mnk"],
    }
    op = tasks[0].op if len(tasks) == 1 else f"{len(tasks)} short tasks"
    causes = Counter(task.cause for task in tasks)
    return PageTask(whole, op, causes.most_common(1)[0][0], sum(task.tasks for task in tasks))


def _length(task: PageTask) -> int:
    return int(task.row["end_ps"] - task.row["start_ps"])


def _columns(tasks: Sequence[PageTask]) -> PageTasks:
    rows = [task.row for task in tasks]
    return {
        "unit": names(row["unit"] for row in rows),
        "stage": names(row["stage"] for row in rows),
        "op": names(task.op for task in tasks),
        "layer": names(row["layer"] for row in rows),
        "phase": names(row["phase"] for row in rows),
        "cause": names(task.cause for task in tasks),
        "tasks": [task.tasks for task in tasks],
        "start": [row["start_ps"] for row in rows],
        "end": [row["end_ps"] for row in rows],
        "charged": [row["attributed_ps"] for row in rows],
        "macs": [row["macs"] for row in rows],
        "dram_bytes": [row["dram_bytes"] for row in rows],
        "scratchpad_bytes": [sum(row["counts"].get(k, 0) for k in _SCRATCHPAD) for row in rows],
        "energy": [row["dynamic_aj"] for row in rows],
        "shape": [row["mnk"] for row in rows],
    }


def _causes(rows: Iterable[TaskRow], parts: Iterable[Mapping[str, int]]) -> list[CauseRow]:
    """Return the critical path by cause, the most first; the sum is the duration of the step."""
    sums: Counter[str] = Counter()
    for row, each in zip(rows, parts, strict=True):
        if row["attributed_ps"]:
            sums.update(each)
    return [{"name": name, "ps": ps} for name, ps in sums.most_common() if ps]


def _bandwidth(step: StepDocument) -> dict[str, LevelColumns]:
    """Return the rate of every master in bytes per second, over time."""
    changes: dict[str, dict[int, float]] = {}
    for flow in step["flows"]:
        start, end = flow["start_ps"], flow["end_ps"]
        if end > start and flow["bytes"]:
            rate = round(flow["bytes"] * PS_PER_S / (end - start))
            own = changes.setdefault(flow["unit"], {})
            own[start] = own.get(start, 0.0) + rate
            own[end] = own.get(end, 0.0) - rate
    return {unit: levels(own, MOST_LEVELS, step["duration_ps"]) for unit, own in changes.items()}


def _power(step: StepDocument) -> LevelColumns:
    rows: LevelColumns = {
        "at": [level["start_ps"] for level in step["power"]],
        "value": [level["power_uw"] / 10**6 for level in step["power"]],
    }
    return thinned(rows, MOST_LEVELS, step["duration_ps"])


def _roofs(step: StepDocument, hardware: Mapping[str, Any]) -> list[RoofRow]:
    """Return the rates that bound a step: MAC/s of CPU and array, B/s of DRAM and scratchpad.

    The scratchpad feeds the array at two of its edges, where each row and each column takes an
    operand per cycle at most: (rows + cols) x bytes x clock.
    """
    machine = step["machine"]
    roofs: list[RoofRow] = [
        {"name": "CPU, fp32", "unit": "MAC/s", "per_s": machine["cpu_fp32_macs_per_s"]},
        {"name": "DRAM", "unit": "B/s", "per_s": machine["dram_bytes_per_s"]},
    ]
    if machine["array_macs_per_s"]:
        name = f"array, {machine['array_precision']}"
        roofs.append({"name": name, "unit": "MAC/s", "per_s": machine["array_macs_per_s"]})
        edges = _edges(hardware.get("accelerator") or {})
        roofs += [{"name": "scratchpad", "unit": "B/s", "per_s": edges}] if edges else []
    return [roof for roof in roofs if roof["per_s"]]


def _edges(array: Mapping[str, Any]) -> float:
    """Return the bytes per second that the edges of an array can take, 0 where it does not say."""
    try:
        bits = int("".join(filter(str.isdigit, str(array["precision"]).partition("_")[0])))
        lanes = (array["rows"] + array["cols"]) * array["dot_width"] * array["arrays"]
        return float(lanes * bits / 8 * array["clock_hz"])
    except (KeyError, ValueError, TypeError):
        return 0.0


def _memory_time(step: StepDocument, record: Record) -> MemoryTime:
    """Return where the channel of the DRAM spends the step."""
    spans, works = record.ran.spans, [task.work for task in record.tasks]
    traffic = sum(row["dram_bytes"] for row in step["tasks"])
    moving = traffic * PS_PER_S // step["machine"]["dram_bytes_per_s"]
    busy = max(moving, sum(work.progress.channel_ps for work in works))
    alone = sum(work.progress.duration_ps(WHOLE) for work in works)
    took = sum(span.end_ps - span.start_ps for span in spans)
    return {
        "moving": moving,
        "lost": busy - moving,
        "idle": max(0, step["duration_ps"] - busy),
        "waited": max(0, took - alone),
    }
