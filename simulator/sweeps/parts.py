"""Finished points as read from disk: valid rows, and whether others are damaged."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import polars as pl
from pydantic import AfterValidator, ConfigDict, Field, create_model
from pydantic_core import from_json

from simulator.errors import InputError, shown
from simulator.files.columns import ColumnRule, first_broken, present
from simulator.files.json import Strict, parse_json
from simulator.files.parquet import read_columns
from simulator.results.metrics import ACCURACY_BY_EPOCH, METRICS, OBJECTIVES, TRAINING_PART
from simulator.sweeps.sampled import SAMPLES

_EXACT = tuple(each.key for each in METRICS if each.is_text)
_TEXTS = (
    "point",
    "reason",
    "hardware",
    "trace",
    "method",
    "baseline",
    *_EXACT,
    SAMPLES,
    ACCURACY_BY_EPOCH.key,
)
_FLAGS = ("feasible", "pareto")
_LABELS = (*_FLAGS, "batch")
_POINT = ("point", "feasible")
_BEYOND = 2**63
_SCALARS = (pl.String, pl.Boolean, pl.Int64, pl.Float64, pl.Null)


def _storable(value: Any) -> Any:
    if isinstance(value, int) and not -_BEYOND <= value < _BEYOND:
        raise ValueError("beyond 64 bits")
    return value


_Scalar = Annotated[str | bool | int | float | None, AfterValidator(_storable)]


class _Scalars(Strict):
    """A line of JSON with any columns, whose values are no lists or objects."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Scalar] = Field(init=False)


_FIELDS: dict[str, Any] = {
    "point": (Annotated[str, Field(min_length=1)], ...),
    "feasible": (bool, ...),
    **dict.fromkeys(_TEXTS[1:], (str | None, None)),
}
_Line = create_model("_Line", __base__=_Scalars, **_FIELDS)


class PartRows(NamedTuple):
    """The good rows of a part of the points, and whether it has damaged ones."""

    rows: pl.DataFrame
    damaged: bool


def read_part(path: Path) -> PartRows:
    """Return the points of a part, a Parquet file or lines of JSON; none of one that is gone.

    A last line that was cut off, where a process was killed, is no damage.
    """
    try:
        return _of_lines(path) if path.suffix == ".jsonl" else _of_parquet(path)
    except FileNotFoundError:  # compacted by its process meanwhile
        return PartRows(framed(()), damaged=False)


def framed(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows as a table; one without rows has the column `point` alone."""
    entries = list(rows)
    if not entries:
        return pl.DataFrame(schema={"point": pl.String})
    return pl.DataFrame(entries, infer_schema_length=None, strict=False)


def valid(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return those rows as a table that can be read back."""
    return _good(framed(rows), damaged=False).rows


def misfit(frame: pl.DataFrame, required: Sequence[str]) -> str:
    """Return what is wrong in a table of points, as "field: value: why"; "" if nothing is."""
    for name in required:
        if name not in frame.columns:
            return f"{name}: missing"
    for name, kind in frame.schema.items():
        if kind not in _kinds(name):
            return f"{name}: a column of {kind}"
    broken = first_broken(frame, [_rules(frame, required)])
    if broken is None:
        return ""
    field = broken.rule.field
    return f"{field}: {shown(broken.row[field])}: {broken.rule.says}"


def _of_lines(path: Path) -> PartRows:
    *lines, last = path.read_bytes().split(b"\n")
    rows = [row for row in map(_row, lines) if row is not None]
    damaged = len(rows) < sum(map(bool, lines))
    ending = _row(last)
    return _good(framed([*rows, ending] if ending else rows), damaged=damaged)


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        parse_json(_Line, line, "", "")
    except InputError:
        return None
    row: dict[str, Any] = from_json(line)
    amounts = (value for name, value in row.items() if _is_amount(name))
    return None if any(isinstance(value, str | bool) for value in amounts) else row


def _of_parquet(path: Path) -> PartRows:
    try:
        frame = read_columns(path, None, "")
    except InputError:
        if not path.exists():
            raise FileNotFoundError(path) from None
        return PartRows(framed(()), damaged=True)
    return _good(frame, damaged=False)


def _good(frame: pl.DataFrame, *, damaged: bool) -> PartRows:
    """Return the valid rows; a table with a wrong column has none."""
    if not frame.height:
        return PartRows(framed(()), damaged)
    if any(name not in frame.columns for name in _POINT):
        return PartRows(framed(()), damaged=True)
    if any(kind not in _kinds(name) for name, kind in frame.schema.items()):
        return PartRows(framed(()), damaged=True)
    holds = [rule.holds.fill_null(value=False) for rule in _rules(frame, _POINT)]
    good = frame.filter(holds)
    return PartRows(good, damaged or good.height < frame.height)


def _is_amount(name: str) -> bool:
    """Tell whether a column holds what a point costs; settings have dots in their names."""
    return "." not in name and name not in (*_TEXTS, *_LABELS)


def _kinds(name: str) -> Sequence[Any]:
    if name in _TEXTS:
        return (pl.String, pl.Null)
    if name in _FLAGS:
        return (pl.Boolean,)
    return (pl.Int64, pl.Float64, pl.Null) if _is_amount(name) else _SCALARS


def _rules(frame: pl.DataFrame, required: Sequence[str]) -> list[ColumnRule]:
    floats = [name for name, kind in frame.schema.items() if kind == pl.Float64]
    amounts = [name for name in frame.columns if _is_amount(name)]
    measured = [
        pl.col(name).is_not_null() if name in frame.columns else pl.lit(value=False)
        for name in OBJECTIVES
    ]
    return [
        *map(present, required),
        *(_rule(name, pl.col(name).is_finite(), "not finite") for name in floats),
        *(_rule(name, pl.col(name) >= _least(name), "negative") for name in amounts),
        ColumnRule("feasible", ~pl.col("feasible") | pl.all_horizontal(measured), "not measured"),
    ]


def _least(name: str) -> float:
    """Return the least that a column may hold: rounding may leave a difference just below 0, and
    what is cold is below 0 degC.
    """
    if name.endswith("_degc"):
        return -273.15
    return -1e-6 if name.startswith(f"{TRAINING_PART}_") else 0.0


def _rule(name: str, holds: pl.Expr, says: str) -> ColumnRule:
    return ColumnRule(name, pl.col(name).is_null() | holds, says)
