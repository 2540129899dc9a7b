"""A design space as a map: the best energy and latency for every pair of values of two knobs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm, Normalize
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
    short,
)
from simulator.views.plots.map_cells import Pair, Place, beyond, border, letters, reasons
from simulator.views.plots.sweep_notes import enumeration, scene, thinned

_MAP = "cividis"  # even in lightness, and the same to all colour vision
_PANEL_POINTS = (180.0, 190.0)  # width and height of a panel, about
_CELL_TYPE = 6.5  # points
_TICKS = 12
_BANDS = (2, 5, 10, 25, 50, 100, 400)  # percent above the best


def heat_map(table: SweepTable) -> Figure | None:
    """Draw the best energy and latency of each cell; None with fewer than two knobs or no point.

    Colours tell how far a cell lies from the best. Cells that cannot run are hatched, with a letter
    for why; a line parts off those beyond the constraints.
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


def _pair(axes: Sequence[KnobAxis]) -> Pair | None:
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
    pair: Pair,
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
    _hatch(axes, table, pair)
    axes.add_collection(border(beyond(table, pair)))
    _write(axes, grid, image, factor)
    _outline(axes, _at(pair, min(values, key=lambda place: values[place])))
    _ticks(axes, pair)
    unit = f"{prefix}{measure.unit}"
    axes.set_title(f"{measure.label(table.points)} ({unit})")
    _name_bands(axes.figure.colorbar(image, ax=axes, pad=0.02, aspect=30))
    only(axes)


def _at(pair: Pair, place: Place) -> tuple[int, int]:
    return pair[0].values.index(place[0]), pair[1].values.index(place[1])


def _norm(grid: "np.ndarray[Any, Any]") -> Normalize:
    """Return bands of colour by how far a value lies above the best, in percent."""
    low, high = float(np.nanmin(grid)), float(np.nanmax(grid))
    inner = [low * (1 + band / 100) for band in _BANDS]
    inner = [bound for bound in inner if bound < high]
    # The last band ends beyond the largest value, which a bound itself would leave out.
    edges = [low, *inner, high + (high - low) / 100] if low > 0 else [low, high]
    return BoundaryNorm(edges, 256) if len(edges) > 1 and high > low > 0 else Normalize(low, high)


def _name_bands(bar: Colorbar) -> None:
    """Name each band by the percentage that its cells lie within of the best."""
    edges = getattr(bar.norm, "boundaries", None)
    if edges is None:  # one value, or a best that is nothing: there is no percentage of it
        bar.set_ticks([])
        return
    inner = edges[1:-1]
    bar.set_ticks(inner, labels=[f"{band} %" for band in _BANDS[: len(inner)]])
    bar.ax.tick_params(length=0)
    bar.ax.set_ylabel("within … of the best")


def _hatch(axes: Axes, table: SweepTable, pair: Pair) -> None:
    signs = letters(reasons(table, pair))
    for place, sign in sorted(signs.items(), key=lambda item: _at(pair, item[0])):
        row, column = _at(pair, place)
        axes.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5), 1, 1, facecolor=PAPER, edgecolor=GREY, hatch="///", lw=0
            )
        )
        axes.text(
            column, row, sign, ha="center", va="center", fontsize=_CELL_TYPE, fontweight="bold",
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
        )  # fmt: skip


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


def _ticks(axes: Axes, pair: Pair) -> None:
    y, x = pair
    across, up = thinned(x.values, _TICKS), thinned(y.values, _TICKS)
    labels = [x.text(x.values[i]) for i in across]
    turned = sum(map(len, labels)) > 30 or len(labels) < len(x.values)  # then some are neighbours
    axes.set_xticks(across, labels, rotation=90 if turned else 0)
    axes.set_yticks(up, [y.text(y.values[i]) for i in up])
    axes.tick_params(length=0)


def _title(table: SweepTable, pair: Pair) -> str:
    least = min(table.feasible, key=lambda row: ENERGY.of(row) or 0.0)
    fastest = min(table.feasible, key=lambda row: LATENCY.of(row) or 0.0)
    name, other = named(least, pair), named(fastest, pair)
    energy = f"{name} takes the least {ENERGY.label(table.points)}, {ENERGY.text(least)}"
    if name == other:
        return f"{energy}, and the least time, {LATENCY.text(fastest)}"
    return f"{energy}; {other} the least time, {LATENCY.text(fastest)}"


def _note(table: SweepTable, pair: Pair) -> str:
    others = [axis.label for axis in table.axes if axis not in pair]
    best = f" Each cell is the best over {enumeration(others)}, chosen per panel." if others else ""
    tried = {(pair[0].of(row), pair[1].of(row)) for row in table.points}
    places = len(pair[0].values) * len(pair[1].values)
    limits = enumeration(list(table.constraints)) if table.constraints else ""
    if limits and beyond(table, pair):
        absent = f" Beyond the line: not {limits}."
    else:
        absent = " Empty: not among the points." if len(tried) < places else ""
    return f"{scene(table)}{best} Framed: the best.{_why(reasons(table, pair))}{absent}"


def _why(why: Mapping[Place, str]) -> str:
    """Return why hatched cells cannot run, letter by letter."""
    signs = letters(why)
    texts = dict(sorted({signs[place]: text for place, text in reversed([*why.items()])}.items()))
    named = (f"{sign}: {short(text, 110)}" for sign, text in texts.items())
    return f" Hatched: cannot run ({'; '.join(named)})." if texts else ""
