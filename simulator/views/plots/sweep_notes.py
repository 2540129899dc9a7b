"""Words and axes that the figures of a sweep share: what was swept, lists, ticks that fit."""

from collections.abc import Sequence
from math import log2
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis as Drawn
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from simulator.si import scale
from simulator.views.design_space import Measure, SweepTable
from simulator.views.plots.canvas import (
    short,
)
from simulator.views.reasons import shortfalls

WIDE = 10.0  # values that span more than this ratio are drawn in logarithms
_MARGIN = 0.1  # of what an axis spans, at each end
_DECADES = 200.0  # a larger ratio has ticks at powers of ten alone
_CHARACTER = 0.015  # of the narrowest x axis, generously
_WIDE_RANGE = 8.0  # a larger ratio of a knob's values is drawn in powers of two


def scene(table: SweepTable) -> str:
    """Return what was swept in one sentence, such as "lenet, as traced: 36 points."."""
    words = [
        short(str(next(iter(values))), 40)
        for values in ({row.get(key) for row in table.points} for key in ("trace", "method"))
        if len(values) == 1 and None not in values and "" not in values
    ]
    points = len(table.points)
    count = f"{points} point" if points == 1 else f"{points} points"
    missing = "".join(
        f", {text.replace(' ', ' of which ', 1)}" for text in shortfalls(table.reasons)
    )
    return f"{', '.join(words) or 'Sweep'}: {count}{missing}."


def enumeration(words: Sequence[str]) -> str:
    """Return words as "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def thinned(values: Sequence[Any], most: int) -> list[int]:
    """Return at most `most` positions, evenly spread over `values`, both ends among them."""
    count, last = min(most, len(values)), len(values) - 1
    return sorted({round(i * last / max(1, count - 1)) for i in range(count)})


_MARKED = 40  # points of a line that are all marked


def mark_spacing(points: int) -> float | None:
    """Return matplotlib's `markevery` for a line of so many points: marks that do not touch."""
    return None if points <= _MARKED else 0.04


def number_axis(axes: Axes, values: Sequence[float], texts: Sequence[str], label: str) -> None:
    """Mark ascending `values` by their `texts` on x, as many as fit, in powers of two if far."""
    low, high = values[0], values[-1]
    wide = low > 0 and high / low >= _WIDE_RANGE
    if wide:
        axes.set_xscale("log", base=2)
    places = [log2(value) for value in values] if wide else list(values)
    ticks = _spaced(places, _CHARACTER * (1 + max(map(len, texts))))
    axes.set_xticks([values[i] for i in ticks], [texts[i] for i in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(label)


def _spaced(places: Sequence[float], gap: float) -> list[int]:
    """Return positions in ascending `places` that are this share of their span apart.

    The first and the last are among them.
    """
    least = gap * (places[-1] - places[0])
    selection = [0]
    for i in range(1, len(places) - 1):
        if places[i] - places[selection[-1]] >= least <= places[-1] - places[i]:
            selection.append(i)
    return sorted({*selection, len(places) - 1})


def span_axis(
    axes: Axes, which: str, measure: Measure, values: Sequence[float], label: str
) -> None:
    """Let the axis `which`, "x" or "y", span `values` with room for labels at both ends."""
    low, high = min(values), max(values)
    axis = axes.xaxis if which == "x" else axes.yaxis
    if low > 0 and high / low > WIDE:
        room = (high / low) ** _MARGIN
        axes.set(**{f"{which}scale": "log", f"{which}lim": (low / room, high * room)})
    else:
        room = _MARGIN * ((high - low) or high or 1.0)
        axes.set(**{f"{which}lim": (low - room, high + room)})
    measure_axis(axis, measure, values, label)


def measure_axis(axis: Drawn, measure: Measure, values: Sequence[float], label: str) -> None:
    """Number an axis that shows `values`, and name it `label` with the unit that fits them."""
    low, high = min(values), max(values)
    if low > 0 and high / low > WIDE:
        steps = (1.0, 2.0, 5.0) if high / low < _DECADES else (1.0,)
        axis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(6))
    factor, prefix = scale(high, measure.unit)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / factor:.6g}"))
    unit = f" ({prefix}{measure.unit})" if measure.unit else ""
    axis.set_label_text(f"{label}{unit}")
