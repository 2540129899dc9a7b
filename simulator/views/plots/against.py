"""Predicted against measured time of every operation of one step, both axes logarithmic."""

from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from simulator.comparison import ComparedOp, Comparison
from simulator.si import percent, si
from simulator.views.plots.canvas import (
    BLACK,
    GREY,
    KINDS,
    canvas,
    in_order,
    legend,
)

_BAND = 1.25
_OTHER_MARKS = "^sDvPX<>"  # of kinds without a colour of their own


def against(document: Comparison) -> Figure:
    """Draw a point per op, the diagonal, and a band of 25 % around it."""
    ops = [row for row in document["ops"] if row["measured_s"] and row["predicted_s"]]
    figure = canvas(_title(document), _note(document, len(ops)), 5.0)
    axes = figure.subplots()
    for kind in in_order(KINDS, (row["kind"] for row in ops)):
        chosen = [row for row in ops if row["kind"] == kind]
        x = [row["measured_s"] for row in chosen]
        y = [row["predicted_s"] for row in chosen]
        axes.plot(x, y, ms=4, alpha=0.6, mew=0, **_look(kind, ops))
    _axes(axes, ops)
    legend(figure, _key(ops))
    return figure


def _axes(axes: Axes, ops: list[ComparedOp]) -> None:
    times = [time for row in ops for time in (row["measured_s"], row["predicted_s"])] or [
        1e-6,
        1e-3,
    ]
    low, high = min(times) / 1.5, max(times) * 1.5
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.plot([low, high], [low, high], color=BLACK, linewidth=0.8)
    band = [low / _BAND, high / _BAND], [low * _BAND, high * _BAND]
    axes.fill_between([low, high], *band, color=GREY, alpha=0.2, linewidth=0)
    axes.set(xlabel="measured", ylabel="predicted")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_major_formatter(FuncFormatter(lambda value, _: si(value, "s")))
    axes.grid(visible=True)


def _key(ops: list[ComparedOp]) -> list[Artist]:
    kinds = in_order(KINDS, (row["kind"] for row in ops))
    return [Line2D([], [], label=kind, **_look(kind, ops)) for kind in kinds]


def _look(kind: str, ops: list[ComparedOp]) -> dict[str, Any]:
    """Return how points of a kind are drawn: by colour, or in black by shape."""
    if kind in KINDS:
        return {"ls": "", "marker": "o", "color": KINDS[kind]}
    others = [k for k in in_order(KINDS, (row["kind"] for row in ops)) if k not in KINDS]
    mark = _OTHER_MARKS[others.index(kind) % len(_OTHER_MARKS)]
    return {"ls": "", "marker": mark, "color": BLACK}


def _title(document: Comparison) -> str:
    step = document["step"]
    off = step["predicted_s"] - step["measured_s"]
    side = "longer" if off >= 0 else "shorter"
    far = percent(abs(off), step["measured_s"])
    return (
        f"A step of {document['trace']} is predicted {far} {side} than "
        f"measured: {si(step['predicted_s'], 's')} against {si(step['measured_s'], 's')}"
    )


def _note(document: Comparison, ops: int) -> str:
    return (
        f"{document['hardware']}, {ops} ops; the band is 25 % to either side. Measured times of "
        "views and other small ops hold some microseconds of the recording itself."
    )
