"""What the size of the array does: energy per epoch by component, and how much of it is in use."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from simulator.results.metrics import ENERGY_BY_COMPONENT, column_of, components_in, metric
from simulator.si import digits, scale, share
from simulator.views.design_space import (
    COLS,
    ENERGY,
    ROWS,
    TIMES,
    PointRow,
    SweepTable,
    best_by,
    epochs_of,
)
from simulator.views.plots.canvas import (
    BLACK,
    COMPONENTS,
    GREY,
    PHASES,
    canvas,
    colour,
    coloured,
    in_order,
    legend,
    short,
    spoken,
    swatches,
)
from simulator.views.plots.sweep_notes import (
    enumeration,
    mark_spacing,
    number_axis,
    scene,
    thinned,
)

Shape = tuple[int, int]

_SHAPES = 14  # more bars than this: one per number of elements
_NAMED = 14
_GAPS = 100  # more bars stand side by side: gaps below a pixel would be stripes
_NAME_CHARACTERS = 65  # more on one line would touch
_MARKS = "os^Dv<>pPX"
_UTILIZATION = metric("array_utilization")


def energy_by_array(table: SweepTable) -> Figure | None:
    """Draw the least energy per epoch of each array, stacked by component, smallest first.

    With more than 14 shapes, the best of each number of elements. None unless the shape varies and
    a point runs.
    """
    tried = _shapes(table)
    best: dict[Shape, PointRow] = best_by(table.feasible, _shape, ENERGY) if tried else {}
    if len(tried) < 2 or not best:
        return None
    several = len(tried) > _SHAPES
    shapes = _best_shapes(tried, best) if several else tried
    figure = canvas(_title(best), _energy_note(table, several=several))
    axes = figure.subplots()
    names = [*(_shape_text(shape) for shape in shapes), *(short(n, 12) for n in table.baselines)]
    rows = [*(best.get(shape) for shape in shapes), *table.baselines.values()]
    components = _components(rows)
    _stacks(axes, rows, components)
    at = [*thinned(shapes, _NAMED), *range(len(shapes), len(rows))]
    crowded = sum(len(names[i]) for i in at) > _NAME_CHARACTERS
    axes.set_xticks(at, [names[i] for i in at], rotation=90 if crowded else 0)
    if table.baselines:
        axes.axvline(len(shapes) - 0.5, color=GREY, linewidth=0.6, linestyle=":")
    axes.set_xlabel(f"array, rows{TIMES}columns, by number of elements")
    legend(figure, swatches(COMPONENTS, reversed(components)), "energy of")
    return figure


def utilization(table: SweepTable) -> Figure | None:
    """Draw the share of each array that is in use while the accelerator is busy, per phase, at its
    point of least energy.

    None unless the number of elements varies among points that run, or no phase uses the array.
    """
    best = best_by(table.feasible, _elements, ENERGY) if _shapes(table) else {}
    sizes = sorted(best)
    phases = _phases(best)
    if len(sizes) < 2 or not phases:
        return None
    overall = [_UTILIZATION.of(best[size]) for size in sizes]
    figure = canvas(_use_title(sizes, overall), _use_note(table))
    axes = figure.subplots()
    handles: list[Artist] = []
    for phase, mark in zip(phases, _MARKS, strict=False):
        column = column_of(f"{phase}_{_UTILIZATION.key}")
        used = [column.get(best[size]) for size in sizes]
        y = [float("nan") if value is None else float(value) for value in used]
        look: dict[str, Any] = {
            "color": colour(PHASES, phase),
            "marker": mark,
            "ms": 4.5,
            "lw": 1.3,
        }
        axes.plot(sizes, y, markevery=mark_spacing(len(sizes)), **look)
        handles.append(Line2D([], [], label=spoken(phase), **look))
    axes.plot(sizes, overall, color=BLACK, linewidth=1.3, linestyle="--")
    handles.append(Line2D([], [], color=BLACK, linestyle="--", label="all phases"))
    number_axis(axes, sizes, list(map(str, sizes)), "array, number of elements")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("array in use, of busy time")
    axes.grid(visible=True)
    legend(figure, handles, "phase")
    return figure


def _shape(row: PointRow) -> Shape:
    return cast(int, row[ROWS]), cast(int, row[COLS])


def _elements(row: PointRow) -> int:
    rows, cols = _shape(row)
    return rows * cols


def _shapes(table: SweepTable) -> list[Shape]:
    """Return the shapes of the space by size; none where a point does not tell its shape."""
    shaped = [row for row in table.points if row.get(ROWS) and row.get(COLS)]
    shapes = {_shape(row) for row in shaped} if len(shaped) == len(table.points) else set()
    return sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape))


def _best_shapes(tried: Sequence[Shape], best: Mapping[Shape, PointRow]) -> list[Shape]:
    """Return one shape per number of elements, that of least energy if any of them runs."""
    chosen: dict[int, Shape] = {}
    for shape in tried:
        rival = chosen.setdefault(shape[0] * shape[1], shape)
        if _joules(best.get(shape)) < _joules(best.get(rival)):
            chosen[shape[0] * shape[1]] = shape
    return list(chosen.values())


def _joules(row: PointRow | None) -> float:
    value = ENERGY.of(row) if row else None
    return float("inf") if value is None else value


def _shape_text(shape: Shape) -> str:
    return f"{shape[0]}{TIMES}{shape[1]}"


def _stacks(axes: Axes, rows: Sequence[PointRow | None], components: Sequence[str]) -> None:
    tops = [ENERGY.of(row) or 0.0 if row else 0.0 for row in rows]
    factor, prefix = scale(max(tops))
    bottom, colours = [0.0] * len(rows), coloured(COMPONENTS, components)
    width = 0.75 if len(rows) <= _GAPS else 1.0
    for name in components:
        heights = [_component(row, name) / factor for row in rows]
        axes.bar(range(len(rows)), heights, width, bottom, color=colour(colours, name))
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    for x, row in enumerate(rows):
        text, turned = ("cannot run", True) if row is None else (digits(tops[x] / factor), False)
        if row is not None and len(rows) > _SHAPES + 4:
            continue
        axes.annotate(
            text, (x, bottom[x]), (0, 2), textcoords="offset points", ha="center", fontsize=7.5,
            rotation=90 if turned else 0, color=GREY if turned else BLACK,
        )  # fmt: skip
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.set_ylim(0, 1.1 * max(tops) / factor or 1)
    axes.set_ylabel(f"energy per epoch ({prefix}J)")
    axes.grid(axis="y")


def _components(rows: Iterable[PointRow | None]) -> list[str]:
    """Return the components that spend anything in any of `rows`."""
    points = (row for row in rows if row)
    return in_order(
        COMPONENTS, (n for row in points for n in components_in(row) if _component(row, n))
    )


def _component(row: PointRow | None, name: str) -> float:
    if row is None:
        return 0.0
    return column_of(ENERGY_BY_COMPONENT.column.format(name)).of(row) / epochs_of(row)


def _title(best: Mapping[Shape, PointRow]) -> str:
    shape = min(best, key=lambda shape: _joules(best[shape]))
    row = best[shape]
    parts = {name: _component(row, name) for name in components_in(row)}
    most = max(parts, key=lambda name: parts[name])
    text = f"An array of {_shape_text(shape)} takes the least energy per epoch, {ENERGY.text(row)}"
    if not parts[most]:
        return text
    return f"{text}, {share(parts[most], _joules(row))} of it for the {spoken(most)}"


def _energy_note(table: SweepTable, *, several: bool) -> str:
    shape = " One bar per number of elements: its best shape." if several else ""
    return f"{scene(table)}{_over(table, 'Each bar')}{shape}"


def _over(table: SweepTable, what: str) -> str:
    others = [axis.label for axis in table.axes if not {ROWS, COLS} & set(axis.knobs)]
    return f" {what} is the point of least energy over {enumeration(others)}." if others else ""


def _phases(best: Mapping[int, PointRow]) -> list[str]:
    ending = f"_{_UTILIZATION.key}"
    columns = {
        column.removesuffix(ending)
        for row in best.values()
        for column, value in row.items()
        if column.endswith(ending) and value
    }
    return in_order(PHASES, sorted(columns))


def _use_title(sizes: Sequence[int], overall: Sequence[float]) -> str:
    first, last = (share(value, 1) for value in (overall[0], overall[-1]))
    if first == last:
        return (
            f"While busy, {first} of the array is in use, of {sizes[0]} elements as of {sizes[-1]}"
        )
    verb = "falls" if overall[-1] < overall[0] else "rises"
    return f"While busy, use {verb} from {first} of {sizes[0]} elements to {last} of {sizes[-1]}"


def _use_note(table: SweepTable) -> str:
    return (
        f"{scene(table)} Each mark is the point of least energy with that many elements. "
        "In use, of busy time: MACs done over what the array could do while it is busy."
    )
