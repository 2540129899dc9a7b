"""What each unit did in a step, and waited for, as slices: step, phase, layer, op, task."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from simulator.activity import Stage
from simulator.hardware.unit import HOST
from simulator.results.step_documents import StepDocument, TaskRow
from simulator.stages import NAMED_BY_OP

_NAMES = {HOST: "CPU", "accelerator": "Accelerator"}


class Slice(NamedTuple):
    """Something that lasts from one moment to another, with its parts in order of time.

    `task` is the index of the task that it is, None for what is none.
    """

    name: str
    category: str
    start_ps: int
    end_ps: int
    parts: "Sequence[Slice]" = ()
    args: Mapping[str, object] = {}
    task: int | None = None


class Track(NamedTuple):
    """A row of a timeline: what a unit does, or one of its lanes where tasks of it overlap."""

    name: str
    step: Slice


def tracks(step: StepDocument) -> list[Track]:
    """Return the tracks of a step, the CPU's first; slices of one either nest or do not overlap."""
    awaited = _awaited(step["tasks"])
    return [
        Track(_track_name(unit, lane), _step_slice(step, tasks, awaited))
        for (unit, lane), tasks in sorted(_lanes(step["tasks"]).items(), key=_rank)
    ]


def spoken_unit(unit: str) -> str:
    """Return the name of a unit as a timeline shows it."""
    return _NAMES.get(unit, unit)


def offloads(tasks: Iterable[TaskRow]) -> Iterator[list[int]]:
    """Yield the tasks of each offload: a launch, the work of the unit, and what the host does to
    the result, if anything. Of several offloads of an op, the first results are used first.
    """
    for _, of_op in groupby(sorted(tasks, key=lambda task: task["index"]), key=_op_key):
        chains: list[list[int]] = []
        used = 0
        for task in of_op:
            if task["unit"] != HOST:
                chains[-1:] = [[*chain, task["index"]] for chain in chains[-1:]]
            elif task["stage"] == _LAUNCH:
                chains.append([task["index"]])
            elif task["stage"] != _SYNCHRONISE and used < len(chains) and len(chains[used]) > 1:
                chains[used].append(task["index"])
                used += 1
        yield from (chain for chain in chains if len(chain) > 1)


_LAUNCH, _SYNCHRONISE = Stage.LAUNCH.value, Stage.SYNCHRONISE.value
_Lane = tuple[str, int]
_Awaited = Mapping[int, Sequence[TaskRow]]
"""The tasks that end at a moment, by it."""


def _lanes(tasks: Iterable[TaskRow]) -> dict[_Lane, list[TaskRow]]:
    """Return the tasks of each unit and lane in order of time, no two of which overlap."""
    lanes: dict[_Lane, list[TaskRow]] = {}
    for task in sorted(tasks, key=lambda task: (task["start_ps"], task["end_ps"], task["index"])):
        number = 1
        while (lane := lanes.get((task["unit"], number))) and lane[-1]["end_ps"] > task["start_ps"]:
            number += 1
        lanes.setdefault((task["unit"], number), []).append(task)
    return lanes


def _rank(entry: tuple[_Lane, object]) -> tuple[int, _Lane]:
    unit, _ = lane = entry[0]
    return list(_NAMES).index(unit) if unit in _NAMES else len(_NAMES), lane


def _track_name(unit: str, lane: int) -> str:
    name = spoken_unit(unit)
    return name if lane == 1 else f"{name} {lane}"


def _awaited(tasks: Iterable[TaskRow]) -> _Awaited:
    ending: dict[int, list[TaskRow]] = {}
    for task in tasks:
        ending.setdefault(task["end_ps"], []).append(task)
    return ending


def _step_slice(step: StepDocument, tasks: Sequence[TaskRow], awaited: _Awaited) -> Slice:
    """Return the step as it is for one lane of a unit, from its start to its end."""
    begin, end_ps = Slice("", "", 0, 0), step["duration_ps"]
    parts = [begin, *_nested(tasks, _LEVELS, awaited)]
    parts = _with_waits(parts, tasks[0]["unit"], awaited)[1:]
    if tasks[-1]["end_ps"] < end_ps:
        parts.append(Slice("idle", _WAIT, tasks[-1]["end_ps"], end_ps))
    return Slice(f"step of {step['trace']}", "step", 0, end_ps, parts)


