"""What a sweep found, on screen: the Pareto front of latency and energy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from simulator.results.text import digits, percent, si

if TYPE_CHECKING:
    import polars

_SHOWN = 15


def sweep_report(table: "polars.DataFrame", knobs: Sequence[str]) -> Table:
    """Return the points that no other beats in latency and energy, fastest first."""
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Best in latency and energy")
    for column in (*knobs, "latency", "energy", "area", "array use"):
        view.add_column(column, justify="right")
    best = table.filter(table["pareto"])
    rows = best.sort("latency_s").iter_rows(named=True) if best.height else ()
    for row in list(rows)[:_SHOWN]:
        cells = [str(row[knob]) for knob in knobs]
        used = percent(row["array_utilization"], 1)
        area = f"{digits(row['area_total_mm2'])} mm2"
        view.add_row(*cells, si(row["latency_s"], "s"), si(row["energy_j"], "J"), area, used)
    infeasible = table.height - int(table["feasible"].sum())
    if infeasible:
        view.caption = f"{infeasible} of {table.height} points cannot run; see their reason"
    return view
