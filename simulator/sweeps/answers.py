"""What a finished sweep answers: the best point under conditions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.errors import InputError
from simulator.sweeps.condition import column_for, where
from simulator.sweeps.job import Row

if TYPE_CHECKING:
    import polars


def measure(table: "polars.DataFrame", name: str) -> str:
    """Return the column of numbers that `name` stands for: energy_j for "energy".

    Raises InputError naming those that are probably meant.
    """
    column = column_for(name, table.columns)
    if not table.schema[column].is_numeric():
        raise InputError(f"{name}: {column} is no number; choose one such as energy or latency")
    return column


def best(table: "polars.DataFrame", name: str, conditions: Sequence[str] = ()) -> Row:
    """Return the feasible point that has the least of `name` and meets all `conditions`.

    Of equals the first. Raises InputError when no point does, or a name is unknown.
    """
    column = measure(table, name)
    points = table.filter(table["feasible"] & (table["baseline"] == ""))
    found = where(points, conditions).drop_nulls(column)
    if not found.height:
        asked = " and ".join(map(repr, conditions)) or "can run"
        verb = "meets" if conditions else "that"
        raise InputError(f"no point of {points.height} {verb} {asked}: ask for less, or add points")
    return found.sort(column, maintain_order=True).row(0, named=True)
