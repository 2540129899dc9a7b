"""A measure over two settings as a map, with a line where it has a given value."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from simulator.si import digits
from simulator.views.plots.canvas import INK, VERMILLION, canvas
from simulator.views.plots.sweep_notes import thinned

_MAP = "cividis"  # even in lightness, and the same to all colour vision
_SHADES = 24
_TICKS = 6


class LevelMap(NamedTuple):
    """Values of a measure over two settings: rows by `y`, columns by `x`, a panel for each case.

    `level` is where the line is drawn. The horizontal axis is logarithmic.
    """

    title: str
    note: str
    x_label: str
    y_label: str
    value_label: str
    x: Sequence[float]
    y: Sequence[float]
    panels: Mapping[str, Sequence[Sequence[float]]]
    level: float


def level_map(shown: LevelMap) -> Figure:
    """Draw a map for each case, all in the same shades, with the line of the level in each."""
    figure = canvas(shown.title, shown.note)
    values = [value for panel in shown.panels.values() for each in panel for value in each]
    norm = Normalize(min(values), max(values))
    panels = figure.subplots(1, len(shown.panels), sharey=True, squeeze=False)[0]
    for axes, (name, rows) in zip(panels, shown.panels.items(), strict=True):
        _panel(axes, shown, np.array(rows), norm)
        axes.set_title(name)
        axes.set_xlabel(shown.x_label)
    panels[0].set_ylabel(shown.y_label)
    bar = figure.colorbar(ScalarMappable(norm, _MAP), ax=list(panels), pad=0.02, aspect=30)
    bar.set_label(shown.value_label, color=INK)
    bar.ax.axhline(shown.level, color=VERMILLION, lw=1.5)
    return figure


def _panel(
    axes: Axes, shown: LevelMap, grid: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
    norm: Normalize,
) -> None:  # fmt: skip
    steps = np.linspace(float(norm.vmin or 0), float(norm.vmax or 1), _SHADES)
    axes.contourf(shown.x, shown.y, grid, steps, cmap=_MAP, norm=norm)
    axes.set_xscale("log")
    ticks = [shown.x[place] for place in thinned(shown.x, _TICKS)]
    axes.set_xticks(ticks, [digits(each) for each in ticks])
    axes.minorticks_off()
    if grid.min() < shown.level < grid.max():
        line = axes.contour(
            shown.x, shown.y, grid, [shown.level], colors=VERMILLION, linewidths=1.8
        )
        axes.clabel(line, fmt=lambda value: f"{digits(value)}x", fontsize=7.5)
