"""The roofline: every operation of one step against what its unit and the shared DRAM allow.

After S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model for
multicore architectures", CACM 52(4), 2009; in MACs instead of FLOPs.
"""

from collections import Counter
from collections.abc import Iterable
from math import atan, degrees, log
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from simulator.results.step_documents import MachineDocument, StepDocument, TaskRow
from simulator.si import scale, share, si
from simulator.units import PS_PER_S
from simulator.views.plots.canvas import (
    BLACK,
    INK,
    PHASES,
    UNITS,
    StepsByLabel,
    canvas,
    colour,
    in_order,
    legend,
    short,
    spoken,
    swatches,
)
from simulator.views.plots.labels import XY, place_labels

_MARKERS = {"cpu": "o", "accelerator": "s"}
_LINES = {"cpu": "-.", "accelerator": "-"}
_NARROWEST = 100  # an operation is drawn at least as wide as this part of the panel
_NAMED, _NAME_LENGTH = 6, 24  # layers that are named beside their markers, and their characters
_SMALLEST, _LARGEST = 9.0, 120.0  # areas of markers, in square points


class _Roof(NamedTuple):
    unit: str
    owner: str
    name: str
    macs_per_s: int


def roofline(steps: StepsByLabel) -> Figure:
    """Draw the first machine's GEMMs under its roofs, and beside them what only moves bytes."""
    label, step = next(iter(steps.items()))
    tasks = [task for task in step["tasks"] if task["end_ps"] > task["start_ps"]]
    products = [task for task in tasks if task["macs"]]
    movers = [task for task in tasks if not task["macs"] and task["dram_bytes"]]
    figure = canvas(_title(label, step, products), _note(step, tasks), 4.6)
    ratios = {"width_ratios": [3, 1]} if movers else {}
    panels = figure.subplots(1, 2 if movers else 1, squeeze=False, gridspec_kw=ratios)[0]
    _products(panels[0], step, products)
    if movers:
        _movers(panels[1], step, movers)
    legend(figure, _key(products, movers))
    figure.draw_without_rendering()
    _name_layers(panels[0], step, products)
    return figure


def _products(axes: Axes, step: StepDocument, tasks: list[TaskRow]) -> None:
    roofs, slope = _roofs(step["machine"]), step["machine"]["dram_bytes_per_s"]
    factor, prefix = _rate_scale(roofs)
    _limits(axes, tasks, roofs, slope, factor)
    right = axes.get_xlim()[1]
    for roof in roofs:
        _roof(axes, roof, slope, right, factor)
    _slope(axes, roofs, slope, factor)
    longest = max(map(_length, tasks), default=1)
    for task, size in _rings(tasks):
        area = max(_SMALLEST, _LARGEST * _length(task) / longest) * size
        axes.scatter(
            *_spot(task, right, factor), area, color=colour(PHASES, task["phase"]),
            marker=_MARKERS.get(task["unit"], "D"), edgecolors="white", linewidths=0.4,
            zorder=3, clip_on=False,
        )  # fmt: skip
    axes.set_xlabel("arithmetic intensity (MAC per byte of DRAM traffic)")
    axes.set_ylabel(f"achieved rate ({prefix}MAC/s)")
    axes.grid()


def _spot(task: TaskRow, right: float, factor: float) -> XY:
    """Return where a GEMM lies: without DRAM traffic at the right edge."""
    x = task["macs"] / task["dram_bytes"] if task["dram_bytes"] else right
    return x, _rate(task) / factor


def _name_layers(axes: Axes, step: StepDocument, tasks: list[TaskRow]) -> None:
    """Write the layers that take longest beside their longest GEMM, on a settled layout."""
    times: Counter[str] = Counter()
    longest: dict[str, TaskRow] = {}
    for task in tasks:
        if task["layer"]:
            times[task["layer"]] += _length(task)
            longest[task["layer"]] = max(longest.get(task["layer"], task), task, key=_length)
    factor = _rate_scale(_roofs(step["machine"]))[0]
    right = axes.get_xlim()[1]
    spots: dict[XY, list[str]] = {}
    for layer, _ in times.most_common(_NAMED):
        spots.setdefault(_spot(longest[layer], right, factor), []).append(layer)
    labels = [(spot, _layer_text(layers)) for spot, layers in spots.items()]
    place_labels(axes, labels, [_spot(task, right, factor) for task in tasks])


