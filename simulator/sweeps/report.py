"""The outcome of a sweep on screen: the front of its objectives, the best, what cannot run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from simulator.energy.boundary import ABOUT, USUAL
from simulator.results.metrics import (
    ACCURACY,
    AREA,
    ENERGY,
    LATENCY,
    OBJECTIVES,
    PERCENTILES,
    column_of,
    metric,
)
from simulator.si import percent, si, si_range, times
from simulator.sweeps.answers import ShadowPrice
from simulator.sweeps.rows import rows_of
from simulator.sweeps.table import CLOCK_BEYOND, knobs_of, with_front
from simulator.views.design_space import KnobAxis, Measure, PointRow, SweepTable, epochs_of, named
from simulator.views.frontier import dominated_share, knee
from simulator.views.reasons import shortfalls
from simulator.views.sensitivity import main_effects

if TYPE_CHECKING:
    import polars

_SHOWN = 15
_SHARES = metric("array_use"), metric("array_utilization")


def drawable(
    table: "polars.DataFrame",
    objectives: Sequence[str] = OBJECTIVES,
    constraints: Sequence[str] = (),
) -> SweepTable:
    """Return a table as the figures take it, with the front of these `objectives`.

    `constraints` are those that the sweep ran under.
    """
    fronted = with_front(table, objectives)
    return SweepTable(rows_of(fronted), knobs_of(table), tuple(objectives), tuple(constraints))


def sweep_report(
    table: "polars.DataFrame", objectives: Sequence[str] = OBJECTIVES, width: int | None = None
) -> Table:
    """Return the points that no other beats in the objectives, and the baselines below them.

    Columns of the array are left out where `width` does not suffice.
    """
    space = drawable(table, objectives)
    # Scenarios have several arrays, or none.
    arrays = not space.feasible or any(AREA.key in row for row in space.rows)
    views = [_report(space, objectives, count) for count in ((3, 1, 0) if arrays else (0,))]
    wide = Console(width=10_000, markup=False, emoji=False)
    fitting = (each for each in views if width is None or wide.measure(each).maximum <= width)
    return next(fitting, views[-1])


def _report(space: SweepTable, objectives: Sequence[str], of_array: int) -> Table:
    """Return the report with so many columns of the array."""
    names = " and ".join(Measure(name).name for name in objectives)
    view = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=f"Pareto front in {names}{_length(space)}"
    )
    labels = [axis.label for axis in space.axes] or [""]  # of baselines, where nothing varies
    of_arrays = ("area", "array use", "of busy time")[:of_array]
    further = [Measure(name) for name in objectives if name not in (*OBJECTIVES, AREA.key)]
    beside = (each.name for each in further)
    for heading in (*labels, "latency", "energy", *of_arrays, *beside):
        view.add_column(heading, justify="right")
    front = [row for row in space.feasible if row["pareto"]]
    front.sort(key=lambda row: (str(row["trace"]), column_of(objectives[0]).of(row)))
    cells = 2 + of_array
    for row in front[:_SHOWN]:
        knobs = [axis.text(axis.of(row)) for axis in space.axes] or [""]
        goals = (each.text(row) for each in further)
        view.add_row(*knobs, *_metric_cells(row)[:cells], *goals)
    if space.baselines:
        view.add_section()
        for row in space.rows:
            if row["baseline"] and row["feasible"]:
                view.add_row(*_names(row, space.axes), *_metric_cells(row)[:cells])
    view.caption = _caption(space, len(front))
    return view


def effects_sentence(table: "polars.DataFrame", name: str = ENERGY.key) -> str:
    """Return how much each knob matters for a metric by itself, in words.

    Empty where not every knob can be compared, as in the points of a search.
    """
    space = drawable(table)
    axes = {axis.knobs[0]: axis for axis in space.axes}
    measure = Measure(name)
    effects = main_effects(space.feasible, list(axes), measure.of)
    parts = [
        f"{axes[each.knob].label} {times(each.ratio)} (best: {axes[each.knob].text(each.best)})"
        for each in effects
    ]
    if not parts or len(parts) < len(axes):
        return ""
    return f"sensitivity of {measure.name}, one knob at a time: {', '.join(parts)}"


def front_sentence(table: "polars.DataFrame", objectives: Sequence[str] = OBJECTIVES) -> str:
    """Return the knee of the front, and how much of the space the front dominates, in words.

    Empty for several traces, whose points do not compare, and for a front without a knee.
    """
    space = drawable(table, objectives)
    rows = [row for row in space.feasible if row["pareto"]]
    values = [[column_of(name).of(row) for name in objectives] for row in rows]
    number = knee(values) if len({str(row["trace"]) for row in rows}) == 1 else None
    if number is None:
        return ""
    every = [[column_of(name).of(row) for name in objectives] for row in space.feasible]
    goals = ", ".join(f"{Measure(name).name} {_whole(name, rows[number])}" for name in objectives)
    where = named(rows[number], space.axes)
    covered = percent(dominated_share(values, every), 1, 0)
    return f"knee of the front: {where} ({goals}); the front dominates {covered} of the space"


def price_sentences(prices: Sequence[ShadowPrice]) -> list[str]:
    """Return what each limit costs, in words."""
    return [_price(each) for each in prices]


def _price(price: ShadowPrice) -> str:
    name, limit = Measure(price.column).name, price.limit
    start = f"{limit.name} {limit.sign} {price.bound} instead of {limit.bound}:"
    if price.otherwise is None:
        return f"{start} no point"
    if price.otherwise == price.least:
        return f"{start} {name} as it is"
    change = price.otherwise / price.least - 1 if price.least else float("inf")
    word = "more" if change > 0 else "less"
    return f"{start} {percent(abs(change), 1)} {word} {name}"


def best_sentence(
    table: "polars.DataFrame", row: PointRow, column: str, stays: float | None = None
) -> str:
    """Return the best point of a table in words, and in which share of samples it stays so."""
    others = [name for name in (*OBJECTIVES, AREA.key, ACCURACY.key) if name != column]
    beside = [f"{Measure(each).name} {_whole(each, row)}" for each in others if row.get(each)]
    where = named(row, drawable(table).axes)
    least = f"least {Measure(column).name}: {_whole(column, row)}"
    sure = "" if stays is None else f"; the best in {percent(stays, 1, 0)} of the samples"
    return f"{least} at {where} ({', '.join(beside)}){sure}"


def _metric_cells(row: PointRow) -> list[str]:
    amounts = [si(each.of(row), each.unit) for each in (LATENCY, ENERGY)]
    shares = (each.get(row) for each in _SHARES)
    return [
        *amounts,
        Measure(AREA.key).text(row),
        *("-" if each is None else percent(each, 1) for each in shares),
    ]


def _whole(name: str, row: PointRow) -> str:
    """Return a column of the whole run with its unit, and its interval if it was sampled."""
    column = column_of(name)
    unit, value = column.unit, column.of(row)
    low, high = (column_of(column.between(end)).get(row) for end in PERCENTILES[::2])
    if low is not None and high is not None:
        return si_range(value, low, high, unit)
    return si(value, unit)


def _names(row: PointRow, axes: Sequence[KnobAxis]) -> list[str]:
    """Return the cells of a baseline: its name, and which training it runs."""
    cells = ["" if axis.of(row) is None else axis.text(axis.of(row)) for axis in axes] or [""]
    return [f"{row['baseline']} {cells[0]}".rstrip(), *cells[1:]]


def _length(space: SweepTable) -> str:
    epochs = {epochs_of(row) for row in space.feasible}
    return f" (totals of {max(epochs)} epochs)" if len(epochs) == 1 and max(epochs) > 1 else ""


def _caption(space: SweepTable, front: int) -> str:
    notes = [f"{_SHOWN} of {front} on the front; the table has all"] if front > _SHOWN else []
    if short := shortfalls(space.reasons):
        first, *others = short
        number, _, lack = first.partition(" ")
        texts = [f"{number} of {len(space.points)} points {lack}", *others]
        notes.append(f"{', '.join(texts)}; see their reason")
    fast = sum(row.get(CLOCK_BEYOND) is not None for row in space.feasible)
    if fast:
        notes.append(
            f"{fast} of {len(space.points)} points clock an array faster than its number format "
            f"reaches (column {CLOCK_BEYOND}): give it a pipeline_depth, or a slower clock"
        )
    return "; ".join([*notes, f"energy is that {ABOUT[USUAL]}"])
