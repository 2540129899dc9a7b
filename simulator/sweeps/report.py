"""What a sweep found, on screen: the front of its objectives, the best, what cannot run."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from simulator.si import percent, si, si_range, times
from simulator.sweeps.table import OBJECTIVES, knobs_of, with_front
from simulator.views.design_space import Axis, Measure, SweepTable, named
from simulator.views.sensitivity import main_effects

if TYPE_CHECKING:
    import polars

_SHOWN = 15


def drawable(table: "polars.DataFrame", objectives: Sequence[str] = OBJECTIVES) -> SweepTable:
    """Return a table as the figures take it, with the front of these `objectives`."""
    fronted = with_front(table, objectives)
    return SweepTable(fronted.to_dicts(), knobs_of(table), tuple(objectives))


def sweep_report(table: "polars.DataFrame", objectives: Sequence[str] = OBJECTIVES) -> Table:
    """Return the points that no other beats in the objectives, and the baselines below them."""
    space = drawable(table, objectives)
    names = " and ".join(Measure(name).name for name in objectives)
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"Best in {names}{_length(space)}")
    labels = [axis.label for axis in space.axes] or [""]  # of baselines, where nothing varies
    for heading in (*labels, "latency", "energy", "area", "array use", "of busy time"):
        view.add_column(heading, justify="right")
    front = [row for row in space.feasible if row["pareto"]]
    front.sort(key=lambda row: (str(row["trace"]), row[objectives[0]]))
    for row in front[:_SHOWN]:
        told = [axis.text(axis.of(row)) for axis in space.axes] or [""]
        view.add_row(*told, *_measures(row))
    if space.baselines:
        view.add_section()
        for row in space.rows:
            if row["baseline"] and row["feasible"]:
                view.add_row(*_names(row, space.axes), *_measures(row))
    view.caption = _caption(space, len(front))
    return view


def effects_sentence(table: "polars.DataFrame", name: str = "energy_j") -> str:
    """Return how much each knob matters for a measure by itself, in words.

    Empty where not every knob can be told, as in the points of a search.
    """
    space = drawable(table)
    axes = {axis.knobs[0]: axis for axis in space.axes}
    measure = Measure(name)
    found = main_effects(space.feasible, list(axes), measure.of)
    told = [
        f"{axes[each.knob].label} {times(each.ratio)} (best {axes[each.knob].text(each.best)})"
        for each in found
    ]
    if not told or len(told) < len(axes):
        return ""
    return f"alone, each knob changes {measure.name} by up to: {', '.join(told)}"


def best_sentence(
    table: "polars.DataFrame", row: Mapping[str, Any], column: str, stays: float | None = None
) -> str:
    """Return the best point of a table in words, and in which share of samples it stays so."""
    others = [name for name in (*OBJECTIVES, "area_total_mm2") if name != column]
    beside = [f"{Measure(each).name} {_whole(each, row)}" for each in others if row.get(each)]
    where = named(row, drawable(table).axes)
    least = f"least {Measure(column).name}: {_whole(column, row)}"
    sure = "" if stays is None else f"; the best in {percent(stays, 1, 0)} of the samples"
    return f"{least} at {where} ({', '.join(beside)}){sure}"


def _measures(row: Mapping[str, Any]) -> list[str]:
    area = Measure("area_total_mm2").text(row)
    used = (row.get(key) for key in ("array_use", "array_utilization"))
    shares = ["-" if each is None else percent(each, 1) for each in used]
    return [si(row["latency_s"], "s"), si(row["energy_j"], "J"), area, *shares]


def _whole(column: str, row: Mapping[str, Any]) -> str:
    """Return a measure of the whole run with its unit, and its interval if it was sampled."""
    unit, value = Measure(column).unit, row[column]
    stem = column.removesuffix(f"_{unit}")
    low, high = (row.get(f"{stem}_{end}_{unit}") for end in ("p05", "p95"))
    if low is not None and high is not None:
        return si_range(value, low, high, unit)
    return si(value, unit)


def _names(row: Mapping[str, Any], axes: Sequence[Axis]) -> list[str]:
    """Return the cells of a baseline: its name, and which training it runs."""
    told = ["" if axis.of(row) is None else axis.text(axis.of(row)) for axis in axes] or [""]
    return [" ".join(filter(None, (row["baseline"], told[0]))), *told[1:]]


def _length(space: SweepTable) -> str:
    epochs = {row.get("epochs") or 1 for row in space.feasible}
    return f", whole run of {max(epochs)} epochs" if len(epochs) == 1 and max(epochs) > 1 else ""


def _caption(space: SweepTable, front: int) -> str | None:
    told = [f"{_SHOWN} of {front} on the front; the table has all"] if front > _SHOWN else []
    infeasible = len(space.points) - len(space.feasible)
    if infeasible:
        told.append(f"{infeasible} of {len(space.points)} points cannot run; see their reason")
    return "; ".join(told) or None
