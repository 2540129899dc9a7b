"""Bars of a whole run: energy per epoch and per phase by component, latency per phase."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from simulator.results.documents import IntervalRow, ResultDocument, by_phase, interval_of
from simulator.results.metric_row import CostRow, Metric
from simulator.results.metrics import ENERGY, ENERGY_BY_COMPONENT, LATENCY
from simulator.results.uncertainty import bracket, interval_content, interval_in
from simulator.si import digits, scale, share, si, si_range, times
from simulator.views.joules import joules_of
from simulator.views.plots.canvas import (
    COMPONENTS,
    HEIGHT,
    INK,
    MACHINES,
    PHASES,
    Results,
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

_LABELLED_EPOCHS = 6  # more bars than this leave no room for a number above each
_NAMED_EPOCHS = 12
_NOTHING = 1e-12
_ROW_INCHES = 0.2
_SMALL = 7.5  # points of type
_EM = 0.58 * _SMALL  # points that a character of it takes, generously
_ROW_POINTS = 330  # points from the start of the longest bar to the end of its label


def energy_per_epoch(results: Results) -> Figure:
    """Draw the energy of every epoch stacked by component, one panel per machine."""
    figure = canvas(_epoch_title(results), _energy_note(results))
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    components = components_of(row for result in results.values() for row in result["epochs"])
    largest = max((ENERGY.of(row) for r in results.values() for row in r["epochs"]), default=0)
    factor, prefix = scale(largest)
    for axes, (label, result) in zip(panels, results.items(), strict=True):
        _epoch_panel(axes, result["epochs"], components, factor)
        name, end = short(label, 52 // len(results)), ": " if len(results) < 3 else "\n"
        axes.set_title(f"{name}{end}{_mean_text(result)} per epoch", color=INK)
    panels[0].set_ylabel(f"energy per epoch ({prefix}J)")
    panels[0].set_ylim(0, 1.1 * largest / factor or 1)
    # The last component drawn is on top of the stack, so it is first in the legend.
    legend(figure, swatches(COMPONENTS, reversed(components)), "energy of")
    return figure


def energy_per_phase(results: Results) -> Figure:
    """Draw the energy of every phase stacked by component, the machines below each other."""
    phases = _phases(results)
    figure = canvas(_energy_title(results), _energy_note(results), _height(results, phases))
    axes = _row_axes(figure)
    table = {label: by_phase(result) for label, result in results.items()}
    components = components_of(row for rows in table.values() for row in rows.values())
    largest = _largest(table, ENERGY)
    factor, prefix = scale(largest)
    for y, phase, label in _rows(results, phases):
        row = table[label].get(phase, {})
        _stack(axes, y, ENERGY_BY_COMPONENT.of(row), components, factor)
        end = _whisker(axes, results[label], f"{phase}_{ENERGY.key}", y, factor)
        _value(axes, max(end, ENERGY.of(row) / factor), y, si(ENERGY.of(row), "J"))
    _finish_rows(axes, results, phases, named=len(results) > 1)
    axes.set_xlabel(f"energy of the whole run ({prefix}J)")
    legend(figure, swatches(COMPONENTS, components), "energy of")
    return figure


def latency_per_phase(results: Results) -> Figure:
    """Draw the latency of every phase, a bar per machine, with the speedup of the first."""
    phases = _phases(results)
    figure = canvas(_latency_title(results), _note(results), _height(results, phases))
    axes = _row_axes(figure)
    table = {label: by_phase(result) for label, result in results.items()}
    largest = _largest(table, LATENCY)
    factor, prefix = scale(largest)
    main, *others = results
    colours = dict(zip(results, MACHINES * len(results), strict=False))
    for y, phase, label in _rows(results, phases):
        seconds = LATENCY.of(table[label].get(phase, {}))
        text = si(seconds, "s")
        if label == main and others:
            text += _pace(seconds, LATENCY.of(table[others[0]].get(phase, {})))
        axes.barh(y, seconds / factor, 0.85, color=colours[label])
        end = _whisker(axes, results[label], f"{phase}_{LATENCY.key}", y, factor)
        _value(axes, max(end, seconds / factor), y, text)
    _finish_rows(axes, results, phases, named=False)
    axes.set_xlabel(f"latency of the whole run ({prefix}s)")
    if others:
        legend(figure, [Patch(color=colours[label], label=short(label)) for label in results])
    return figure


def _epoch_panel(axes: Axes, rows: Sequence[CostRow], components: list[str], factor: float) -> None:
    epochs = [cast(int, row["epoch"]) for row in rows]
    bottom, colours = [0.0] * len(rows), coloured(COMPONENTS, components)
    for name in components:
        heights = [ENERGY_BY_COMPONENT.of(row).get(name, 0.0) / factor for row in rows]
        axes.bar(epochs, heights, 0.8, bottom, color=colour(colours, name))
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    if len(rows) <= _LABELLED_EPOCHS:
        for epoch, height, row in zip(epochs, bottom, rows, strict=True):
            text = digits(ENERGY.of(row) / factor)
            axes.annotate(text, (epoch, height), (0, 2), textcoords="offset points", ha="center")
    first, last = min(epochs, default=0), max(epochs, default=0)
    margin = 1.0 if len(rows) < 3 else 0.6  # a lone bar need not fill its panel
    axes.set_xlim(first - margin, last + margin)
    if len(rows) <= _NAMED_EPOCHS:
        axes.set_xticks(epochs)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.set_xlabel("epoch")
    axes.grid(axis="y")


def _row_axes(figure: Figure) -> Axes:
    axes = figure.subplots()
    axes.set_autoscalex_on(False)  # the labels set how far the axis goes
    axes.set_xlim(0, _NOTHING)
    return axes


def _stack(
    axes: Axes, y: float, energy: Mapping[str, float], components: list[str], factor: float
) -> None:
    left, colours = 0.0, coloured(COMPONENTS, components)
    for name in components:
        width = energy.get(name, 0.0) / factor
        axes.barh(y, width, 0.85, left=left, color=colour(colours, name))
        left += width


def _whisker(axes: Axes, result: ResultDocument, key: str, y: float, factor: float) -> float:
    """Draw the interval of a bar where the result has one, and return how far right it goes."""
    interval = interval_in(result, key)
    if interval is None:
        return 0.0
    ends = interval["low"] / factor, interval["high"] / factor
    axes.plot(ends, (y, y), color=INK, linewidth=1, marker="|", markersize=5)
    return float(ends[1])


def _value(axes: Axes, x: float, y: float, text: str) -> None:
    """Write `text` right of the bar that ends at `x`, and widen the axis until it fits."""
    room = 1 - _EM * len(text) / _ROW_POINTS
    axes.set_xlim(0, max(axes.get_xlim()[1], x / room))
    axes.annotate(text, (x, y), (3, 0), textcoords="offset points", va="center", fontsize=_SMALL)


def _rows(results: Results, phases: list[str]) -> list[tuple[float, str, str]]:
    """Return height, phase and machine of every bar, phases half a bar apart."""
    pitch = len(results) + 0.5
    return [
        (index * pitch + place, phase, label)
        for index, phase in enumerate(phases)
        for place, label in enumerate(results)
    ]


def _finish_rows(axes: Axes, results: Results, phases: list[str], *, named: bool) -> None:
    """Name the phases left of their bars, and the machines in between where they are `named`."""
    rows = _rows(results, phases)
    labels = [short(label) if named else "" for _, _, label in rows]
    axes.set_yticks([y for y, _, _ in rows], labels=labels, fontsize=_SMALL)
    axes.tick_params("y", length=0)
    centres = [
        index * (len(results) + 0.5) + (len(results) - 1) / 2 for index in range(len(phases))
    ]
    groups = axes.secondary_yaxis("left")
    groups.set_yticks(centres, labels=[spoken(phase) for phase in phases], fontweight="bold")
    groups.tick_params("y", length=0, pad=12 + _EM * max(map(len, labels), default=0))
    only(axes, "bottom")
    if axes.get_xlim()[1] <= _NOTHING:
        axes.set_xlim(0, 1)
    groups.spines["left"].set_visible(False)
    for above, below in pairwise(centres):
        axes.axhline((above + below) / 2, color="#DDDDDD", linewidth=0.6)
    axes.set_ylim(rows[-1][0] + 0.75 if rows else 1, -0.75)
    axes.grid(axis="x")


def _height(results: Results, phases: list[str]) -> float:
    return max(HEIGHT, 1.3 + _ROW_INCHES * (len(results) + 0.5) * len(phases))


def _phases(results: Results) -> list[str]:
    """Return the phases that cost anything on any machine, in the order of a step."""
    rows = [row for result in results.values() for row in result["phases"]]
    costly = (row for row in rows if LATENCY.of(row) or ENERGY.of(row))
    return in_order(PHASES, (str(row["phase"]) for row in costly))


def _largest(table: Mapping[str, Mapping[str, CostRow]], metric: Metric) -> float:
    return max((metric.of(row) for rows in table.values() for row in rows.values()), default=0)


def components_of(rows: Iterable[CostRow]) -> list[str]:
    """Return the components that spend anything in any of `rows`."""
    spent = (n for row in rows for n, energy in ENERGY_BY_COMPONENT.of(row).items() if energy)
    return in_order(COMPONENTS, spent)


def _mean_j(result: ResultDocument) -> float:
    return ENERGY.of(result["total"]) / max(1, len(result["epochs"]))


def _mean_text(result: ResultDocument) -> str:
    """Return the energy of an epoch, and its interval: that of the run, which no epoch changes."""
    interval, epochs = interval_in(result, ENERGY.key), max(1, len(result["epochs"]))
    if interval is None:
        return si(_mean_j(result), "J")
    return si_range(_mean_j(result), interval["low"] / epochs, interval["high"] / epochs, "J")


def _energy_note(results: Results) -> str:
    return f"{_note(results)} {joules_of(next(iter(results.values())))}"


def _note(results: Results) -> str:
    main = next(iter(results.values()))
    epochs, steps = main["epochs_simulated"], main["steps_simulated"]
    what = f"{main['trace']}, {main['method']}: {_count(epochs, 'epoch')}, {_count(steps, 'step')}"
    executed = (
        f"{label} executes GEMMs in {', '.join(result['precision']['executed'])}"
        for label, result in results.items()
        if result["precision"]["executed"]
    )
    return "; ".join((what, *executed)) + "." + _bracket_note(main)


def _bracket_note(result: ResultDocument) -> str:
    """Return which samples whiskers and brackets hold, of a run that was sampled."""
    uncertainty = result.get("uncertainty")
    return f" Whiskers and brackets hold {interval_content(uncertainty)}." if uncertainty else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _epoch_title(results: Results) -> str:
    main, *others = results
    mean = _mean_j(results[main])
    title = f"Training costs {_mean_text(results[main])} per epoch on {main}"
    if others:
        return f"{title}, {share(mean, _mean_j(results[others[0]]))} of {others[0]}"
    energy = ENERGY_BY_COMPONENT.of(results[main]["total"])
    name = max(energy, key=lambda name: energy[name], default="")
    if not name or not energy[name]:
        return title
    return f"{title}, {share(energy[name], sum(energy.values()))} of it for {_the(name)}"


def _energy_title(results: Results) -> str:
    main = next(iter(results))
    total = ENERGY.of(results[main]["total"])
    phases = by_phase(results[main])
    if not phases or not total:
        return f"No phase costs energy on {main}"
    phase = max(phases, key=lambda name: ENERGY.of(phases[name]))
    energy, parts = ENERGY.of(phases[phase]), ENERGY_BY_COMPONENT.of(phases[phase])
    name = max(parts, key=lambda name: parts[name])
    return (
        f"{spoken(phase).capitalize()} takes the most energy on {main}: "
        f"{si(energy, 'J')} of {si(total, 'J')}, "
        f"{share(parts[name], energy)} of it for {_the(name)}"
    )


def _the(component: str) -> str:
    return f"the {spoken(component)}"


def _latency_title(results: Results) -> str:
    main, *others = results
    seconds = LATENCY.of(results[main]["total"])
    if others:
        other = LATENCY.of(results[others[0]]["total"])
        return (
            f"{main} trains {_speed(seconds, other, _speedup_in(results[main]))} {others[0]}: "
            f"{si(seconds, 's')} against {si(other, 's')}"
        )
    phases = {name: LATENCY.of(row) for name, row in by_phase(results[main]).items()}
    title = f"Training takes {si(seconds, 's')} on {main}"
    if not phases or not seconds:
        return title
    phase = max(phases, key=lambda name: phases[name])
    return f"{title}, {share(phases[phase], seconds)} of it in {spoken(phase)}"


def _speedup_in(result: ResultDocument) -> IntervalRow | None:
    uncertainty = result.get("uncertainty")
    return interval_of(uncertainty, LATENCY.ratio.key) if uncertainty and LATENCY.ratio else None


def _speed(ours: float, theirs: float, interval: IntervalRow | None) -> str:
    if _alike(ours, theirs):
        return "about as fast as"
    return f"with {times(theirs / ours)} speedup{bracket(interval)} over"


def _pace(ours: float, theirs: float) -> str:
    return "" if _alike(ours, theirs) else f"  ({times(theirs / ours)})"


def _alike(ours: float, theirs: float) -> bool:
    return not ours or not theirs or 0.995 < theirs / ours < 1.005
