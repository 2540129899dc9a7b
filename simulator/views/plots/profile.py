"""Where a step goes: operations by share, as a profiler shows them, and layers by machine."""

import re
from collections.abc import Callable, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simulator.results.step_documents import StepDocument, TaskRow
from simulator.si import scale, share, si, times
from simulator.stages import OF_OP
from simulator.units import PS_PER_S
from simulator.views.plots.canvas import (
    HEIGHT,
    INK,
    MACHINES,
    UNITS,
    StepsByLabel,
    canvas,
    colour,
    coloured,
    in_order,
    legend,
    only,
    short,
    spoken,
    swatches,
)

Group = tuple[str, str]  # what, and the unit that does it
Sums = dict[Group, float]

_MOST = 14  # rows; what is smaller is summed in one more
_LAYERS = 16
_ROW_INCHES = 0.21
_SMALL = 7.5
_PRODUCTS = ("forward", "dgrad", "wgrad")


def profile(steps: StepsByLabel) -> Figure:
    """Draw the operations of one step of the first machine by busy time and by energy."""
    label, step = next(iter(steps.items()))
    time = _sums(step, lambda task: task["end_ps"] - task["start_ps"])
    energy = _sums(step, lambda task: task["dynamic_aj"])
    names = _largest(time, energy)
    note = (
        f"{step['trace']}: one steady step. Busy time of all units, which overlap; energy without "
        "static power. Conversions, launches and flushes are named after what they do."
    )
    height = max(HEIGHT, 1.4 + _ROW_INCHES * (len(names) + 1))
    figure = canvas(_profile_title(label, step, time), note, height)
    left, right = figure.subplots(1, 2, sharey=True)
    _shares(left, time, names, "busy time")
    _shares(right, energy, names, "dynamic energy")
    left.set_yticks(range(len(names) + 1), labels=[*(n for n, _ in names), "all others"])
    for axes in (left, right):
        axes.tick_params("y", length=0, labelsize=_SMALL)
    left.set_ylim(len(names) + 0.6, -0.6)
    legend(figure, swatches(UNITS, in_order(UNITS, (unit for _, unit in time))), "done by")
    return figure


def layers(steps: StepsByLabel) -> Figure:
    """Draw the GEMMs of every layer, forward, dgrad and wgrad, a bar per machine.

    The layers that take longest; conversions and launches of an offload are included.
    """
    tables = {label: _by_layer(step) for label, step in steps.items()}
    names = _longest(tables)
    height = max(HEIGHT, 1.5 + 0.13 * (len(steps) + 0.6) * len(names))
    figure = canvas(_layer_title(tables), _layer_note(steps, names, tables), height)
    panels = figure.subplots(1, len(_PRODUCTS), sharey=True)
    colours = dict(zip(steps, MACHINES * len(steps), strict=False))
    pitch = len(steps) + 0.6
    for axes, phase in zip(panels, _PRODUCTS, strict=True):
        times = (table.get((n, phase), 0) for table in tables.values() for n in names)
        largest = max(times, default=0)
        factor, prefix = scale(largest / PS_PER_S)
        for place, (label, table) in enumerate(tables.items()):
            widths = [table.get((name, phase), 0) / PS_PER_S / factor for name in names]
            axes.barh([i * pitch + place for i in range(len(names))], widths, 0.9,
                      color=colours[label])  # fmt: skip
        axes.set_title(phase, color=INK)
        axes.set_xlabel(f"time ({prefix}s)")
        only(axes, "bottom")
        axes.grid(axis="x")
        axes.tick_params("y", length=0, labelsize=_SMALL)
    middle = (len(steps) - 1) / 2
    panels[0].set_yticks([i * pitch + middle for i in range(len(names))],
                         labels=[short(name, 26) for name in names])  # fmt: skip
    panels[0].set_ylim(max(0, len(names) - 1) * pitch + len(steps), -1)
    legend(figure, [Patch(color=colours[label], label=short(label, 16)) for label in steps])
    return figure


def _sums(step: StepDocument, value: Callable[[TaskRow], float]) -> Sums:
    sums: Sums = {}
    for task in step["tasks"]:
        group = _name(task), task["unit"]
        sums[group] = sums.get(group, 0) + value(task)
    return sums


def _name(task: TaskRow) -> str:
    """Return the operator's own name, or what a stage of an offload does."""
    if task["stage"] not in OF_OP:
        return str(task["stage"])
    parts = [re.sub(r"^aten\.|\.[A-Za-z_]+$", "", part) for part in task["op"].split(" + ")]
    return short(" + ".join([part.replace("_", " ").strip() for part in parts]), 30)


