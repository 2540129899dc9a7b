"""Figures of a scenario: what ran and passed when, how late programs were, where energy went."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from matplotlib.figure import Figure

from simulator.scenario.record import JobRow, PlayDocument
from simulator.si import percent, scale, si
from simulator.units import AJ_PER_J, PS_PER_S, ceil_div
from simulator.views.plots.canvas import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SILVER,
    VERMILLION,
    YELLOW,
    canvas,
    legend,
    short,
    swatches,
)

_LANES = 16  # devices and links that a figure has room for
_FRAMES = 12  # frames of the busiest source that fill the width
_PROGRAMS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, YELLOW)

Row = dict[str, Any]


def lanes(play: PlayDocument, _result: Row) -> Figure | None:
    """Draw what each device runs and each link carries, over a window in the middle."""
    names = list(dict.fromkeys(job["program"] for job in play["jobs"]))
    if not names:
        return None
    start, end = _window(play["jobs"])
    colours = dict(zip(names, _PROGRAMS, strict=False))
    bars = _bars(play, start, end)
    rows = dict(islice(bars.items(), _LANES))
    duration = (end - start) / PS_PER_S
    factor, prefix = scale(duration)
    figure = canvas(
        _lanes_title(play, rows, start, end), _lanes_note(len(bars)), 1.4 + 0.34 * len(rows)
    )
    axes = figure.subplots()
    for place, spans in enumerate(rows.values()):
        for name, begin, stop in spans:
            low, high = max(begin, start), min(stop, end)
            left = (low - start) / PS_PER_S / factor
            width = max((high - low) / PS_PER_S / factor, duration / factor / 400)
            axes.barh(
                place, width, left=left, height=0.66, color=colours.get(name, SILVER), linewidth=0
            )
    axes.set_yticks(range(len(rows)), [short(name) for name in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, duration / factor)
    axes.set_xlabel(f"time from {si(start / PS_PER_S, 's')} on ({prefix}s)")
    axes.grid(axis="x")
    shown = {name: colours.get(name, SILVER) for name in names}
    more = {"message": SILVER} if play["messages"] else {}
    legend(figure, swatches(shown | more, [*shown, *more]), "program")
    return figure


def latencies(play: PlayDocument, result: Row) -> Figure | None:
    """Draw which share of the jobs of each program has ended how long after its frame came."""
    came: dict[int, int] = {}
    for job in play["jobs"]:
        came[job["frame"]] = min(job["ready_ps"], came.get(job["frame"], job["ready_ps"]))
    times: dict[str, list[float]] = {}
    for job in play["jobs"]:
        late = (job["end_ps"] - came[job["frame"]]) / PS_PER_S
        times.setdefault(job["program"], []).append(late)
    if not times:
        return None
    factor, prefix = scale(max(map(max, times.values())))
    figure = canvas(_latency_title(result), "Nearest-rank; dashed lines are deadlines.")
    axes = figure.subplots()
    colours = dict(zip(times, _PROGRAMS, strict=False))
    for name, values in times.items():
        ordered = [0.0, *(value / factor for value in sorted(values))]
        shares = [100 * n / len(values) for n in range(len(ordered))]
        axes.step(ordered, shares, where="post", color=colours.get(name, SILVER), label=name)
    for row in result["programs"]:
        if row["deadline_s"] and row["program"] in times:
            colour = colours.get(row["program"], SILVER)
            axes.axvline(row["deadline_s"] / factor, color=colour, linestyle="--", linewidth=1)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    axes.set_xlabel(f"latency since the frame came ({prefix}s)")
    axes.set_ylabel("jobs that have ended (%)")
    axes.grid()
    legend(figure, swatches(colours, times), "program")
    return figure


def energies(_play: PlayDocument, result: Row) -> Figure | None:
    """Draw the energy of each device: of its jobs, static, and at its ends of links."""
    kinds: dict[str, list[Row]] = {}
    for row in result["devices"]:
        kinds.setdefault(row["kind"], []).append(row)
    many = len(result["devices"]) > _LANES
    groups = kinds if many else {row["device"]: [row] for row in result["devices"]}
    parts = {"jobs": "dynamic_aj", "static": "static_aj", "links": "links_aj"}
    colours = {"jobs": BLUE, "static": SILVER, "links": ORANGE}
    sums = {
        label: [sum(row[key] for row in rows) / AJ_PER_J for rows in groups.values()]
        for label, key in parts.items()
    }
    most = max(map(sum, zip(*sums.values(), strict=True)))
    if not most:
        return None
    factor, prefix = scale(most)
    figure = canvas(_energy_title(result), _energy_note(many), 1.5 + 0.36 * len(groups))
    axes = figure.subplots()
    left = [0.0] * len(groups)
    for label, values in sums.items():
        widths = [value / factor for value in values]
        axes.barh(range(len(groups)), widths, left=left, color=colours[label], height=0.66)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, total in enumerate(left):
        axes.text(total, place, f" {si(total * factor, 'J')}", va="center", color=INK, fontsize=8)
    axes.set_yticks(range(len(groups)), [short(name, 18) for name in groups])
    axes.set_xlim(0, 1.12 * max(left))
    axes.invert_yaxis()
    axes.set_xlabel(f"energy ({prefix}J)")
    axes.grid(axis="x")
    legend(figure, swatches(colours, colours), "spent by")
    return figure


def _window(jobs: Sequence[JobRow]) -> tuple[int, int]:
    """Return a stretch in the middle, of some frames of the program that has most."""
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job["program"]] = counts.get(job["program"], 0) + 1
    first, last = min(job["ready_ps"] for job in jobs), max(job["end_ps"] for job in jobs)
    share = max(1, ceil_div(max(counts.values()), _FRAMES))
    width = max(1, (last - first) // share)
    start = first + (last - first - width) // 2
    return start, start + width


def _bars(play: PlayDocument, start: int, end: int) -> dict[str, list[tuple[str, int, int]]]:
    """Return what each program on each device does in a window, then each link."""
    pairs = sorted({(job["device"], job["program"]) for job in play["jobs"]})
    many = {device for device, _ in pairs if sum(device == each for each, _ in pairs) > 1}
    lane = {(d, p): f"{d}: {p}" if d in many else d for d, p in pairs}
    bars: dict[str, list[tuple[str, int, int]]] = {name: [] for name in lane.values()}
    for job in play["jobs"]:
        if job["start_ps"] < end and job["end_ps"] > start:
            name = lane[job["device"], job["program"]]
            bars[name].append((job["program"], job["start_ps"], job["end_ps"]))
    for link in dict.fromkeys(each["link"] for each in play["messages"]):
        bars[f"link {link}"] = [
            ("message", each["start_ps"], each["start_ps"] + each["occupied_ps"])
            for each in play["messages"]
            if each["link"] == link
            and each["start_ps"] < end
            and each["start_ps"] + each["occupied_ps"] > start
        ]
    return bars


def _lanes_title(
    play: PlayDocument, rows: dict[str, list[tuple[str, int, int]]], start: int, end: int
) -> str:
    busy = {name: _covered(spans, start, end) for name, spans in rows.items()}
    name = max(busy, key=lambda each: busy[each])
    return (
        f"{play['scenario']}: {name} is busy for {percent(busy[name], end - start, 0)} of "
        f"{si((end - start) / PS_PER_S, 's')}"
    )


def _covered(spans: Sequence[tuple[str, int, int]], start: int, end: int) -> int:
    covered = reached = 0
    for _, begin, stop in sorted(spans, key=lambda span: span[1:]):
        low, high = max(begin, start, reached), min(stop, end)
        if high > low:
            covered += high - low
            reached = high
    return covered


def _lanes_note(count: int) -> str:
    rest = f" {count - _LANES} further devices and links are left out." if count > _LANES else ""
    return f"A stretch in the middle of the scenario. Grey: messages on links.{rest}"


def _latency_title(result: Row) -> str:
    row = max(result["programs"], key=lambda each: each["latency_p95_s"])
    late = sum(each["misses"] or 0 for each in result["programs"])
    watched = any(each["misses"] is not None for each in result["programs"])
    misses = f"; {late} jobs miss their deadline" if watched else ""
    return f"95 % of {row['program']} end within {si(row['latency_p95_s'], 's')}{misses}"


def _energy_title(result: Row) -> str:
    total = result["total"]
    static = sum(row["static_aj"] for row in result["devices"])
    return (
        f"{si(total['energy_j'], 'J')} in all, {si(total['energy_per_frame_j'], 'J')} per frame; "
        f"{percent(static, total['energy_aj'], 0)} is static"
    )


def _energy_note(many: bool) -> str:
    return "Equal devices together." if many else "Chips with their DRAM; no boards around them."