class _Nesting(NamedTuple):
    """What neighbouring tasks have in common: its kind, its key, and its name ("" for none)."""

    kind: str
    key: Callable[[TaskRow], object]
    name: Callable[[Sequence[TaskRow]], str]


def _op_key(task: TaskRow) -> object:
    return task.get("op_index", task["op"])


def _op_group(tasks: Sequence[TaskRow]) -> str:
    """Return the name of an op that is several tasks; one task says all itself."""
    return _op_name(tasks[0]) if len(tasks) > 1 else ""


_LEVELS = (
    _Nesting("phase", lambda task: task["phase"], lambda tasks: tasks[0]["phase"]),
    _Nesting("layer", lambda task: task["layer"], lambda tasks: tasks[0]["layer"]),
    _Nesting("op", _op_key, _op_group),
)


def _nested(
    tasks: Sequence[TaskRow], levels: Sequence[_Nesting], awaited: _Awaited
) -> Iterator[Slice]:
    """Yield the slices of neighbouring tasks, nested by `levels`, waits between them included."""
    if not levels:
        yield from map(_task_slice, tasks)
        return
    level = levels[0]
    for _, group in groupby(tasks, key=level.key):
        rows = list(group)
        parts = _with_waits([*_nested(rows, levels[1:], awaited)], rows[0]["unit"], awaited)
        if name := level.name(rows):
            yield Slice(name, level.kind, rows[0]["start_ps"], rows[-1]["end_ps"], parts)
        else:
            yield from parts


def _with_waits(slices: Sequence[Slice], unit: str, awaited: _Awaited) -> list[Slice]:
    """Return slices in order, with one for each time between two of them."""
    filled = [*slices[:1]]
    for before, after in pairwise(slices):
        if after.start_ps > before.end_ps:
            filled.append(_wait(before.end_ps, after.start_ps, unit, awaited))
        filled.append(after)
    return filled


_WAIT = "wait"


def _wait(start_ps: int, end_ps: int, unit: str, awaited: _Awaited) -> Slice:
    """Return the slice of a wait, which ends when a task of another unit does."""
    others = [task for task in awaited.get(end_ps, ()) if task["unit"] != unit]
    if not others:  # than its own other lanes
        return Slice("waits", _WAIT, start_ps, end_ps)
    task = min(others, key=lambda task: task["index"])
    args = {"waits for task": task["index"], "on": spoken_unit(task["unit"])}
    return Slice(f"waits for {_task_name(task)}", _WAIT, start_ps, end_ps, (), args)


def _op_name(task: TaskRow) -> str:
    """Return an op and its layer, such as "convolution (conv1)"."""
    parts = [re.sub(r"^aten\.|\.[A-Za-z_0-9]+$", "", part) for part in task["op"].split(" + ")]
    return " + ".join(parts) + (f" ({task['layer']})" if task["layer"] else "")


def _task_name(task: TaskRow) -> str:
    name = _op_name(task)
    return name if task["stage"] in NAMED_BY_OP else f"{task['stage']}: {name}"


def _task_slice(task: TaskRow) -> Slice:
    args = _args(task)
    span = task["start_ps"], task["end_ps"]
    return Slice(_task_name(task), task["phase"], *span, (), args, task["index"])


def _args(task: TaskRow) -> dict[str, object]:
    batch, m, n, k = task["mnk"]
    return {
        "layer": task["layer"],
        "phase": task["phase"],
        "stage": task["stage"],
        "op": task["op"],
        "batch": batch,
        "M": m,
        "N": n,
        "K": k,
        "MACs": task["macs"],
        "DRAM bytes": task["dram_bytes"],
        "dynamic energy (nJ)": task["dynamic_aj"] / 10**9,
        "start (ps)": task["start_ps"],
        "duration (ps)": task["end_ps"] - task["start_ps"],
        "task": task["index"],
    }
