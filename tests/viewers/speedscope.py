"""How speedscope 1.25 reads a Chrome trace: its importer (src/import/trace-event.ts), once more.

Events of a thread wait in two queues, of beginnings and of ends. At one moment ends go first,
unless name and arguments of both are the same: that is taken for a slice without duration. Of ends
at one moment that which fits the top of the stack goes first. One whose name does not is dropped.
Left out: it counts times from the first event of a thread, and closes at last what never ended.
"""

import json
from typing import Any, NamedTuple

_Event = dict[str, Any]


class Frame(NamedTuple):
    """A frame as speedscope shows it: the names around it, and its own, from when to when."""

    stack: tuple[str, ...]
    start: float
    end: float


class Reading(NamedTuple):
    """What speedscope makes of a thread: frames in order of their ends, and what it warns of."""

    frames: list[Frame]
    warnings: list[str]


def read(trace: dict[str, Any]) -> dict[tuple[int, int], Reading]:
    """Return what speedscope makes of each thread of a trace."""
    threads: dict[tuple[int, int], list[_Event]] = {}
    for event in trace["traceEvents"]:
        if event["ph"] in ("B", "E", "X"):
            threads.setdefault((event["pid"], event["tid"]), []).append(event)
    return {key: _thread(events) for key, events in threads.items()}


def _thread(events: list[_Event]) -> Reading:
    begins, ends = _queues(events)
    stack: list[_Event] = []
    reading = Reading([], [])
    while begins or ends:
        if _next_begins(begins, ends):
            stack.append(begins.pop(0))
            continue
        if stack:
            _put_first(ends, stack[-1])
        end = ends.pop(0)
        if not stack or stack[-1]["name"] != end["name"]:
            reading.warnings.append(f"{end['name']} ends at {end['ts']} on {stack[-1:]}")
            continue
        names = tuple(map(_key, stack))
        reading.frames.append(Frame(names, stack.pop()["ts"], end["ts"]))
    reading.warnings.extend(f"{each['name']} never ends" for each in stack)
    return reading


def _queues(events: list[_Event]) -> tuple[list[_Event], list[_Event]]:
    whole = sorted(
        (each for each in events if each["ph"] == "X"), key=lambda e: (e["ts"], -e["dur"])
    )
    begins = [each for each in events if each["ph"] == "B"] + whole
    ends = [each for each in events if each["ph"] == "E"]
    ends += [{**each, "ts": each["ts"] + each["dur"]} for each in whole]
    return sorted(begins, key=lambda e: e["ts"]), sorted(ends, key=lambda e: e["ts"])


def _next_begins(begins: list[_Event], ends: list[_Event]) -> bool:
    if not begins or not ends:
        return bool(begins)
    begin, end = begins[0], ends[0]
    if begin["ts"] != end["ts"]:
        return bool(begin["ts"] < end["ts"])
    return _key(begin) == _key(end)


def _put_first(ends: list[_Event], top: _Event) -> None:
    """Swap the end that fits the top of the stack with the first of its moment, if there is one."""
    together = [number for number, end in enumerate(ends) if end["ts"] == ends[0]["ts"]]
    for fits in (_key, _name):
        number = next((n for n in together if fits(ends[n]) == fits(top)), None)
        if number is not None:
            ends[0], ends[number] = ends[number], ends[0]
            return


def _name(event: _Event) -> str:
    return str(event["name"])


def _key(event: _Event) -> str:
    arguments = event.get("args")
    return _name(event) + (f" {json.dumps(arguments)}" if arguments is not None else "")
