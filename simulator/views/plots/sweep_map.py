"""A design space as a map: the best energy and latency for every pair of values of two knobs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from simulator.si import digits, scale
from simulator.views.design_space import (
    COLS,
    ENERGY,
    LATENCY,
    ROWS,
    KnobAxis,
    Measure,
    PointRow,
    SweepTable,
    best_by,
    named,
)
from simulator.views.plots.canvas import (
    BLACK,
    GREY,
    PAPER,
    VERMILLION,
    canvas,
    only,
)
from simulator.views.plots.sweep_notes import WIDE, enumeration, measure_axis, scene, thinned

_MAP = "cividis"  # even in lightness, and the same to all colour vision
_PANEL_POINTS = (180.0, 190.0)  # width and height of a panel, about
_CELL_TYPE = 6.5  # points
_TICKS = 12

Place = tuple[Any, Any]


def heat_map(table: SweepTable) -> Figure | None:
    """Draw the best energy and latency of each cell; None with fewer than two knobs or no point.

    Cells that cannot run are hatched, cells without a point stay empty.
    """
    pair = _pair(table.axes)
    if pair is None or not table.feasible:
        return None
    y, x = pair
    best = [_best(table, y, x, measure) for measure in (ENERGY, LATENCY)]
    figure = canvas(_title(table, pair), _note(table, pair))
    for axes, cells, measure in zip(
        figure.subplots(1, 2, sharey=True), best, (ENERGY, LATENCY), strict=True
    ):
        _panel(axes, table, pair, cells, measure)
        axes.set_xlabel(x.label)
    figure.axes[0].set_ylabel(y.label)
    return figure


def _pair(axes: Sequence[KnobAxis]) -> tuple[KnobAxis, KnobAxis] | None:
    """Return the vertical and the horizontal axis: rows and columns, else those of most values."""
    by_knobs = {axis.knobs: axis for axis in axes}
    if (ROWS,) in by_knobs and (COLS,) in by_knobs:
        return by_knobs[(ROWS,)], by_knobs[(COLS,)]
    first = sorted(axes, key=lambda axis: (not axis.numeric, -len(axis.values)))[:2]
    return (first[1], first[0]) if len(first) == 2 else None


def _best(table: SweepTable, y: KnobAxis, x: KnobAxis, measure: Measure) -> dict[Place, PointRow]:
    return best_by(table.feasible, lambda row: (y.of(row), x.of(row)), measure)


def _panel(
    axes: Axes,
    table: SweepTable,
    pair: tuple[KnobAxis, KnobAxis],
    cells: Mapping[Place, PointRow],
    measure: Measure,
) -> None:
    y, x = pair
    values = {place: measure.of(row) or 0.0 for place, row in cells.items()}
    factor, prefix = scale(max(values.values(), default=1.0), measure.unit)
    grid = np.full((len(y.values), len(x.values)), np.nan)
    for place, value in values.items():
        grid[_at(pair, place)] = value
    image = axes.imshow(
        np.ma.masked_invalid(grid), cmap=_MAP, norm=_norm(grid), aspect="auto", origin="lower",
        interpolation="nearest",
    )  # fmt: skip
    _hatch(axes, table, pair, cells)
    _write(axes, grid, image, factor)
    _outline(axes, _at(pair, min(values, key=lambda place: values[place])))
    _ticks(axes, pair)
    unit = f"{prefix}{measure.unit}"
    axes.set_title(f"{measure.label(table.points)} ({unit})")
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    measure_axis(bar.ax.yaxis, measure, list(values.values()), "")
    bar.ax.set_ylabel("")
    only(axes)


def _at(pair: tuple[KnobAxis, KnobAxis], place: Place) -> tuple[int, int]:
    return pair[0].values.index(place[0]), pair[1].values.index(place[1])


def _norm(grid: "np.ndarray[Any, Any]") -> Normalize:
    low, high = float(np.nanmin(grid)), float(np.nanmax(grid))
    return LogNorm(low, high) if low > 0 and high / low > WIDE else Normalize(low, high)


def _hatch(
    axes: Axes, table: SweepTable, pair: tuple[KnobAxis, KnobAxis], cells: Mapping[Place, PointRow]
) -> None:
    tried = {(pair[0].of(row), pair[1].of(row)) for row in table.points}
    for place in sorted(tried - cells.keys(), key=lambda place: _at(pair, place)):
        row, column = _at(pair, place)
        axes.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5), 1, 1, facecolor=PAPER, edgecolor=GREY, hatch="///", lw=0
            )
        )


def _write(axes: Axes, grid: "np.ndarray[Any, Any]", image: AxesImage, factor: float) -> None:
    """Write its value into each cell, if all of them have room for it."""
    texts = {
        place: digits(float(value) / factor)
        for place, value in np.ndenumerate(grid)
        if not np.isnan(value)
    }
    longest = max(map(len, texts.values()))
    wide, high = (_PANEL_POINTS[0] / grid.shape[1], _PANEL_POINTS[1] / grid.shape[0])
    if wide < 0.62 * _CELL_TYPE * longest or high < 1.3 * _CELL_TYPE:
        return
    for (row, column), text in texts.items():
        light = sum(image.cmap(image.norm(grid[row, column]))[:3]) / 3 > 0.5
        axes.text(
            column, row, text, ha="center", va="center", fontsize=_CELL_TYPE,
            color=BLACK if light else "white",
        )  # fmt: skip


def _outline(axes: Axes, place: tuple[int, int]) -> None:
    row, column = place
    axes.add_patch(
        Rectangle(
            (column - 0.5, row - 0.5),
            1,
            1,
            fill=False,
            edgecolor=VERMILLION,
            lw=2,
            zorder=3,
            clip_on=False,
        )
    )


def _ticks(axes: Axes, pair: tuple[KnobAxis, KnobAxis]) -> None:
    y, x = pair
    across, up = thinned(x.values, _TICKS), thinned(y.values, _TICKS)
    labels = [x.text(x.values[i]) for i in across]
    turned = sum(map(len, labels)) > 30 or len(labels) < len(x.values)  # then some are neighbours
    axes.set_xticks(across, labels, rotation=90 if turned else 0)
    axes.set_yticks(up, [y.text(y.values[i]) for i in up])
    axes.tick_params(length=0)


def _title(table: SweepTable, pair: tuple[KnobAxis, KnobAxis]) -> str:
    least = min(table.feasible, key=lambda row: ENERGY.of(row) or 0.0)
    fastest = min(table.feasible, key=lambda row: LATENCY.of(row) or 0.0)
    name, other = named(least, pair), named(fastest, pair)
    energy = f"{name} takes the least {ENERGY.label(table.points)}, {ENERGY.text(least)}"
    if name == other:
        return f"{energy}, and the least time, {LATENCY.text(fastest)}"
    return f"{energy}; {other} the least time, {LATENCY.text(fastest)}"


def _note(table: SweepTable, pair: tuple[KnobAxis, KnobAxis]) -> str:
    others = [axis.label for axis in table.axes if axis not in pair]
    best = (
        f" Each cell is the best over {enumeration(others)}, for each panel its own."
        if others
        else ""
    )
    tried = {(pair[0].of(row), pair[1].of(row)) for row in table.points}
    runs = {(pair[0].of(row), pair[1].of(row)) for row in table.feasible}
    hatched = " Hatched: cannot run." if tried - runs else ""
    places = len(pair[0].values) * len(pair[1].values)
    empty = " Empty: not among the points." if len(tried) < places else ""
    return f"{scene(table)}{best} Framed: the best.{hatched}{empty}"
