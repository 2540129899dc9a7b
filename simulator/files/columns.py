"""Rules for every row of a table, checked on whole columns at little cost."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import polars as pl


class ColumnRule(NamedTuple):
    """What holds of `field` in every row, and what to say where it does not."""

    field: str
    holds: pl.Expr
    says: str


class Broken(NamedTuple):
    """A rule, and the first row that breaks it."""

    rule: ColumnRule
    row: dict[str, Any]


def first_broken(frame: pl.DataFrame, stages: Iterable[Sequence[ColumnRule]]) -> Broken | None:
    """Return the first rule that a row breaks; a rule may trust those of the stages before it.

    A rule that is null for a row does not hold there.
    """
    for rules in stages:
        holds = [rule.holds.fill_null(value=False) for rule in rules]
        verdicts = frame.select(each.all().alias(str(at)) for at, each in enumerate(holds)).row(0)
        for rule, each, all_hold in zip(rules, holds, verdicts, strict=True):
            if not all_hold:
                return Broken(rule, frame.filter(~each).row(0, named=True))
    return None


def present(name: str) -> ColumnRule:
    """Return the rule that a column has no nulls."""
    return ColumnRule(name, pl.col(name).is_not_null(), "missing")


def at_least(name: str, least: int) -> ColumnRule:
    """Return the rule that the numbers of a column are `least` or more."""
    return ColumnRule(name, pl.col(name) >= least, f"not a whole number from {least} on")


def one_of(name: str, words: Iterable[str]) -> ColumnRule:
    """Return the rule that a column holds these words only."""
    return ColumnRule(name, pl.col(name).is_in(list(words)), f"no {name} that trainsoc knows")
