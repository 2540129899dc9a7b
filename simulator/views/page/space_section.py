"""A design space as a page shows it: the columns of its points, its front, what bounds it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from simulator.results.metrics import AREA, ENERGY, LATENCY, column_of
from simulator.views.design_space import PointRow, SweepTable
from simulator.views.page.documents import BoundRow, SpaceColumn, SpaceSection

_SHOWN = (
    LATENCY.key, ENERGY.key, AREA.key, "average_power_w", "peak_power_w", "edp_js", "array_use",
    "array_utilization", "cpu_busy_s", "accelerator_busy_s", "dram_read_bytes",
    "dram_write_bytes", "bandwidth_bytes_per_s", "contention_s", "memory_peak_bytes",
    "latency_p95_s", "energy_p95_j",
)  # fmt: skip
_SHARES = {"array_use", "array_utilization"}


class SpaceText(NamedTuple):
    """What is said of a sweep: findings in sentences, its command, its constraints."""

    sentences: Sequence[str] = ()
    command: str = ""
    constraints: Sequence[str] = ()
    bounds: Sequence[BoundRow] = ()


def space_section(label: str, table: SweepTable, text: SpaceText) -> SpaceSection:
    """Return the points of one trace, infeasible ones and baselines too, column by column."""
    rows = [*table.points, *(row for row in table.rows if row.get("baseline"))]
    return {
        "label": label,
        "trace": str(rows[0].get("trace", "")) if rows else "",
        "sentences": list(text.sentences),
        "command": text.command,
        "columns": [*_knobs(table, rows), *_measures(rows)],
        "feasible": [bool(row.get("feasible")) for row in rows],
        "reason": [str(row.get("reason") or "") for row in rows],
        "front": [bool(row.get("pareto")) for row in rows],
        "baseline": [str(row.get("baseline") or "") for row in rows],
        "bounds": list(text.bounds),
        "constraints": list(text.constraints),
        "objectives": list(table.objectives),
    }


def _knobs(table: SweepTable, rows: Sequence[PointRow]) -> Iterable[SpaceColumn]:
    """Yield a column for each axis; its values are text as a description would have it."""
    for axis in table.axes:
        knob = axis.knobs[0]
        values: list[Any] = [row.get(knob) for row in rows]
        yield {
            "key": knob,
            "label": axis.label,
            "unit": "" if axis.numeric else "name",
            "knob": True,
            "values": values,
            "texts": [None if value is None else axis.text(value) for value in values],
        }


def _measures(rows: Sequence[PointRow]) -> Iterable[SpaceColumn]:
    for key in _SHOWN:
        values = [row.get(key) for row in rows]
        if any(value is not None for value in values):
            column = column_of(key)
            yield {
                "key": key,
                "label": column.label,
                "unit": "share" if key in _SHARES else column.unit,
                "knob": False,
                "values": values,
            }
