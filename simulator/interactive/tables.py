"""The rows of a result as a table of polars, numbers in the units that columns are named by."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from simulator.results.metrics import COST_BREAKDOWNS, METRICS

if TYPE_CHECKING:
    import polars

_AS_TEXT = {each.key for each in METRICS if each.is_text}
_BY_NAME = {each.key: each for each in COST_BREAKDOWNS if each.key}


def frame(rows: Iterable[Mapping[str, object]]) -> "polars.DataFrame":
    """Return `rows` as a table; what a row has by name becomes a column each: energy_dram_j.

    Exact energies in attojoules, which go beyond 64 bits, are texts, as in the tables of sweeps.
    """
    import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

    return pl.DataFrame([_flat(row) for row in rows], infer_schema_length=None)


def _flat(row: Mapping[str, object]) -> dict[str, object]:
    """Return a row without mappings in it."""
    cells: dict[str, object] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            breakdown = _BY_NAME.get(key)
            columns = breakdown.columns(value) if breakdown else _under(key, value)
            cells |= columns
        else:
            cells[key] = str(value) if key in _AS_TEXT else value
    return cells


def _under(key: str, values: Mapping[str, object]) -> dict[str, object]:
    return {f"{key}_{name}": value for name, value in values.items()}
