"""What a sweep found, on screen: the front of its objectives, the best, what cannot run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from simulator.hardware.settings import quantity_of
from simulator.results.text import digits, percent, si
from simulator.sweeps.job import Row
from simulator.sweeps.table import OBJECTIVES, knobs_of

if TYPE_CHECKING:
    import polars

_SHOWN = 15


def sweep_report(table: "polars.DataFrame", objectives: Sequence[str] = OBJECTIVES) -> Table:
    """Return the points that no other beats in the objectives, and the baselines below them."""
    names = " and ".join(plain_name(name) for name in objectives)
    ways = [key for key in ("trace", "method") if table[key].n_unique() > 1]
    knobs = ways + [key for key in knobs_of(table) if key not in ways]
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"Best in {names}")
    names_of = [heading(knob) for knob in knobs] or [""]  # of baselines, where nothing varies
    for column in (*names_of, "latency", "energy", "area", "array use"):
        view.add_column(column, justify="right")
    if "latency_s" in table.columns:
        front = table.filter(table["pareto"]).sort([*ways, objectives[0]])
        for row in front.head(_SHOWN).iter_rows(named=True):
            view.add_row(*_cells(row, knobs))
        _add_baselines(view, table, knobs)
    view.caption = _caption(table, _SHOWN)
    return view


def best_sentence(row: Row, name: str, knobs: Sequence[str]) -> str:
    """Return the best point in words."""
    where = ", ".join(f"{heading(key)} {setting(key, row[key])}" for key in knobs)
    others = [n for n in (*OBJECTIVES, "area_total_mm2") if n != name and row.get(n) is not None]
    beside = ", ".join(f"{plain_name(other)} {quantity(other, row[other])}" for other in others)
    return f"least {plain_name(name)}: {quantity(name, row[name])} at {where} ({beside})"


def heading(key: str) -> str:
    """Return a knob as people say it: "rows" for accelerator.rows, "cpu clock" for cpu.clock."""
    part, _, last = key.rpartition(".")
    return f"{part.rpartition('.')[2]} {last}" if part and part != "accelerator" else last


def setting(key: str, value: Any) -> str:
    """Return the value of a knob with its unit."""
    dimension = quantity_of(key)
    return dimension.text(value) if dimension and isinstance(value, int) else str(value)


def plain_name(column: str) -> str:
    """Return what a column measures, in words: "energy" for energy_j."""
    known = {"area_total_mm2": "area"}
    name, _, unit = column.rpartition("_")
    plain = name if unit in ("s", "j", "w", "bytes", "mm2") else column
    return known.get(column, plain.replace("_", " "))


def quantity(column: str, value: float) -> str:
    """Return a measure with its unit."""
    unit = column.rpartition("_")[2]
    if unit == "mm2":
        return f"{digits(value)} mm2"
    return si(value, unit.upper() if unit in ("j", "w") else unit) if unit in "sjw" else f"{value}"


def _cells(row: Row, knobs: Sequence[str]) -> list[str]:
    used = percent(row["array_utilization"], 1)
    area = f"{digits(row['area_total_mm2'])} mm2" if row["area_total_mm2"] is not None else "-"
    told = [setting(knob, row[knob]) if row[knob] is not None else "" for knob in knobs]
    told = told or [""]
    return [*told, si(row["latency_s"], "s"), si(row["energy_j"], "J"), area, used]


def _add_baselines(view: Table, table: "polars.DataFrame", knobs: Sequence[str]) -> None:
    others = table.filter((table["baseline"] != "") & table["feasible"])
    if others.height:
        view.add_section()
    for row in others.iter_rows(named=True):
        cells = _cells(row, knobs)
        if cells[0] in ("", row["trace"], row["method"]):
            cells[0] = " ".join(filter(None, (row["baseline"], cells[0])))
        view.add_row(*cells)


def _caption(table: "polars.DataFrame", shown: int) -> str | None:
    told = []
    front = int(table["pareto"].sum())
    if front > shown:
        told.append(f"{shown} of {front} on the front; the table has all")
    infeasible = table.height - int(table["feasible"].sum())
    if infeasible:
        told.append(f"{infeasible} of {table.height} points cannot run; see their reason")
    return "; ".join(told) or None
