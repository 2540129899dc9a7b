"""The tables of a scenario: what each program, device and link did, took and cost."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from simulator.si import percent, si, times
from simulator.units import AJ_PER_J
from simulator.views.sheet import TOTAL, Heading, Sheet, SheetCell

Row = dict[str, Any]
_MOST = 12  # devices of a kind that have rows of their own

_PROGRAMS = (
    Heading("program", "program"),
    Heading("on", "on", 3),
    Heading("jobs", "jobs"),
    Heading("rate", "jobs_per_s", 2),
    Heading("latency p50", "latency_p50_s", 1),
    Heading("p95", "latency_p95_s"),
    Heading("p99", "latency_p99_s", 4),
    Heading("late", "late", 2),
    Heading("dropped", "dropped", 4),
    Heading("slowed", "slowdown", 1),
    Heading("energy / job", "energy_per_job_j", 1),
    Heading("energy", "energy_j"),
    Heading("weights", "weights_bytes", 4),
    Heading("memory", "memory_bytes", 3),
)
_DEVICES = (
    Heading("device", "device"),
    Heading("jobs", "jobs", 1),
    Heading("busy", "busy_s", 2),
    Heading("of it", "utilization"),
    Heading("energy", "energy_j"),
    Heading("jobs'", "dynamic_j", 1),
    Heading("static", "static_j", 1),
    Heading("links", "links_j", 1),
    Heading("memory", "memory_bytes", 2),
)
_LINKS = (
    Heading("link", "link"),
    Heading("messages", "messages"),
    Heading("bytes", "bytes"),
    Heading("on the wire", "wire_bytes", 3),
    Heading("repeats", "repeats", 4),
    Heading("busiest port", "utilization"),
    Heading("latency p50", "latency_p50_s", 1),
    Heading("p95", "latency_p95_s"),
    Heading("wait", "wait_mean_s", 2),
    Heading("energy", "energy_j"),
)
_ROUNDS = (
    Heading("rounds", "rounds"),
    Heading("count", "count"),
    Heading("mean", "duration_s"),
    Heading("longest", "longest_s"),
    Heading("fewest answers", "answers"),
)


def scenario_report(document: Row, width: int) -> Group:
    """Return the tables that answer a scenario, the document of `ScenarioResult.as_dict`, in as
    many columns as fit `width`.
    """
    duration = document["total"]["duration_s"]
    sheets = [
        Sheet(_PROGRAMS, [_program(row) for row in document["programs"]]),
        Sheet(_DEVICES, list(_devices(document["devices"], duration))),
    ]
    if document["links"]:
        sheets.append(Sheet(_LINKS, [_link(row) for row in document["links"]]))
    if document["rounds"]:
        sheets.append(Sheet(_ROUNDS, list(_rounds(document["rounds"]))))
    note = Text(
        "Latency counts from the arrival of what led to a job. Energy of a program has its share "
        "of the static power while it runs; that of a device all of it, and its ends of links.",
        style="dim",
    )
    return Group(Text(headline(document)), *(sheet.fitted(width) for sheet in sheets), note)


def headline(document: Row) -> str:
    """Say in one sentence how many frames a scenario took, how late they were, and their energy."""
    total, (first, *_) = document["total"], document["sources"]
    return (
        f"{document['scenario']}: {first['frames']} frames at {first['source']} in "
        f"{si(total['duration_s'], 's')}, {_rate(first['frames_per_s'])} ({total['busiest']}, "
        f"the busiest, allows {_rate(first['bound_per_s'])}), 95 % of them done within "
        f"{si(first['latency_p95_s'], 's')}; {si(total['energy_j'], 'J')} in all, "
        f"{si(total['average_power_w'], 'W')} on average"
    )


def _program(row: Row) -> list[SheetCell]:
    late = None if row["misses"] is None else row["misses"] / max(1, row["jobs"])
    return [
        _name(row["program"]),
        _name(row["on"]),
        SheetCell(str(row["jobs"]), row["jobs"]),
        SheetCell(_rate(row["jobs_per_s"]), row["jobs_per_s"]),
        *(_amount(row[f"latency_p{n}_s"], "s") for n in (50, 95, 99)),
        SheetCell("-" if late is None else percent(late, 1), late),
        SheetCell(str(row["dropped"] or "-"), row["dropped"]),
        SheetCell(times(row["slowdown"]), row["slowdown"]),
        _amount(row["energy_per_job_j"], "J"),
        _amount(row["energy_j"], "J"),
        _amount(row["weights_bytes"], "B"),
        _amount(row["memory_bytes"], "B"),
    ]


def _devices(rows: Sequence[Row], duration_s: float) -> Iterable[list[SheetCell]]:
    """Yield a row for each device, many of a kind together, and one for all."""
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        kinds.setdefault(row["kind"], []).append(row)
    for name, group in kinds.items():
        if len(group) > _MOST:
            yield _device(f"{name} (all {len(group)})", group, duration_s)
        else:
            yield from (_device(row["device"], [row], duration_s) for row in group)
    yield _device(TOTAL, rows, duration_s)


def _device(name: str, rows: Sequence[Row], duration_s: float) -> list[SheetCell]:
    busy, jobs, memory = _sum(rows, "busy_s"), _sum(rows, "jobs"), max(map(_memory, rows))
    use = busy / (duration_s * len(rows)) if duration_s else 0.0
    parts = (_sum(rows, key) / AJ_PER_J for key in ("dynamic_aj", "static_aj", "links_aj"))
    return [
        _name(name),
        SheetCell(str(jobs), jobs),
        _amount(busy, "s"),
        SheetCell(percent(use, 1), use),
        _amount(_sum(rows, "energy_j"), "J"),
        *(_amount(part, "J") for part in parts),
        _amount(memory, "B"),
    ]


def _link(row: Row) -> list[SheetCell]:
    return [
        _name(row["link"]),
        SheetCell(str(row["messages"]), row["messages"]),
        _amount(row["bytes"], "B"),
        _amount(row["wire_bytes"], "B"),
        SheetCell(str(row["repeats"] or "-"), row["repeats"]),
        SheetCell(percent(row["utilization"], 1), row["utilization"]),
        _amount(row["latency_p50_s"], "s"),
        _amount(row["latency_p95_s"], "s"),
        _amount(row["wait_mean_s"], "s"),
        _amount(row["energy_j"], "J"),
    ]


def _rounds(rows: Sequence[Row]) -> Iterable[list[SheetCell]]:
    for name in dict.fromkeys(row["rounds"] for row in rows):
        mine = [row for row in rows if row["rounds"] == name]
        answers = min(row["answers"] for row in mine)
        yield [
            _name(name),
            SheetCell(str(len(mine)), len(mine)),
            _amount(_sum(mine, "duration_s") / len(mine), "s"),
            _amount(max(row["duration_s"] for row in mine), "s"),
            SheetCell(str(answers), answers),
        ]


def _name(text: str) -> SheetCell:
    return SheetCell(text, text)


def _amount(value: float, unit: str) -> SheetCell:
    return SheetCell(si(value, unit), value)


def _rate(per_s: float) -> str:
    """Return how often something happens: "30 /s", below that "1 per 2.9 s"."""
    return si(per_s, "/s") if per_s >= 1 or not per_s else f"1 per {si(1 / per_s, 's')}"


def _sum(rows: Iterable[Row], key: str) -> Any:
    return sum(row[key] for row in rows)


def _memory(row: Row) -> int:
    size: int = row["memory_bytes"]
    return size
