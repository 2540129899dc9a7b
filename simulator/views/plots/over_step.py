"""What adds up over one step: energy spent so far, and the memory that lives."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simulator.results.step_documents import StepDocument
from simulator.si import scale, si, times
from simulator.units import AJ_PER_J, PS_PER_S
from simulator.views.memory_view import GROUPS
from simulator.views.plots.canvas import (
    INK,
    MACHINES,
    MEMORY,
    StepsByLabel,
    canvas,
    in_order,
    legend,
    short,
    swatches,
)
from simulator.views.plots.drawing import NothingToDraw
from simulator.views.plots.over_time import longest_ps, time_axis, what_runs

_DASHES = ("-", "--", ":", "-.")
_SAME = 0.005  # ratios closer to 1 are no difference


def cumulative_energy(steps: StepsByLabel) -> Figure:
    """Draw the energy spent since the start of a step, a line per machine on one time axis.

    Energy in aJ is the sum of power in uW x time in ps. Raises NothingToDraw without power.
    """
    curves = {label: energy_so_far(step) for label, step in steps.items()}
    ends = {label: energies[-1] / AJ_PER_J for label, (_, energies) in curves.items()}
    if not any(ends.values()):
        raise NothingToDraw("no step spends energy")
    first = next(iter(steps.values()))
    figure = canvas(
        _energy_title(ends), f"{what_runs(first)}. Slope: power, static power included."
    )
    axes = figure.subplots()
    seconds = time_axis(axes, longest_ps(steps))
    factor, prefix = scale(max(ends.values()))
    handles: list[Artist] = []
    for place, (label, (moments, energies)) in enumerate(curves.items()):
        look: dict[str, Any] = {
            "color": MACHINES[place % len(MACHINES)],
            "ls": _DASHES[place % len(_DASHES)],
        }
        x = [moment / PS_PER_S / seconds for moment in moments]
        axes.plot(x, [energy / AJ_PER_J / factor for energy in energies], lw=1.6, **look)
        axes.plot(x[-1:], [ends[label] / factor], "o", ms=5, color=look["color"], clip_on=False)
        handles.append(Line2D([], [], label=f"{short(label)}\n{si(ends[label], 'J')}", **look))
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"energy since the start ({prefix}J)")
    axes.grid(visible=True)
    legend(figure, handles, "a step on")
    return figure


def energy_so_far(step: StepDocument) -> tuple[list[int], list[int]]:
    """Return the moments in ps at which the power changes, and the aJ spent until each."""
    moments = [row["start_ps"] for row in step["power"] if row["start_ps"] < step["duration_ps"]]
    moments.append(step["duration_ps"])
    powers = (row["power_uw"] for row in step["power"])
    spent = (
        power * (end - start)
        for power, (start, end) in zip(powers, pairwise(moments), strict=False)
    )
    return moments, [*accumulate(spent, initial=0)]


def _energy_title(ends: dict[str, float]) -> str:
    (main, ours), *others = ends.items()
    title = f"A step on {main} spends {si(ours, 'J')}"
    if not others or not ours:
        return title
    other, theirs = others[0]
    ratio = theirs / ours
    if abs(ratio - 1) < _SAME or not theirs:
        return f"{title}, on {other} {si(theirs, 'J')}"
    return (
        f"{title}, {times(max(ratio, 1 / ratio))} {'less' if ratio > 1 else 'more'} than on {other}"
    )


def step_memory(steps: StepsByLabel) -> Figure:
    """Draw the bytes that live while a step runs, stacked by kind, one panel per machine.

    Raises NothingToDraw where no step tells its memory, as those of earlier versions do not.
    """
    lanes = {label: lanes_of(step) for label, step in steps.items() if any(lanes_of(step))}
    if not lanes:
        raise NothingToDraw("the step does not tell its memory: run it again with this version")
    figure = canvas(_memory_title(lanes), _memory_note(steps), 2.0 + 1.6 * len(lanes))
    panels = figure.subplots(len(lanes), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    factor, prefix = scale(max(map(_peak, lanes.values())))
    end_ps = longest_ps(steps)
    for axes, (label, kinds) in zip(panels, lanes.items(), strict=True):
        _panel(axes, steps[label], kinds, factor, end_ps)
        axes.set_title(f"{short(label)}: at most {si(_peak(kinds), 'B')}", color=INK)
    for axes in panels[:-1]:
        axes.set_xlabel("")
    figure.supylabel(f"memory that lives ({prefix}B)", fontsize=8.5, color=INK)
    names = in_order(MEMORY, (name for kinds in lanes.values() for name in kinds))
    legend(figure, swatches(MEMORY, reversed(names)), "holds")
    return figure


def lanes_of(step: StepDocument) -> dict[str, list[int]]:
    """Return the bytes of each kind that lives at some time, from each moment of memory on."""
    rows = step.get("memory", [])
    lanes = {
        group: [sum(row["bytes"].get(kind.value, 0) for kind in kinds) for row in rows]
        for group, kinds in GROUPS.items()
    }
    return {group: sizes for group, sizes in lanes.items() if any(sizes)}


def _peak(kinds: dict[str, list[int]]) -> int:
    return max(map(sum, zip(*kinds.values(), strict=True)), default=0)


def _panel(
    axes: Axes, step: StepDocument, kinds: dict[str, list[int]], factor: float, end_ps: int
) -> None:
    seconds = time_axis(axes, end_ps)
    moments = [*(row["start_ps"] for row in step["memory"]), step["duration_ps"]]
    edges = [moment / PS_PER_S / seconds for moment in moments]
    lower: Sequence[float] = [0.0] * (len(edges) - 1)
    for kind in in_order(MEMORY, kinds):
        upper = [low + size / factor for low, size in zip(lower, kinds[kind], strict=True)]
        axes.stairs(upper, edges, baseline=lower, fill=True, color=MEMORY[kind], linewidth=0)
        lower = upper
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")


def _memory_title(lanes: dict[str, dict[str, list[int]]]) -> str:
    label, kinds = next(iter(lanes.items()))
    return f"A step on {label} holds {si(_peak(kinds), 'B')} at its peak"


def _memory_note(steps: StepsByLabel) -> str:
    one = " All machines share one time axis." if len(steps) > 1 else ""
    return f"{what_runs(next(iter(steps.values())))}.{one}"