def _layer_text(layers: list[str]) -> str:
    """Return the name of a layer, and how many others lie at the same point."""
    others = f" +{len(layers) - 1}" if len(layers) > 1 else ""
    return f"{short(layers[0], _NAME_LENGTH)}{others}"


def _rings(tasks: list[TaskRow]) -> list[tuple[TaskRow, float]]:
    """Return one task per point and phase, and the part of its area to draw; largest first.

    Equal GEMMs of several phases, such as those of a square layer, would hide each other: they
    become concentric rings.
    """
    points: dict[tuple[object, ...], dict[str, TaskRow]] = {}
    for task in sorted(tasks, key=_length, reverse=True):
        place = (task["unit"], task["macs"], task["dram_bytes"], round(50 * log(_rate(task))))
        points.setdefault(place, {}).setdefault(task["phase"], task)
    return [
        (phases[phase], 1 - position / len(phases))
        for phases in points.values()
        for position, phase in enumerate(in_order(PHASES, phases))
    ]


def _movers(axes: Axes, step: StepDocument, tasks: list[TaskRow]) -> None:
    """Draw operations without MACs, as long as they last: all that bounds them is bandwidth."""
    factor, prefix = scale(step["duration_ps"] / PS_PER_S)
    peak = step["machine"]["dram_bytes_per_s"] / 1e9
    rates = [task["dram_bytes"] * 1000 / _length(task) for task in tasks]
    for phase in in_order(PHASES, (task["phase"] for task in tasks)):
        lines = [
            [(end / PS_PER_S / factor, rate) for end in _visible(task, step["duration_ps"])]
            for task, rate in zip(tasks, rates, strict=True)
            if task["phase"] == phase
        ]
        axes.add_collection(LineCollection(lines, linewidths=3, colors=colour(PHASES, phase)))
    top = max(rates)
    if top > peak / 5:  # else the peak is far above what there is to see
        top = peak
        axes.axhline(peak, color=BLACK, linewidth=1.2)
        axes.annotate(
            f"DRAM: {si(peak * 1e9, 'B/s')}", (1, peak), (-2, -3), ("axes fraction", "data"),
            "offset points", ha="right", va="top", fontsize=8,
        )  # fmt: skip
    axes.set(xlim=(0, step["duration_ps"] / PS_PER_S / factor), ylim=(0, 1.08 * top))
    axes.set_title("operations without MACs", fontsize=8, color=INK)
    axes.set_xlabel(f"time in the step ({prefix}s)")
    axes.set_ylabel("achieved DRAM bandwidth (GB/s)")
    axes.grid(axis="y")


def _visible(task: TaskRow, duration_ps: int) -> tuple[float, float]:
    """Return start and end of a task, apart by what can be seen in a narrow panel at least."""
    middle = (task["start_ps"] + task["end_ps"]) / 2
    half = max(_length(task), duration_ps / _NARROWEST) / 2
    return middle - half, middle + half


def _rate_scale(roofs: list[_Roof]) -> tuple[float, str]:
    return scale(max((roof.macs_per_s for roof in roofs), default=1))


def _roofs(machine: MachineDocument) -> list[_Roof]:
    roofs = [_Roof("cpu", "CPU", "CPU fp32", machine["cpu_fp32_macs_per_s"])]
    if machine["array_macs_per_s"]:
        name = f"array {machine['array_precision']}"
        roofs.append(_Roof("accelerator", "array", name, machine["array_macs_per_s"]))
    return [roof for roof in roofs if roof.macs_per_s]


def _limits(
    axes: Axes, tasks: list[TaskRow], roofs: list[_Roof], slope: int, factor: float
) -> None:
    """Show every operation, and every roof from before its ridge, with room for its name."""
    intensities = [task["macs"] / task["dram_bytes"] for task in tasks if task["dram_bytes"]]
    xs = intensities + [roof.macs_per_s / slope for roof in roofs] or [1.0]
    ys = [_rate(task) for task in tasks] + [roof.macs_per_s for roof in roofs] or [1.0]
    axes.set(xscale="log", yscale="log")
    axes.set_xlim(min(xs) / 6, max(xs) * 10)
    axes.set_ylim(min(ys) / 6 / factor, max(ys) * 2.5 / factor)
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1000 else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())


