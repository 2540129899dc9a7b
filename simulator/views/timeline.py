"""One step as a Chrome trace: what every unit did and waited for, bandwidth, power and memory.

The format is the Trace Event Format (D. Sinclair, N. Duca, Google, 2016), which ui.perfetto.dev,
speedscope and chrome://tracing open. They read whole nanoseconds, so every moment is rounded once:
where one slice ends, the next begins, and parts end within the whole.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from simulator.files.writing import write_text
from simulator.results.step_documents import StepDocument
from simulator.views.timeline_counters import levels
from simulator.views.timeline_slices import Slice, Track, offloads, tracks

_PS_PER_NS = 1000
_NS_PER_US = 1000


class Event(TypedDict):
    """An event of the format: `ph` is its kind, `ts` in microseconds, `pid` the machine."""

    ph: str
    name: str
    pid: int
    tid: int
    ts: float
    args: NotRequired[Mapping[str, object]]
    cat: NotRequired[str]
    id: NotRequired[int]
    bp: NotRequired[str]
    s: NotRequired[str]


class ChromeTrace(TypedDict):
    """A file of the format."""

    displayTimeUnit: str
    otherData: dict[str, str]
    traceEvents: list[Event]


def chrome_trace(step: StepDocument, baseline: StepDocument | None = None) -> ChromeTrace:
    """Return the content of step.json as a Chrome trace, ready for `json.dumps`.

    Each unit has a track, and further ones where its tasks overlap: the step, in it its phases,
    layers, ops and tasks, each a pair of events, and what the unit waits for. Arrows lead from a
    launch to the work of the unit and on to what the CPU does with the result. Counters give the
    DRAM bandwidth of each master, the power and the memory that lives. A `baseline` is a second
    process.
    """
    machines = [step, *([baseline] if baseline else [])]
    events = [event for pid, each in enumerate(machines, 1) for event in _machine(each, pid)]
    return {
        "displayTimeUnit": "ns",
        "otherData": {"hardware": step["hardware"], "trace": step["trace"]},
        "traceEvents": events,
    }


def write_timeline(step: StepDocument, path: Path, baseline: StepDocument | None = None) -> None:
    """Write a Chrome trace of `step` to `path` in one piece. Raises InputError if it cannot."""
    write_text(path, json.dumps(chrome_trace(step, baseline), ensure_ascii=False) + "\n")


def _machine(step: StepDocument, pid: int) -> Iterator[Event]:
    rows = tracks(step)
    arrows = _arrows(step)
    yield from _names(step, rows, pid)
    for tid, row in enumerate(rows, 1):
        yield from _slice(row.step, arrows, pid, tid)
    yield from _counters(step, pid)


def _names(step: StepDocument, rows: Iterable[Track], pid: int) -> Iterator[Event]:
    title = f"{step['hardware']}: one step of {step['trace']}"
    title += "" if pid == 1 else " (baseline)"
    yield _metadata("process_name", pid, 0, {"name": title})
    yield _metadata("process_sort_index", pid, 0, {"sort_index": pid})
    for tid, row in enumerate(rows, 1):
        yield _metadata("thread_name", pid, tid, {"name": row.name})
        yield _metadata("thread_sort_index", pid, tid, {"sort_index": tid})


def _metadata(name: str, pid: int, tid: int, args: Mapping[str, object]) -> Event:
    return {"ph": "M", "name": name, "pid": pid, "tid": tid, "ts": 0.0, "args": args}


_Arrow = tuple[str, int]
"""The kind of an end of an arrow, and the number of the arrow."""


def _arrows(step: StepDocument) -> dict[int, list[_Arrow]]:
    """Return the ends of arrows by task; what is shorter than a nanosecond has none."""
    lasting = [t for t in step["tasks"] if _ns(t["end_ps"]) > _ns(t["start_ps"])]
    ends: dict[int, list[_Arrow]] = {}
    for number, (launch, *works, last) in enumerate(offloads(lasting), 1):
        for task, kind in [(launch, "s"), *((work, "t") for work in works), (last, "f")]:
            ends.setdefault(task, []).append((kind, number))
    return ends


def _slice(each: Slice, arrows: Mapping[int, list[_Arrow]], pid: int, tid: int) -> Iterator[Event]:
    """Yield the events of a slice and its parts. What ends when it begins is no slice to viewers: a
    task becomes an instant, all else is left out.

    The end has the arguments: speedscope makes those of a beginning part of its name, and takes a
    beginning that equals the end before it for a slice without duration.
    """
    start, end = _ns(each.start_ps), _ns(each.end_ps)
    if start == end:
        if each.task is not None:
            yield {**_event("i", each, start, pid, tid), "args": each.args, "s": "t"}
        for part in each.parts:
            yield from _slice(part, arrows, pid, tid)
        return
    yield _event("B", each, start, pid, tid)
    for kind, number in arrows.get(each.task, ()) if each.task is not None else ():
        yield _arrow_end(kind, number, start, pid, tid)
    for part in each.parts:
        yield from _slice(part, arrows, pid, tid)
    yield {**_event("E", each, end, pid, tid), "args": each.args}


def _event(kind: str, each: Slice, ns: int, pid: int, tid: int) -> Event:
    return {
        "ph": kind,
        "name": each.name,
        "cat": each.category,
        "pid": pid,
        "tid": tid,
        "ts": ns / _NS_PER_US,
    }


def _arrow_end(kind: str, number: int, ns: int, pid: int, tid: int) -> Event:
    """Return an end of an arrow, which belongs to the slice that has just begun."""
    return {
        "ph": kind,
        "name": "offload",
        "cat": "offload",
        "pid": pid,
        "tid": tid,
        "ts": ns / _NS_PER_US,
        "id": number + (pid << 32),
        "bp": "e",
    }


def _counters(step: StepDocument, pid: int) -> Iterator[Event]:
    """Yield the levels of counters, of those within a nanosecond the last."""
    last = {(each.counter, _ns(each.start_ps)): each for each in levels(step)}
    for (counter, ns), level in last.items():
        ts = ns / _NS_PER_US
        yield {"ph": "C", "name": counter, "pid": pid, "tid": 0, "ts": ts, "args": level.values}


def _ns(ps: int) -> int:
    """Return a moment in whole nanoseconds, rounded half up: never out of order."""
    return (ps + _PS_PER_NS // 2) // _PS_PER_NS
