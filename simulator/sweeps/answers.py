"""What a finished sweep answers: the best point under conditions."""

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from simulator.errors import InputError, nearest
from simulator.results.metrics import ACCURACY, ERROR, column_of, minimisable
from simulator.sweeps.condition import ColumnLimit, column_for, limit_of, where
from simulator.sweeps.sampled import SAMPLES, stays_best
from simulator.views.design_space import PointRow
from simulator.views.reasons import shortfalls

if TYPE_CHECKING:
    import polars


def measure(table: "polars.DataFrame", name: str) -> str:
    """Return the column of numbers that `name` stands for: energy_j for "energy".

    Raises InputError naming those that are probably meant.
    """
    column = column_for(name, table.columns)
    if column == ACCURACY.key:  # the most accurate has the least error
        column = ERROR.key
    if not table.schema[column].is_numeric():
        raise InputError(f"{name}: {column} is no number; choose one such as energy or latency")
    return column


def objectives_of(text: str, measures: Sequence[str] = minimisable()) -> tuple[str, ...]:
    """Return the columns of "latency,energy", among `measures`: what a search makes least of.

    Raises InputError for an unknown one, before there is a table.
    """
    objectives = tuple(_objective(name.strip(), measures) for name in text.split(","))
    if len(set(objectives)) < len(objectives):
        raise InputError(f"--minimize {text}: names the same twice")
    return objectives


def _objective(name: str, measures: Sequence[str]) -> str:
    try:
        column = column_for(name, measures)
        return ERROR.key if column == ACCURACY.key else column  # the most accurate errs least
    except InputError:
        hint = nearest(name, measures)
        if name in (ACCURACY.key, ERROR.key):
            hint = "say with --accuracy how accurate the networks are"
        raise InputError(f"--minimize {name}: no such measure; {hint}") from None


def best(table: "polars.DataFrame", name: str, conditions: Sequence[str] = ()) -> PointRow:
    """Return the feasible point that has the least of `name` and meets all `conditions`.

    Of equals the first. Raises InputError when no point does, or a name is unknown.
    """
    column, candidates = _candidates(table, name, conditions)
    row = candidates.sort(column, maintain_order=True).row(0, named=True)
    return {key: value for key, value in row.items() if key != SAMPLES}


class ShadowPrice(NamedTuple):
    """What a limit costs: the least of a column with it as it is, and with another bound.

    `bound` is the other one; `otherwise` is None where no point meets it and the other conditions.
    """

    limit: ColumnLimit
    column: str
    least: float
    bound: str
    otherwise: float | None


def shadow_prices(
    table: "polars.DataFrame",
    name: str,
    conditions: Sequence[str],
    constraints: Sequence[str] = (),
) -> list[ShadowPrice]:
    """Return what each limit costs the `best`: solved again among the points of the table with a
    tenth more of it, and a tenth less; of an accuracy, that is a tenth of its error.

    `constraints` are those that the sweep ran under: it left out the points beyond, so that the
    table tells what tightening costs and nothing of relaxing.
    """
    prices, left = [], len(conditions)
    conditions = [*conditions, *constraints]
    for place, text in enumerate(conditions):
        limit = limit_of(text)
        if limit is None:
            continue
        column, least = _least(table, name, conditions)
        for tenths in _TENTHS:
            other = limit.scaled(tenths)
            is_looser = (other.number > limit.number) == limit.is_upper
            if place >= left and is_looser:
                continue
            changed = [*conditions[:place], other.text, *conditions[place + 1 :]]
            otherwise = None
            with suppress(InputError):
                _, otherwise = _least(table, name, changed)
            prices.append(ShadowPrice(limit, column, least, other.bound, otherwise))
    return prices


_TENTHS = Decimal("1.1"), Decimal("0.9")


def _least(table: "polars.DataFrame", name: str, conditions: Sequence[str]) -> tuple[str, float]:
    column, candidates = _candidates(table, name, conditions)
    return column, column_of(column).of(candidates.sort(column).row(0, named=True))


def best_in_samples(
    table: "polars.DataFrame", name: str, conditions: Sequence[str] = ()
) -> float | None:
    """Return in which share of the samples the `best` point stays so among those it was chosen of.

    None where not all of them were sampled, or by a measure that samples have not.
    """
    column, candidates = _candidates(table, name, conditions)
    return stays_best(candidates.sort(column, maintain_order=True), column)


def _candidates(
    table: "polars.DataFrame", name: str, conditions: Sequence[str]
) -> "tuple[str, polars.DataFrame]":
    points = table.filter(table["feasible"] & (table["baseline"] == ""))
    if not points.height:
        reasons = table.filter(table["baseline"] == "")["reason"].to_list()
        lacks = "".join(f"{each}; " for each in shortfalls(str(each or "") for each in reasons))
        raise InputError(
            f"no point of {table.height} has a result: {lacks}see their reasons in the table"
        )
    column = measure(table, name)
    candidates = where(points, conditions).drop_nulls(column)
    if not candidates.height:
        texts = " and ".join(map(repr, conditions))
        wish = f"meets {texts}" if conditions else f"has {column}"
        raise InputError(f"no point of {points.height} {wish}: ask for less, or add points")
    return column, candidates