def _roof(axes: Axes, roof: _Roof, slope: int, right: float, factor: float) -> None:
    """Draw the flat part of a roof, from where the DRAM allows it."""
    y, ridge = roof.macs_per_s / factor, roof.macs_per_s / slope
    axes.plot([ridge, right], [y, y], _LINES[roof.unit], color=BLACK, linewidth=1.2)
    axes.annotate(
        f"{roof.name}: {si(roof.macs_per_s, 'MAC/s')}",
        (right, y), (-3, 3), textcoords="offset points", ha="right", fontsize=8,
    )  # fmt: skip


def _slope(axes: Axes, roofs: list[_Roof], slope: int, factor: float) -> None:
    """Draw what the DRAM allows, up to the highest roof, with its name along it."""
    left, bottom = axes.get_xlim()[0], axes.get_ylim()[0] * factor / slope
    low, high = max(left, bottom), max((roof.macs_per_s / slope for roof in roofs), default=1.0)
    rise = slope / factor
    axes.plot([low, high], [low * rise, high * rise], color=BLACK, linewidth=1.2)
    x = (low * high) ** 0.5
    axes.text(
        x, 1.14 * x * rise, f"DRAM: {si(slope, 'B/s')}", fontsize=8, ha="center",
        va="bottom", rotation=degrees(atan(rise)), rotation_mode="anchor",
        transform_rotates_text=True,
    )  # fmt: skip


def _key(products: list[TaskRow], movers: list[TaskRow]) -> list[Artist]:
    phases = in_order(PHASES, (task["phase"] for task in products + movers))
    units = in_order(UNITS, (task["unit"] for task in products))
    marks: list[Artist] = [
        Line2D([], [], color=INK, ls="", marker=_MARKERS.get(unit, "D"), label=f"on {spoken(unit)}")
        for unit in units
    ]
    return marks + swatches(PHASES, phases)


def _length(task: TaskRow) -> int:
    return int(task["end_ps"] - task["start_ps"])


def _rate(task: TaskRow) -> float:
    """Return the MACs per second over the span of the task."""
    return float(task["macs"] * PS_PER_S / _length(task))


def _title(label: str, step: StepDocument, products: list[TaskRow]) -> str:
    parts = []
    for roof in reversed(_roofs(step["machine"])):
        mine = [task for task in products if task["unit"] == roof.unit]
        time = sum(map(_length, mine))
        if time:
            rate = sum(task["macs"] for task in mine) * PS_PER_S / time
            peak = f"{roof.owner}'s {si(roof.macs_per_s, 'MAC/s')}"
            parts.append(f"{share(rate, roof.macs_per_s)} of the {peak}")
    if not parts:
        return f"Nothing in this step on {label} multiplies: only the DRAM bounds it"
    return f"On {label} GEMMs reach {' and '.join(parts)}"


def _note(step: StepDocument, tasks: list[TaskRow]) -> str:
    """Say what is drawn, and what is not."""
    parts = [
        f"{step['trace']}: the area of a marker follows the time that its GEMM takes; "
        "rings are equal GEMMs of several phases; names are those of the layers that take longest."
    ]
    resident = sum(bool(task["macs"]) and not task["dram_bytes"] for task in tasks)
    if resident:
        parts.append(f"At the right edge: {resident} without DRAM traffic.")
    silent = [task for task in tasks if not task["macs"] and not task["dram_bytes"]]
    if silent:
        time = share(sum(map(_length, silent)), step["duration_ps"])
        parts.append(
            f"Left out: {len(silent)} tasks with neither MACs nor DRAM traffic "
            f"({', '.join(_kinds(silent))}; {time} of the step)."
        )
    return " ".join(parts)


def _kinds(tasks: Iterable[TaskRow]) -> list[str]:
    return list(dict.fromkeys(task["stage"] for task in tasks))
