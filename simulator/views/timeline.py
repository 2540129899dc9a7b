"""One step as a Chrome trace: a track per unit, the memory's bandwidth and the power beside them.

The format is the Trace Event Format, which ui.perfetto.dev and chrome://tracing open. Its times
are microseconds; a picosecond is their sixth decimal, so nothing is rounded.
"""

import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NotRequired, TypedDict

from simulator.files.writing import write_text
from simulator.results.step_documents import FlowRow, StepDocument, TaskRow
from simulator.stages import NAMED_BY_OP
from simulator.units import PS_PER_S


class Event(TypedDict):
    """An event of the format: `ph` is its kind, `ts` and `dur` are in microseconds."""

    ph: str
    name: str
    pid: int
    tid: int
    ts: float
    args: Mapping[str, object]
    cat: NotRequired[str]
    dur: NotRequired[float]


class ChromeTrace(TypedDict):
    """A file of the format."""

    displayTimeUnit: str
    otherData: dict[str, str]
    traceEvents: list[Event]


_PID = 1
_PS_PER_US = 10**6
_NAMES = {"cpu": "CPU", "accelerator": "Accelerator"}


def chrome_trace(step: StepDocument) -> ChromeTrace:
    """Return the content of step.json as a Chrome trace, ready for `json.dumps`.

    Every task is a complete event on the track of its unit; tasks of one unit that overlap go to
    tracks of their own, because viewers nest or drop overlapping slices of one track. Counters
    give the DRAM bandwidth of each master in GB/s and the power in W.
    """
    tracks = _tracks(step["tasks"])
    events = [*_names(step, tracks), *_slices(tracks), *_bandwidth(step), *_power(step)]
    return {
        "displayTimeUnit": "ns",
        "otherData": {"hardware": step["hardware"], "trace": step["trace"]},
        "traceEvents": events,
    }


def write_timeline(step: StepDocument, path: Path) -> None:
    """Write `chrome_trace(step)` to `path` in one piece. Raises InputError if it cannot."""
    write_text(path, json.dumps(chrome_trace(step), ensure_ascii=False) + "\n")


def _tracks(tasks: Iterable[TaskRow]) -> dict[str, list[TaskRow]]:
    """Return the tasks of each track in order of time, no two of which overlap."""
    slots: dict[tuple[str, int], list[TaskRow]] = {}
    for task in sorted(tasks, key=lambda task: (task["start_ps"], task["end_ps"], task["index"])):
        slot = 1
        while (lane := slots.get((task["unit"], slot))) and lane[-1]["end_ps"] > task["start_ps"]:
            slot += 1
        slots.setdefault((task["unit"], slot), []).append(task)
    return {_track(*key): slots[key] for key in sorted(slots, key=lambda key: (_rank(key[0]), key))}


def _rank(unit: str) -> int:
    return list(_NAMES).index(unit) if unit in _NAMES else len(_NAMES)


def _track(unit: str, slot: int) -> str:
    name = _NAMES.get(unit, unit)
    return name if slot == 1 else f"{name} {slot}"


def _names(step: StepDocument, tracks: Iterable[str]) -> Iterable[Event]:
    title = f"{step['hardware']}: one step of {step['trace']}"
    yield _metadata("process_name", 0, {"name": title})
    for tid, name in enumerate(tracks, 1):
        yield _metadata("thread_name", tid, {"name": name})
        yield _metadata("thread_sort_index", tid, {"sort_index": tid})


def _metadata(name: str, tid: int, args: Mapping[str, object]) -> Event:
    return {"ph": "M", "name": name, "pid": _PID, "tid": tid, "ts": 0.0, "args": args}


def _slices(tracks: dict[str, list[TaskRow]]) -> Iterable[Event]:
    for tid, tasks in enumerate(tracks.values(), 1):
        for task in tasks:
            yield _slice(task, tid)


def _slice(task: TaskRow, tid: int) -> Event:
    stage, op = task["stage"], task["op"]
    batch, m, n, k = task["mnk"]
    return {
        "ph": "X",
        "name": op if stage in NAMED_BY_OP else f"{stage} ({op})",
        "cat": task["phase"],
        "pid": _PID,
        "tid": tid,
        "ts": task["start_ps"] / _PS_PER_US,
        "dur": (task["end_ps"] - task["start_ps"]) / _PS_PER_US,
        "args": {
            "layer": task["layer"],
            "phase": task["phase"],
            "stage": stage,
            "op": op,
            "batch": batch,
            "M": m,
            "N": n,
            "K": k,
            "MACs": task["macs"],
            "DRAM bytes": task["dram_bytes"],
            "dynamic energy (nJ)": task["dynamic_aj"] / 10**9,
            "task": task["index"],
        },
    }


def _bandwidth(step: StepDocument) -> Iterable[Event]:
    """Yield the rate of every master whenever one changes.

    Rates are summed as fractions, so that they are exactly 0 once nothing flows.
    """
    changes = _changes(step["flows"])
    rates = dict.fromkeys(
        sorted({flow["unit"] for flow in step["flows"]}, reverse=True), Fraction()
    )
    for moment in sorted(changes):
        for unit, change in changes[moment]:
            rates[unit] += change
        values = {f"{_NAMES.get(unit, unit)} (GB/s)": float(rate) for unit, rate in rates.items()}
        yield _counter("DRAM bandwidth", moment, values)


def _changes(flows: Iterable[FlowRow]) -> dict[int, list[tuple[str, Fraction]]]:
    changes: dict[int, list[tuple[str, Fraction]]] = {}
    for flow in flows:
        start, end = flow["start_ps"], flow["end_ps"]
        if end <= start or not flow["bytes"]:
            continue
        rate = Fraction(flow["bytes"] * (PS_PER_S // 10**9), end - start)
        changes.setdefault(start, []).append((flow["unit"], rate))
        changes.setdefault(end, []).append((flow["unit"], -rate))
    return changes


def _power(step: StepDocument) -> Iterable[Event]:
    for level in step["power"]:
        yield _counter("Power", level["start_ps"], {"total (W)": level["power_uw"] / 10**6})


def _counter(name: str, moment_ps: int, values: dict[str, float]) -> Event:
    ts = moment_ps / _PS_PER_US
    return {"ph": "C", "name": name, "pid": _PID, "tid": 0, "ts": ts, "args": values}
