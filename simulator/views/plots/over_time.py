"""One step over time: what the DRAM delivers to whom, and which unit is busy with which phase."""

from fractions import Fraction
from itertools import pairwise

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from simulator.results.step_documents import StepDocument, TaskRow
from simulator.si import scale, share, si
from simulator.stages import OF_OP
from simulator.units import PS_PER_S
from simulator.views.plots.canvas import (
    BLACK,
    INK,
    PAPER,
    PHASES,
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
from simulator.views.plots.series import bars, bin_edges, binned_bytes, busy_ps

_BINS = 250
_PIXELS = 800  # across the axes: what is closer together than one cannot be told apart
_LANE_INCHES = 0.75


def dram_bandwidth(steps: StepsByLabel) -> Figure:
    """Draw DRAM bandwidth over one step, stacked by master, one panel per machine."""
    figure = canvas(_bandwidth_title(steps), _bandwidth_note(steps), 2.2 + 1.1 * len(steps))
    panels = figure.subplots(len(steps), 1, sharey=True, squeeze=False)[:, 0]
    highest = 0.0
    end_ps = longest_ps(steps)
    for axes, (label, step) in zip(panels, steps.items(), strict=True):
        highest = max(highest, _panel(axes, step, end_ps))
        axes.set_title(f"{short(label)}: {_traffic(step)}", color=INK)
    peak = max(step["machine"]["dram_bytes_per_s"] for step in steps.values()) / 1e9
    # A peak far above the traffic would press it flat: then the title alone tells it.
    shown = highest > peak / 5
    panels[0].set_ylim(0, 1.08 * peak if shown else 1.3 * highest or 1)
    figure.supylabel("DRAM bandwidth (GB/s)", fontsize=8.5, color=INK)
    units = in_order(UNITS, (flow["unit"] for step in steps.values() for flow in step["flows"]))
    line = Line2D([], [], color=BLACK, linestyle="--", linewidth=1, label="peak of the DRAM")
    peaks: list[Artist] = [line] if shown else []
    legend(figure, peaks + swatches(UNITS, reversed(units)), "moved by")
    return figure


def occupancy(steps: StepsByLabel) -> Figure:
    """Draw when each unit of each machine is busy, by phase, and for how much of a step."""
    lanes = [len(_units(step)) for step in steps.values()]
    height = 1.5 + 0.5 * len(lanes) + _LANE_INCHES * sum(lanes)
    figure = canvas(_occupancy_title(steps), _occupancy_note(steps), height)
    panels = figure.subplots(len(lanes), 1, squeeze=False, height_ratios=lanes)[:, 0]
    end_ps = longest_ps(steps)
    for axes, (label, step) in zip(panels, steps.items(), strict=True):
        _lanes(axes, step, end_ps)
        axes.set_title(f"{label}: a step of {_duration(step)}", color=INK)
    phases = in_order(
        PHASES, (t["phase"] for s in steps.values() for t in s["tasks"] if _length(t))
    )
    idle: list[Artist] = [Patch(color=PAPER, label="idle")]
    legend(figure, swatches(PHASES, phases) + idle, "busy with")
    return figure


def longest_ps(steps: StepsByLabel) -> int:
    """Return the end of the time axis that all machines share: the longest step, in ps."""
    return max((step["duration_ps"] for step in steps.values()), default=0)


def time_axis(axes: Axes, end_ps: int) -> float:
    """Let the time axis end at `end_ps` and return how many seconds its unit has."""
    duration = end_ps / PS_PER_S
    factor, prefix = scale(duration)
    axes.set_xlim(0, duration / factor or 1)
    axes.set_xlabel(f"time in the step ({prefix}s)")
    return factor


def _duration(step: StepDocument) -> str:
    return si(step["duration_ps"] / PS_PER_S, "s")


def _panel(axes: Axes, step: StepDocument, end_ps: int) -> float:
    """Draw one machine's bandwidth and return its highest bin in GB/s."""
    factor = time_axis(axes, end_ps)
    edges = bin_edges(step["duration_ps"], _BINS)
    series = binned_bytes(step["flows"], edges)
    times = [edge / PS_PER_S / factor for edge in edges]
    lower, colours = [0.0] * (len(edges) - 1), coloured(UNITS, series)
    for unit in in_order(UNITS, series):
        rates = _rates(series[unit], edges)
        upper = [a + b for a, b in zip(lower, rates, strict=True)]
        shade = colour(colours, unit)
        axes.stairs(upper, times, baseline=lower, fill=True, color=shade, linewidth=0)
        lower = upper
    peak = step["machine"]["dram_bytes_per_s"] / 1e9
    axes.plot([0, times[-1]], [peak, peak], color=BLACK, linestyle="--", linewidth=1)
    axes.grid(axis="y")
    return max(lower)


def _rates(sizes: list[Fraction], edges: list[int]) -> list[float]:
    """Return the average rate of each interval in GB/s."""
    widths = (high - low for low, high in pairwise(edges))
    return [float(size * 1000 / width) for size, width in zip(sizes, widths, strict=True)]


def _mean(step: StepDocument) -> float:
    """Return the average bandwidth of the step in bytes per second."""
    traffic = sum(flow["bytes"] for flow in step["flows"])
    return float(traffic * PS_PER_S / step["duration_ps"]) if step["duration_ps"] else 0.0


def _traffic(step: StepDocument) -> str:
    mean, peak = _mean(step), step["machine"]["dram_bytes_per_s"]
    average = f"{si(mean, 'B/s')} on average, {share(mean, peak)} of peak"
    traffic: dict[str, int] = {}
    for flow in step["flows"]:
        traffic[flow["unit"]] = traffic.get(flow["unit"], 0) + flow["bytes"]
    if len(traffic) < 2:
        return average
    total = sum(traffic.values())
    parts = (f"{spoken(u)} {share(traffic[u], total)}" for u in in_order(UNITS, traffic))
    return f"{average}; {', '.join(parts)}"


def _bandwidth_title(steps: StepsByLabel) -> str:
    main, step = next(iter(steps.items()))
    peak = step["machine"]["dram_bytes_per_s"]
    traffic = sum(flow["bytes"] for flow in step["flows"])
    return (
        f"One step on {main} moves {si(traffic, 'B')} and uses "
        f"{share(_mean(step), peak)} of the DRAM's {si(peak, 'B/s')}"
    )


def _bandwidth_note(steps: StepsByLabel) -> str:
    step = next(iter(steps.values()))
    return f"{what_runs(step)}, averaged over each of {_BINS} intervals.{_one_axis(steps)}"


def what_runs(step: StepDocument) -> str:
    """Say of which trace a step is."""
    return f"{step['trace']}: one steady training step"


def _one_axis(steps: StepsByLabel) -> str:
    return " All machines share one time axis." if len(steps) > 1 else ""


def _units(step: StepDocument) -> list[str]:
    units = {task["unit"] for task in step["tasks"]} | {"cpu"}
    if step["machine"].get("array_macs_per_s"):
        units.add("accelerator")  # an array that never works shows an empty lane
    return in_order(UNITS, units)


def _of(step: StepDocument, unit: str) -> list[TaskRow]:
    return [task for task in step["tasks"] if task["unit"] == unit]


def _length(task: TaskRow) -> int:
    return int(task["end_ps"] - task["start_ps"])


def _lanes(axes: Axes, step: StepDocument, end_ps: int) -> None:
    factor, units = time_axis(axes, end_ps), _units(step)
    for y, unit in enumerate(units):
        _lane(axes, y, step, unit, factor, end_ps // _PIXELS)
    axes.set_yticks(range(len(units)), labels=[spoken(unit) for unit in units])
    axes.tick_params("y", length=0)
    busy = axes.secondary_yaxis("right")
    busy.set_yticks(range(len(units)), labels=[_busy(step, unit) for unit in units])
    busy.tick_params("y", length=0, pad=2)
    busy.spines["right"].set_visible(False)
    only(axes, "bottom")
    axes.set_ylim(len(units) - 0.5, -0.5)


def _lane(
    axes: Axes, y: int, step: StepDocument, unit: str, factor: float, resolution_ps: int
) -> None:
    """Draw one lane: idle as a pale band, busy in the colour of the phase."""
    band, per_unit = (y - 0.38, 0.76), PS_PER_S * factor
    axes.broken_barh([(0, step["duration_ps"] / per_unit)], band, color=PAPER, linewidth=0)
    stretches = bars(_of(step, unit), resolution_ps)
    for phase in in_order(PHASES, (bar.phase for bar in stretches)):
        spans = [
            (bar.start_ps / per_unit, (bar.end_ps - bar.start_ps) / per_unit)
            for bar in stretches
            if bar.phase == phase
        ]
        axes.broken_barh(spans, band, color=colour(PHASES, phase), linewidth=0)


def _busy(step: StepDocument, unit: str) -> str:
    return f"{share(busy_ps(_of(step, unit)), step['duration_ps'])}\nbusy"


def _occupancy_title(steps: StepsByLabel) -> str:
    main, step = next(iter(steps.items()))
    busy = {unit: share(busy_ps(_of(step, unit)), step["duration_ps"]) for unit in _units(step)}
    first, *rest = (f"the {spoken(unit)} is busy {part}" for unit, part in busy.items())
    parts = (first, *(text.replace(" is busy", "") for text in rest))
    return f"In a step of {_duration(step)} on {main} {', '.join(parts)}"


def _occupancy_note(steps: StepsByLabel) -> str:
    """Say what the CPU does for other units, which the phases do not show."""
    step = next(iter(steps.values()))
    cpu = _of(step, "cpu")
    helping = [task for task in cpu if task["stage"] not in OF_OP]
    note = f"{what_runs(step)}, {len(step['tasks'])} tasks.{_one_axis(steps)}"
    if not busy_ps(helping):
        return note
    kinds = ", ".join(dict.fromkeys(task["stage"] for task in helping if _length(task)))
    part = share(busy_ps(helping), busy_ps(cpu))
    served = "the accelerator" if set(_units(step)) <= set(UNITS) else "other units"
    return f"{note} {part} of the CPU's busy time serves {served} ({kinds})."
