"""A scenario as a page shows it: what ran when, who waited, how late programs were, and energy."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simulator.scenario.record import JobRow, MessageRow, PlayDocument, read_play, read_scenario
from simulator.views.page.columns import levels
from simulator.views.page.documents import LaneRow, LevelColumns, ScenarioSection
from simulator.views.page.limits import MOST_LANES, MOST_LEVELS, MOST_MARKS
from simulator.views.scenario_report import headline

_MESSAGE = "message"


def read_scenario_section(directory: Path) -> ScenarioSection:
    """Return the scenario in a folder. Raises InputError where a file is missing or damaged."""
    return scenario_section(read_play(directory), read_scenario(directory))


def scenario_section(play: PlayDocument, result: Mapping[str, Any]) -> ScenarioSection:
    """Return a scenario as a page shows it, from the documents of its folder."""
    lanes = [*_device_lanes(play), *_link_lanes(play)]
    queues = _queues(play)
    return {
        "name": result["scenario"],
        "headline": headline(dict(result)),
        "command": str(result["provenance"].get("command", "")),
        "duration": play["duration_ps"],
        "lanes": lanes[:MOST_LANES],
        "lanes_left_out": max(0, len(lanes) - MOST_LANES),
        "queues": dict([*queues.items()][:MOST_LANES]),
        "total": result["total"],
        "sources": result["sources"],
        "programs": result["programs"],
        "devices": result["devices"],
        "links": result["links"],
        "rounds": result["rounds"],
    }


def _device_lanes(play: PlayDocument) -> Iterable[LaneRow]:
    """Yield a lane for each program of each device: those of one device may overlap."""
    jobs: dict[tuple[str, str], list[JobRow]] = defaultdict(list)
    for job in play["jobs"]:
        jobs[job["device"], job["program"]].append(job)
    programs = Counter(device for device, _ in jobs)
    for (device, program), own in sorted(jobs.items()):
        name = f"{device}: {program}" if programs[device] > 1 else device
        spans = ((job["start_ps"], job["end_ps"]) for job in own)
        yield _lane(name, "device", program, spans, play["duration_ps"])


def _link_lanes(play: PlayDocument) -> Iterable[LaneRow]:
    messages: dict[str, list[MessageRow]] = defaultdict(list)
    for message in play["messages"]:
        messages[message["link"]].append(message)
    for link, own in messages.items():
        spans = ((each["start_ps"], each["start_ps"] + each["occupied_ps"]) for each in own)
        yield _lane(link, "link", _MESSAGE, spans, play["duration_ps"])


def _lane(
    name: str, kind: str, what: str, spans: Iterable[tuple[int, int]], duration_ps: int
) -> LaneRow:
    merged = _merged(spans, duration_ps // MOST_MARKS)
    starts, ends, counts = ([each[place] for each in merged] for place in range(3))
    return {
        "name": name, "kind": kind, "what": what, "start": starts, "end": ends, "count": counts
    }  # fmt: skip


def _merged(spans: Iterable[tuple[int, int]], near_ps: int) -> list[tuple[int, int, int]]:
    """Return start, end and number of spans; those closer than `near_ps` become one."""
    merged: list[tuple[int, int, int]] = []
    for start, end in sorted(spans):
        if merged and start - merged[-1][1] < near_ps:
            first, last, count = merged.pop()
            merged.append((first, max(last, end), count + 1))
        else:
            merged.append((start, end, 1))
    return merged


def _queues(play: PlayDocument) -> dict[str, LevelColumns]:
    """Return how many jobs wait for each device, and messages for each link, over time."""
    changes: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    rows = [(job["device"], job["ready_ps"], job["start_ps"]) for job in play["jobs"]]
    rows += [(f"link {m['link']}", m["ready_ps"], m["start_ps"]) for m in play["messages"]]
    for name, ready, start in rows:
        own = changes[name]
        if start > ready:
            own[ready] += 1
            own[start] -= 1
    end = play["duration_ps"]
    return {name: levels({0: 0.0, **own}, MOST_LEVELS, end) for name, own in changes.items() if own}