def _largest(time: Sums, energy: Sums) -> list[Group]:
    """Return the groups with the largest shares of either, longest first."""
    all_time, all_energy = sum(time.values()) or 1, sum(energy.values()) or 1
    weight = {g: max(time[g] / all_time, energy.get(g, 0) / all_energy) for g in time}
    chosen = sorted(time, key=lambda group: -weight[group])[:_MOST]
    return sorted(chosen, key=lambda group: -time[group])


def _shares(axes: Axes, sums: Sums, names: list[Group], what: str) -> None:
    whole = sum(sums.values()) or 1
    colours = coloured(UNITS, (unit for _, unit in sums))
    others = {group: value for group, value in sums.items() if group not in names}
    for y, group in enumerate(names):
        part = 100 * sums.get(group, 0) / whole
        axes.barh(y, part, 0.8, color=colour(colours, group[1]))
        _tell(axes, part, y)
    left = 0.0
    for unit in in_order(UNITS, (unit for _, unit in others)):
        part = 100 * sum(value for (_, of), value in others.items() if of == unit) / whole
        axes.barh(len(names), part, 0.8, left=left, color=colour(colours, unit))
        left += part
    _tell(axes, left, len(names))
    axes.set_xlim(0, 1.22 * max([left, 1, *(100 * sums.get(g, 0) / whole for g in names)]))
    axes.set_xlabel(f"share of {what} (%)")
    only(axes, "bottom")
    axes.grid(axis="x")


def _tell(axes: Axes, part: float, y: float) -> None:
    axes.annotate(share(part, 100), (part, y), (3, 0), textcoords="offset points", va="center",
                  fontsize=_SMALL)  # fmt: skip


def _profile_title(label: str, step: StepDocument, time: Sums) -> str:
    whole = sum(time.values())
    if not whole:
        return f"A step on {label} keeps no unit busy"
    (name, unit), most = max(time.items(), key=lambda item: item[1])
    duration = si(step["duration_ps"] / PS_PER_S, "s")
    return (
        f"In a step of {duration} on {label} most busy time goes to {name} "
        f"on the {spoken(unit)}: {share(most, whole)}"
    )


Table = dict[tuple[str, str], int]


def _by_layer(step: StepDocument) -> Table:
    """Return the busy time of what serves the GEMMs of each layer and phase."""
    products = {(t["layer"], t["op"], t["phase"]) for t in step["tasks"] if t["stage"] == "gemm"}
    times: Table = {}
    for task in step["tasks"]:
        if (task["layer"], task["op"], task["phase"]) in products:
            key = task["layer"] or task["op"], task["phase"]
            times[key] = times.get(key, 0) + task["end_ps"] - task["start_ps"]
    return times


def _longest(tables: Mapping[str, Table]) -> list[str]:
    """Return the layers that take longest on any machine, in the order of a step."""
    main = next(iter(tables.values()), {})
    spent: dict[str, int] = {}
    for table in tables.values():
        for (name, phase), time in table.items():
            if phase in _PRODUCTS:
                spent[name] = spent.get(name, 0) + time
    selection = set(sorted(spent, key=lambda name: -spent[name])[:_LAYERS])
    order = dict.fromkeys(name for table in (main, *tables.values()) for name, _ in table)
    return [name for name in order if name in selection]


def _layer_title(tables: Mapping[str, Table]) -> str:
    main, *others = tables
    if not others:
        return f"What the GEMMs of each layer take on {main}"
    gains = {}
    for phase in _PRODUCTS:
        ours, theirs = (
            sum(time for (_, p), time in tables[name].items() if p == phase)
            for name in (main, others[0])
        )
        if ours and theirs:
            gains[phase] = theirs / ours
    pace = ", ".join(f"{phase} {times(gain)}" for phase, gain in gains.items())
    return f"{main} speeds up the layers' GEMMs over {others[0]}: {pace}, conversions included"


def _layer_note(steps: StepsByLabel, names: list[str], tables: Mapping[str, Table]) -> str:
    step = next(iter(steps.values()))
    layers = {name for table in tables.values() for name, phase in table if phase in _PRODUCTS}
    left = len(layers) - len(names)
    rest = f" {left} more layers take less." if left else ""
    return (
        f"{step['trace']}: one steady step. Includes conversion, launch and synchronisation.{rest}"
    )
