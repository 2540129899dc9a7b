"""One knob against energy and latency, a line per value of another; and how much each matters."""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simulator.si import digits, times
from simulator.views.design_space import (
    ENERGY,
    LATENCY,
    KnobAxis,
    Measure,
    SweepTable,
    best_by,
)
from simulator.views.plots.canvas import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    canvas,
    legend,
    only,
    short,
)
from simulator.views.plots.sweep_notes import (
    enumeration,
    mark_spacing,
    number_axis,
    scene,
    span_axis,
    thinned,
)
from simulator.views.sensitivity import MainEffect, main_effects

_LINES = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
_MARKS = "osD^vPX"
_MEASURES = {ENERGY: VERMILLION, LATENCY: BLUE}
_ROW_INCHES = 0.5
_EM, _WIDTH = 4.0, 380.0  # points: of a character, of the narrowest axes
_NOTHING_MATTERS = 1.005  # a ratio that is written as 1


def curves(table: SweepTable) -> Figure | None:
    """Draw energy and latency over the numeric knob of most values, best over the remaining knobs.

    A line per value of the other knob that moves energy most, at most seven of them. None without
    a numeric knob, or when fewer than two of its values run.
    """
    numeric = [axis for axis in table.axes if axis.numeric]
    if not numeric or not table.feasible:
        return None
    x = max(numeric, key=lambda axis: len(axis.values))
    if len({x.of(row) for row in table.feasible}) < 2:
        return None
    lines = _line_axis(table, x)
    figure = canvas(_title(table, x, lines), _note(table, x, lines), 5.4)
    panels = figure.subplots(2, 1, sharex=True)
    for axes, measure in zip(panels, _MEASURES, strict=True):
        _panel(axes, table, x, lines, measure)
    number_axis(panels[-1], x.values, [x.text(value) for value in x.values], x.label)
    shown = _shown(table, lines)
    handles: list[Artist] = [
        Line2D([], [], color=_LINES[i], marker=_MARKS[i], ms=5, label=short(lines.text(value)))
        for i, value in enumerate(shown)
        if lines
    ]
    legend(figure, handles, lines.label if lines else None)
    return figure


def sensitivity(table: SweepTable) -> Figure | None:
    """Draw how far energy and latency go when one knob alone moves.

    None where no knob can be compared.
    """
    by_knob = {axis.knobs[0]: axis for axis in table.axes}
    effects = {m: main_effects(table.feasible, list(by_knob), m.of) for m in _MEASURES}
    order = [effect.knob for effect in effects[ENERGY]]
    order += [e.knob for e in effects[LATENCY] if e.knob not in order]
    if not order:
        return None
    figure = canvas(
        _effect_title(effects, by_knob), _effect_note(table, order, by_knob),
        1.6 + _ROW_INCHES * max(3, len(order)),
    )  # fmt: skip
    axes = figure.subplots()
    for place, (measure, paint) in enumerate(_MEASURES.items()):
        for effect in effects[measure]:
            y = order.index(effect.knob) + 0.38 * (place - 0.5)
            axes.barh(y, effect.ratio - 1, 0.36, left=1, color=paint)
            text = _effect_text(effect, by_knob[effect.knob])
            axes.annotate(text, (effect.ratio, y), (3, 0), textcoords="offset points",
                          va="center", fontsize=7)  # fmt: skip
    axes.set_yticks(range(len(order)), [by_knob[knob].label for knob in order])
    axes.tick_params("y", length=0)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(1, 1 + _span(effects, by_knob))
    axes.set_xlabel("worst over best mean when this knob alone moves (1: it changes nothing)")
    axes.grid(axis="x")
    only(axes, "left", "bottom")
    handles: list[Artist] = [
        Line2D([], [], ls="", marker="s", ms=7, color=paint, label=measure.name)
        for measure, paint in _MEASURES.items()
    ]
    legend(figure, handles)
    return figure


def _line_axis(table: SweepTable, x: KnobAxis) -> KnobAxis | None:
    """Return the axis besides `x` that moves energy most, else the one of fewest values."""
    others = {axis.knobs[0]: axis for axis in table.axes if axis != x}
    effects = main_effects(table.feasible, [*others, x.knobs[0]], ENERGY.of)
    strongest = (others[effect.knob] for effect in effects if effect.knob in others)
    fewest = sorted(others.values(), key=lambda axis: len(axis.values))
    return next(strongest, fewest[0] if fewest else None)


