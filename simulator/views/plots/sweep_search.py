"""Figures of a search, whose points are no grid: how it went, which knob matters, all points."""

from collections.abc import Sequence
from itertools import accumulate
from math import log
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from simulator.si import percent
from simulator.views.design_space import (
    ENERGY,
    LATENCY,
    KnobAxis,
    Measure,
    PointRow,
    SweepTable,
    named,
)
from simulator.views.frontier import dominated_shares
from simulator.views.plots.canvas import BLUE, GREEN, INK, SILVER, VERMILLION, canvas, only, short
from simulator.views.plots.sweep_notes import scene, span_axis

_CLASSES = 5  # of the values of a numeric knob, where it took more
_COLOURS = {ENERGY: VERMILLION, LATENCY: BLUE}
_ROW_INCHES = 0.42


def history(table: SweepTable) -> Figure | None:
    """Draw the objectives of each point in the order of the search, and the least so far.

    None without points that have them.
    """
    measures = _measures(table)
    rows = [row for row in table.feasible if all(m.of(row) is not None for m in measures)]
    if not rows:
        return None
    figure = canvas(
        _history_title(rows, measures[0]),
        _history_note(table),
        1.4 + 1.5 * (len(measures) + (len(measures) > 1)),
    )
    panels = figure.subplots(len(measures) + (len(measures) > 1), 1, sharex=True, squeeze=False)
    order = [number for number, row in enumerate(table.points, 1) if row in rows]
    for axes, measure in zip(panels[:, 0], measures, strict=False):
        values = [measure.of(row) or 0.0 for row in rows]
        axes.plot(order, values, "o", color=SILVER, ms=3.5)
        axes.step(order, list(accumulate(values, min)), where="post", color=BLUE, lw=1.5)
        span_axis(axes, "y", measure, values, measure.label(rows))
        axes.set_ylabel(axes.get_ylabel().replace(" per epoch", "\nper epoch"))
        axes.grid(visible=True)
    if len(measures) > 1:
        _dominated_panel(panels[-1, 0], order, rows, measures)
    panels[-1, 0].set_xlabel("points replayed")
    return figure


def _dominated_panel(
    axes: Axes, order: Sequence[int], rows: Sequence[PointRow], measures: Sequence[Measure]
) -> None:
    """Draw the share of the space of objectives that the points so far dominate."""
    values = [[measure.of(row) or 0.0 for measure in measures] for row in rows]
    shares = [100 * each for each in dominated_shares(values)]
    axes.step(order, shares, where="post", color=BLUE, lw=1.5)
    axes.set_ylim(0, 105)
    axes.set_ylabel("dominated share\nof the space (%)")
    axes.grid(visible=True)


