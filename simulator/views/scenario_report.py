"""The tables of a scenario: what each program, device and link did, took and cost."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulator.si import percent, si, times
from simulator.views.report import TOTAL, amount_table, style_of

Row = dict[str, Any]
_MOST = 12  # devices of a kind that have rows of their own


def scenario_report(document: Row) -> Group:
    """Return the tables that answer a scenario, the document of `ScenarioResult.as_dict`."""
    parts: list[Any] = [Text(_headline(document)), _programs(document), _devices(document)]
    if document["links"]:
        parts.append(_links(document))
    if document["rounds"]:
        parts.append(_rounds(document["rounds"]))
    parts.append(
        Text(
            "Latency counts from the arrival of what led to a job. Energy of a program has its "
            "share of the static power while it runs; that of a device all of it, and its ends of "
            "links.",
            style="dim",
        )
    )
    return Group(*parts)


def _headline(document: Row) -> str:
    total, (first, *_) = document["total"], document["sources"]
    return (
        f"{document['scenario']}: {first['frames']} frames at {first['source']} in "
        f"{si(total['duration_s'], 's')}, {_rate(first['frames_per_s'])} ({total['busiest']}, "
        f"the busiest, allows {_rate(first['bound_per_s'])}), 95 % of them done within "
        f"{si(first['latency_p95_s'], 's')}; {si(total['energy_j'], 'J')} in all, "
        f"{si(total['average_power_w'], 'W')} on average"
    )


def _programs(document: Row) -> Table:
    table = amount_table(
        "program", "on", "jobs", "rate", "latency p50", "p95", "p99", "late", "dropped",
        "slowed", "energy / job", "energy", "weights", "memory",
    )  # fmt: skip
    for row in document["programs"]:
        late = "-" if row["misses"] is None else percent(row["misses"], row["jobs"])
        table.add_row(
            row["program"],
            row["on"],
            str(row["jobs"]),
            _rate(row["jobs_per_s"]),
            *(si(row[f"latency_p{n}_s"], "s") for n in (50, 95, 99)),
            late,
            str(row["dropped"] or "-"),
            times(row["slowdown"]),
            si(row["energy_per_job_j"], "J"),
            si(row["energy_j"], "J"),
            si(row["weights_bytes"], "B"),
            si(row["memory_bytes"], "B"),
        )
    return table


def _devices(document: Row) -> Table:
    table = amount_table("device", "jobs", "busy", "of it", "energy", "jobs'", "static", "links",
                         "memory")  # fmt: skip
    kinds: dict[str, list[Row]] = {}
    for row in document["devices"]:
        kinds.setdefault(row["kind"], []).append(row)
    for name, rows in kinds.items():
        shown = [(f"{name} (all {len(rows)})", rows)] if len(rows) > _MOST else []
        for label, group in shown or [(row["device"], [row]) for row in rows]:
            table.add_row(label, *_device_cells(group, document["total"]["duration_s"]))
    whole = _device_cells(document["devices"], document["total"]["duration_s"])
    table.add_section()
    table.add_row(TOTAL, *whole, style=style_of(TOTAL))
    return table


def _device_cells(rows: Sequence[Row], duration_s: float) -> list[str]:
    busy = _sum(rows, "busy_s")
    return [
        str(_sum(rows, "jobs")),
        si(busy, "s"),
        percent(busy, duration_s * len(rows)),
        si(_sum(rows, "energy_j"), "J"),
        *(si(_sum(rows, key) / 10**18, "J") for key in ("dynamic_aj", "static_aj", "links_aj")),
        si(max(row["memory_bytes"] for row in rows), "B"),
    ]


def _links(document: Row) -> Table:
    table = amount_table("link", "messages", "bytes", "on the wire", "repeats", "busiest port",
                         "latency p50", "p95", "wait", "energy")  # fmt: skip
    for row in document["links"]:
        table.add_row(
            row["link"],
            str(row["messages"]),
            si(row["bytes"], "B"),
            si(row["wire_bytes"], "B"),
            str(row["repeats"] or "-"),
            percent(row["utilization"], 1),
            si(row["latency_p50_s"], "s"),
            si(row["latency_p95_s"], "s"),
            si(row["wait_mean_s"], "s"),
            si(row["energy_j"], "J"),
        )
    return table


def _rounds(rows: Sequence[Row]) -> Table:
    table = amount_table("rounds", "count", "mean", "longest", "answers, fewest")
    for name in dict.fromkeys(row["rounds"] for row in rows):
        mine = [row for row in rows if row["rounds"] == name]
        table.add_row(
            name,
            str(len(mine)),
            si(_sum(mine, "duration_s") / len(mine), "s"),
            si(max(row["duration_s"] for row in mine), "s"),
            str(min(row["answers"] for row in mine)),
        )
    return table


def _rate(per_s: float) -> str:
    """Return how often something happens: "30 /s", below that "1 per 2.9 s"."""
    return si(per_s, "/s") if per_s >= 1 or not per_s else f"1 per {si(1 / per_s, 's')}"


def _sum(rows: Iterable[Row], key: str) -> Any:
    return sum(row[key] for row in rows)
