"""The table of a sweep: a row per point, in the order of its space, whatever finished first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.results.metrics import AREA, LEADING, OBJECTIVES, OF_NETWORK, using
from simulator.views.design_space import PointRow
from simulator.views.pareto import pareto_front

if TYPE_CHECKING:
    import polars

CLOCK_BEYOND = "clock_beyond_format"
"""The column of an array's clock over what its number format reaches, where it is beyond that."""
_IDENTITY = ("hardware", "trace", "method", "baseline")
_ANSWER = ("feasible", "reason", "pareto")
_FIRST = ("epochs", *(each.key for each in (*using(LEADING), *OF_NETWORK, AREA)))


def table_of(
    points: Sequence[PointRow],
    finished: "polars.DataFrame",
    knobs: Sequence[str],
    objectives: Sequence[str] = OBJECTIVES,
) -> "polars.DataFrame":
    """Return a row for each of `points`: what tells the point apart, and how it went.

    `points` have the address of a finished point as "point", or their own reason. The front of
    `objectives` is that of the points of each trace, baselines aside.
    """
    import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

    frame = pl.DataFrame(list(points), infer_schema_length=None, strict=False)
    # What a point is known to be now, such as accurate, counts, and not what it was when it ran.
    own = [*_keys(finished), *(name for name in frame.columns if name != "point")]
    measures = finished.drop(list(dict.fromkeys(own)), strict=False)
    table = frame.join(measures, on="point", how="left", maintain_order="left")
    for name in ("feasible", "reason"):
        ways = [way for way in (f"{name}_own", name) if way in table.columns]
        table = table.with_columns(pl.coalesce(ways).alias(name)).drop(f"{name}_own", strict=False)
    return _ordered(with_front(table, objectives), knobs)


def with_front(table: "polars.DataFrame", objectives: Sequence[str]) -> "polars.DataFrame":
    """Return `table` with a column `pareto`: of its trace, which points no other one beats."""
    import polars as pl  # noqa: PLC0415

    pareto = pl.Series("pareto", [False], dtype=pl.Boolean).new_from_index(0, table.height)
    if all(name in table.columns for name in objectives):
        numbered = table.select("trace", "baseline", "feasible", *objectives).with_row_index("_row")
        runs = numbered.filter(pl.col("feasible") & (pl.col("baseline") == "")).drop_nulls(
            objectives
        )
        for part in runs.partition_by("trace"):
            front = pareto_front(part.select(objectives).to_numpy())
            pareto[part["_row"].filter(pl.Series(front))] = True
    return table.with_columns(pareto)


def knobs_of(table: "polars.DataFrame") -> list[str]:
    """Return the columns of a table that tell its points apart: those that vary."""
    points = table.filter(table["baseline"] == "")
    apart = (key for key in _keys(table) if key not in ("hardware", "baseline"))
    return [key for key in apart if points[key].n_unique() > 1]


def _keys(table: "polars.DataFrame") -> list[str]:
    """Return the columns that tell points apart: settings have dots in their names."""
    labels = (*_IDENTITY, "batch")
    return [name for name in table.columns if "." in name or name in labels]


def _ordered(table: "polars.DataFrame", knobs: Sequence[str]) -> "polars.DataFrame":
    """Return `table` with its columns in an order independent of what finished first."""
    first = [*knobs, *_IDENTITY, *_ANSWER, *_FIRST]
    head = [name for name in dict.fromkeys(first) if name in table.columns]
    rest = sorted(name for name in table.columns if name not in head and name != "point")
    return table.select(*head, *rest, "point")