def importance(table: SweepTable) -> Figure | None:
    """Draw which share of what each objective varies the value of each knob explains.

    None with fewer than two knobs or three points.
    """
    measures, axes_of = _measures(table), table.axes
    if len(axes_of) < 2 or len(table.feasible) < 3:
        return None
    shares = {m: [explained(table.feasible, axis, m) for axis in axes_of] for m in measures[:2]}
    order = sorted(range(len(axes_of)), key=lambda at: -max(s[at] for s in shares.values()))
    names = [axes_of[at].label for at in order]
    most = percent(shares[measures[0]][order[0]], 1, 0)
    figure = canvas(
        f"{names[0]} decides most: its value explains {most} of what {measures[0].name} varies",
        f"{scene(table)} Share of the variance of the logarithm between the values of one knob "
        f"(numbers in at most {_CLASSES} classes); a search visits good values more often.",
        1.5 + _ROW_INCHES * max(3, len(order)),
    )
    axes = figure.subplots()
    for place, (measure, values) in enumerate(shares.items()):
        offset = 0.38 * (place - 0.5 * (len(shares) - 1))
        heights = [100 * values[at] for at in order]
        spots = [line + offset for line in range(len(order))]
        axes.barh(spots, heights, 0.36, color=_COLOURS.get(measure, GREEN), label=measure.name)
    axes.set_yticks(range(len(order)), [short(name, 30) for name in names])
    axes.tick_params("y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("explained by this knob alone (%)")
    axes.grid(axis="x")
    only(axes, "left", "bottom")
    figure.legend(loc="outside right center")
    return figure


def explained(rows: Sequence[PointRow], axis: KnobAxis, measure: Measure) -> float:
    """Return the share of the variance of log `measure` that lies between the values of a knob.

    That is the correlation ratio eta squared (Fisher, Statistical Methods for Research Workers,
    1925, chapter 8): 0 where the knob tells nothing, 1 where it tells all.
    """
    groups: dict[object, list[float]] = {}
    for row in rows:
        value = measure.of(row)
        if value is not None and value > 0:
            groups.setdefault(_class_of(axis, axis.of(row)), []).append(log(value))
    values = [value for group in groups.values() for value in group]
    mean = fmean(values) if values else 0.0
    total = sum((value - mean) ** 2 for value in values)
    between = sum(len(group) * (fmean(group) - mean) ** 2 for group in groups.values())
    return between / total if total else 0.0


def parallel(table: SweepTable) -> Figure | None:
    """Draw a line for each point across its knobs and objectives; those on the front in colour.

    None with fewer than two knobs.
    """
    measures = _measures(table)
    rows = [row for row in table.feasible if all(m.of(row) is not None for m in measures)]
    if len(table.axes) < 2 or not rows:
        return None
    best = min(rows, key=lambda row: measures[0].of(row) or 0.0)
    figure = canvas(
        f"{short(named(best, table.axes), 60)} has the least {measures[0].label(rows)}, "
        f"{measures[0].text(best)}",
        f"{scene(table)} A line is a point; blue: on the front, red: the least "
        f"{measures[0].name}. Each axis has its least value at the bottom.",
        4.6,
    )
    axes = figure.subplots()
    columns = [_knob_heights(axis, rows) for axis in table.axes]
    columns += [_measure_heights(measure, rows) for measure in measures]
    lines = [list(enumerate(heights)) for heights in zip(*columns, strict=True)]
    front = [bool(row.get("pareto")) for row in rows]
    for chosen, colour, width in ((False, SILVER, 0.5), (True, BLUE, 1.2)):
        part = [line for line, mark in zip(lines, front, strict=True) if mark is chosen]
        axes.add_collection(LineCollection(part, colors=colour, linewidths=width))
    axes.add_collection(LineCollection([lines[rows.index(best)]], colors=VERMILLION, linewidths=2))
    labels = [axis.label for axis in table.axes] + [m.label(rows) for m in measures]
    axes.set_xticks(range(len(columns)), [short(name, 18).replace(" ", "\n", 1) for name in labels])
    axes.set_xlim(-0.15, len(columns) - 0.7)
    axes.set_ylim(-0.08, 1.08)
    axes.set_yticks([])
    only(axes)
    for place in range(len(columns)):
        axes.axvline(place, color=INK, linewidth=0.8)
        for height, text in _marks(table, measures, rows, place):
            axes.annotate(text, (place, height), (3, 2), textcoords="offset points", fontsize=7)
    return figure


def _measures(table: SweepTable) -> list[Measure]:
    return [Measure(key) for key in table.objectives]


def _class_of(axis: KnobAxis, value: object) -> object:
    """Return the value of a knob, or which fifth of its numbers it is among."""
    if not axis.numeric or len(axis.values) <= _CLASSES:
        return value
    return _CLASSES * axis.values.index(value) // len(axis.values)


def _knob_heights(axis: KnobAxis, rows: Sequence[PointRow]) -> list[float]:
    """Return where each point lies on an axis from 0 to 1: by rank among the values."""
    last = max(1, len(axis.values) - 1)
    return [axis.values.index(axis.of(row)) / last for row in rows]


def _measure_heights(measure: Measure, rows: Sequence[PointRow]) -> list[float]:
    """Return where each point lies from the least to the largest value, in logarithms."""
    values = np.log([max(measure.of(row) or 0.0, 1e-30) for row in rows])
    span = float(np.ptp(values)) or 1.0
    return [float(value - values.min()) / span for value in values]


def _marks(
    table: SweepTable, measures: Sequence[Measure], rows: Sequence[PointRow], place: int
) -> list[tuple[float, str]]:
    """Return the texts of an axis: the values of a knob, as many as fit, or both ends."""
    if place < len(table.axes):
        axis = table.axes[place]
        last = max(1, len(axis.values) - 1)
        step = max(1, last // 6)
        return [(at / last, axis.text(axis.values[at])) for at in range(0, len(axis.values), step)]
    measure = measures[place - len(table.axes)]
    ordered = sorted(rows, key=lambda row: measure.of(row) or 0.0)
    return [(0.0, measure.text(ordered[0])), (1.0, measure.text(ordered[-1]))]


def _history_title(rows: Sequence[PointRow], measure: Measure) -> str:
    values = [measure.of(row) or 0.0 for row in rows]
    least = values.index(min(values))
    half = min(range(len(values)), key=lambda at: (values[at] > 1.05 * values[least], at))
    return (
        f"Least {measure.label(rows)} {measure.text(rows[least])} at point {least + 1} of "
        f"{len(rows)}; within 5 % of it from point {half + 1} on"
    )


def _history_note(table: SweepTable) -> str:
    share = ""
    if len(table.objectives) > 1:
        share = " Below: hypervolume of the front so far, in the box that all points span."
    return f"{scene(table)} Dots: points in the order of the search; line: the least so far.{share}"