def _shown(table: SweepTable, lines: KnobAxis | None) -> list[object]:
    """Return the values that get a line: all, or seven from end to end, the best among them."""
    if lines is None:
        return [None]
    selection = thinned(lines.values, len(_LINES))
    least = min(table.feasible, key=lambda row: ENERGY.of(row) or 0.0)
    best = lines.values.index(lines.of(least))
    if best not in selection:
        selection.remove(min(selection[1:-1], key=lambda i: abs(i - best)))
        selection = sorted([*selection, best])
    return [lines.values[i] for i in selection]


def _panel(
    axes: Axes, table: SweepTable, x: KnobAxis, lines: KnobAxis | None, measure: Measure
) -> None:
    best = best_by(
        table.feasible, lambda row: (lines.of(row) if lines else None, x.of(row)), measure
    )
    values = {place: measure.of(row) or 0.0 for place, row in best.items()}
    shown = _shown(table, lines)
    for i, name in enumerate(shown):
        y = [values.get((name, at), float("nan")) for at in x.values]
        size = 8 - 0.7 * i  # lines that coincide are still seen
        axes.plot(
            x.values, y, color=_LINES[i], marker=_MARKS[i], ms=size, lw=1.3,
            markevery=mark_spacing(len(x.values)),
        )  # fmt: skip
    heights = [value for (name, _), value in values.items() if name in shown]
    span_axis(axes, "y", measure, heights, measure.label(table.points))
    if axes.get_yscale() == "linear":
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])  # marks that are all alike lie on the edge
    axes.grid(visible=True)


def _title(table: SweepTable, x: KnobAxis, lines: KnobAxis | None) -> str:
    by_value = best_by(table.feasible, x.of, ENERGY)
    least = min(by_value.values(), key=lambda row: ENERGY.of(row) or 0.0)
    most = max(by_value.values(), key=lambda row: ENERGY.of(row) or 0.0)
    where = f" with {lines.phrase(lines.of(least))}" if lines else ""
    energy = ENERGY.label(table.points).capitalize()
    title = f"{energy} is least at {x.phrase(x.of(least))}{where}, {ENERGY.text(least)}"
    if len(by_value) < 2:
        return title
    if ENERGY.text(most) == ENERGY.text(least):
        return f"{energy} is {ENERGY.text(least)} at best, whatever the {x.label}"
    return f"{title}; at {x.phrase(x.of(most))} it is {ENERGY.text(most)} at best"


def _note(table: SweepTable, x: KnobAxis, lines: KnobAxis | None) -> str:
    others = [axis.label for axis in table.axes if axis not in (x, lines)]
    best = f" Each mark is the best over {enumeration(others)}, chosen per panel." if others else ""
    left_out = len(lines.values) - len(_LINES) if lines else 0
    some = f" {left_out} values of {lines.label} are left out." if lines and left_out > 0 else ""
    return f"{scene(table)}{best}{some}"


def _span(effects: dict[Measure, list[MainEffect]], by_knob: dict[str, KnobAxis]) -> float:
    """Return how far beyond 1 the axis must go until the text right of each bar fits."""
    return max(
        0.01,
        *(
            (effect.ratio - 1)
            / (1 - _EM * len(_effect_text(effect, by_knob[effect.knob])) / _WIDTH)
            for ranked in effects.values()
            for effect in ranked
        ),
    )


def _effect_text(effect: MainEffect, axis: KnobAxis) -> str:
    best, worst = (short(axis.text(value), 20) for value in (effect.best, effect.worst))
    if effect.ratio < _NOTHING_MATTERS:
        return "1"
    return f"{digits(effect.ratio)}: {best} best, {worst} worst"


def _effect_title(effects: dict[Measure, list[MainEffect]], by_knob: dict[str, KnobAxis]) -> str:
    first = {measure: ranked[0] for measure, ranked in effects.items() if ranked}
    parts = [
        f"{m.name} on {by_knob[e.knob].label}, up to {times(e.ratio)}"
        for m, e in first.items()
        if e.ratio >= _NOTHING_MATTERS
    ]
    if not parts:
        return "No knob by itself changes energy or latency"
    title = "; ".join(parts).replace(" on ", " depends most on ", 1)
    return title[0].upper() + title[1:]


def _effect_note(table: SweepTable, order: Sequence[str], by_knob: dict[str, KnobAxis]) -> str:
    missing = [axis.label for knob, axis in by_knob.items() if knob not in order]
    left = f" Not comparable: {enumeration(missing)}." if missing else ""
    return (
        f"{scene(table)} Geometric means over the settings of the other knobs at which every "
        f"value of the knob runs.{left}"
    )
