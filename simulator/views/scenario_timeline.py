"""A scenario as a Chrome trace: a process per device, a track per program; a process per link, a
track per sender.

Slices are pairs of begin and end at whole nanoseconds, so that viewers nest and drop none.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from simulator.files.writing import write_text
from simulator.scenario.record import JobRow, MessageRow, PlayDocument

_PS_PER_NS = 1000


class _TrackSlice(NamedTuple):
    process: str
    track: str
    name: str
    start_ps: int
    end_ps: int
    args: dict[str, object]


def scenario_trace(document: PlayDocument) -> dict[str, Any]:
    """Return what happened in a scenario as a Chrome trace, ready for `json.dumps`.

    Jobs of a program that overlap on one device go to tracks of their own.
    """
    slices = [*map(_of_job, document["jobs"]), *map(_of_message, document["messages"])]
    tracks = _tracks(slices)
    pids = {name: n for n, name in enumerate(dict.fromkeys(p for p, _ in tracks), 1)}
    events: list[dict[str, Any]] = [
        _metadata("process_name", pid, 0, name) for name, pid in pids.items()
    ]
    for tid, ((process, track), lane) in enumerate(tracks.items(), 1):
        events.append(_metadata("thread_name", pids[process], tid, track))
        for each in lane:
            events += _pair(each, pids[process], tid)
    return {
        "displayTimeUnit": "ms",
        "otherData": {"scenario": document["scenario"]},
        "traceEvents": events,
    }


def write_scenario_timeline(document: PlayDocument, path: Path) -> None:
    """Write `scenario_trace(document)` to `path` in one piece."""
    write_text(path, json.dumps(scenario_trace(document), ensure_ascii=False) + "\n")


def _of_job(row: JobRow) -> _TrackSlice:
    waited_us = (row["start_ps"] - row["ready_ps"]) / 10**6
    args: dict[str, object] = {"frame": row["frame"], "waited (us)": waited_us}
    name = row["program"]
    return _TrackSlice(row["device"], name, name, row["start_ps"], row["end_ps"], args)


def _of_message(row: MessageRow) -> _TrackSlice:
    args: dict[str, object] = {
        "bytes": row["bytes"],
        "to": row["receiver"],
        "waited (us)": (row["start_ps"] - row["ready_ps"]) / 10**6,
        "arrives (us)": row["end_ps"] / 10**6,
    }
    end_ps = row["start_ps"] + row["occupied_ps"]
    name = f"{row['bytes']} B to {row['receiver']}"
    return _TrackSlice(
        f"link {row['link']}", f"from {row['sender']}", name, row["start_ps"], end_ps, args
    )


def _tracks(slices: Iterable[_TrackSlice]) -> dict[tuple[str, str], list[_TrackSlice]]:
    """Return the slices of each track in order of time, no two of which overlap."""
    lanes: dict[tuple[str, str, int], list[_TrackSlice]] = {}
    for each in sorted(slices, key=lambda each: (each.start_ps, each.end_ps)):
        slot = 1
        while (lane := lanes.get((each.process, each.track, slot))) and (
            lane[-1].end_ps > each.start_ps
        ):
            slot += 1
        lanes.setdefault((each.process, each.track, slot), []).append(each)
    return {
        (process, track if slot == 1 else f"{track} {slot}"): lanes[process, track, slot]
        for process, track, slot in sorted(lanes)
    }


def _pair(each: _TrackSlice, pid: int, tid: int) -> Iterator[dict[str, Any]]:
    common = {"pid": pid, "tid": tid, "name": each.name}
    yield {"ph": "B", "ts": _us(each.start_ps), "args": each.args, **common}
    yield {"ph": "E", "ts": _us(each.end_ps), **common}


def _us(moment_ps: int) -> float:
    return moment_ps // _PS_PER_NS / 1000


def _metadata(kind: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0, "args": {"name": name}}
