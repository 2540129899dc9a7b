"""A run over seconds to hours: temperature of the die, the clock that it allows, and power."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simulator.results.documents import HeatDocument
from simulator.si import percent, scale, si
from simulator.views.heat import epochs_text
from simulator.views.plots.canvas import INK, MACHINES, Results, canvas, legend, short

_DASHES = ("-", "--", ":", "-.")
_HZ_PER_GHZ = 10**9
_MINUTE_S, _HOUR_S = 60, 3600
_LABELS = ("die (degC)", "CPU clock (GHz)", "board power (W)")


def heat(results: Results) -> Figure | None:
    """Draw temperature, clock and power over time, a line per machine that describes its cooling.

    None where no result has heat.
    """
    heats = {label: each["heat"] for label, each in results.items() if "heat" in each}
    if not any(each["timeline"] for each in heats.values()):
        return None
    figure = canvas(_title(*next(iter(heats.items()))), _note(heats), 5.4)
    panels = figure.subplots(3, 1, sharex=True)
    longest_s = max(each["time_s"] for each in heats.values())
    unit_s, unit = _time_unit(longest_s)
    handles = []
    for place, (label, each) in enumerate(heats.items()):
        look = MACHINES[place % len(MACHINES)], _DASHES[place % len(_DASHES)]
        _draw(panels, each, unit_s, look)
        name = f"{short(label)}\n{epochs_text(each['epochs'])} epochs, {si(each['energy_j'], 'J')}"
        handles.append(Line2D([], [], label=name, color=look[0], ls=look[1]))
    for axes, label in zip(panels, _LABELS, strict=True):
        axes.set_ylabel(label)
        axes.grid(visible=True)
    for axes in panels[1:]:
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    panels[-1].set_xlim(0, longest_s / unit_s)
    panels[-1].set_xlabel(f"time ({unit})")
    figure.align_ylabels(panels)
    legend(figure, list(handles), "a run on")
    return figure


def _draw(panels: Sequence[Axes], each: HeatDocument, unit_s: float, look: tuple[str, str]) -> None:
    seconds, degrees, clocks, watts = zip(*each["timeline"], strict=True)
    x = [second / unit_s for second in seconds]
    ghz = [clock / _HZ_PER_GHZ for clock in clocks]
    panels[0].plot(x, degrees, lw=1.4, color=look[0], ls=look[1])
    for axes, values in zip(panels[1:], (ghz, watts), strict=True):
        axes.plot(x, values, lw=1.2, color=look[0], ls=look[1], drawstyle="steps-post")
    steady = each["steady_temperature_degc"]
    if steady is not None and steady > max(degrees):
        panels[0].axhline(steady, lw=0.9, color=INK, ls=":")
        panels[0].annotate(
            f"unthrottled, {steady:.1f} degC", (0.99, steady), color=INK, fontsize=7.5,
            xycoords=panels[0].get_yaxis_transform(), ha="right", va="bottom",
            xytext=(0, 1.5), textcoords="offset points",
        )  # fmt: skip
        panels[0].margins(y=0.14)


def _title(label: str, each: HeatDocument) -> str:
    hot = f"{short(label)} peaks at {each['peak_temperature_degc']:.1f} degC"
    if not each["throttled_s"]:
        return f"{hot} and keeps its clock"
    return f"{hot} and throttles for {percent(each['throttled_s'], each['time_s'])} of the time"


def _note(heats: dict[str, HeatDocument]) -> str:
    short_runs = [short(label) for label, each in heats.items() if not each["complete"]]
    early = f" Ended early: {', '.join(short_runs)}." if short_runs else ""
    return f"Average steps at constant power between two looks of the governor.{early}"


def _time_unit(seconds: float) -> tuple[float, str]:
    """Return how many seconds a unit of the time axis has, and its symbol."""
    if seconds >= 3 * _HOUR_S:
        return _HOUR_S, "h"
    if seconds >= 5 * _MINUTE_S:
        return _MINUTE_S, "min"
    factor, prefix = scale(seconds)
    return factor, f"{prefix}s"
