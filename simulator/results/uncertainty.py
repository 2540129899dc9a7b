"""How sure a result is, in words: intervals behind numbers, and what decides them."""

from collections.abc import Sequence
from typing import NamedTuple

from simulator.results.documents import (
    IntervalRow,
    ResultDocument,
    ShareRow,
    UncertaintyDocument,
    interval_of,
)
from simulator.results.metrics import COMPARED, METRICS
from simulator.si import digits, percent, si, si_range, span

LABELS = {each.key: each.label for each in METRICS} | {
    ratio.key: ratio.label for _, ratio in COMPARED
}
"""What constants decide, as people say it."""
_NAMED = 3  # constants in a sentence; the document has all
_LEAST = 0.05  # of the variance, to be named in a sentence


class Decision(NamedTuple):
    """Which constants decide a metric, the largest share first.

    `r2` is that of the fit behind it; there are no rows where it is too bad to tell.
    """

    label: str
    r2: float
    rows: Sequence[ShareRow]


def si_with(document: ResultDocument, key: str, value: float, unit: str) -> str:
    """Return a value with its unit, and its interval where the document has one for `key`."""
    interval = interval_in(document, key)
    return si_range(value, interval["low"], interval["high"], unit) if interval else si(value, unit)


def interval_in(document: ResultDocument, key: str) -> IntervalRow | None:
    """Return the interval that a document has for `key`; None without one that has a width."""
    uncertainty = document.get("uncertainty")
    interval = interval_of(uncertainty, key) if uncertainty else None
    return interval if interval and interval["low"] < interval["high"] else None


def bracket(interval: IntervalRow | None, *, inverted: bool = False) -> str:
    """Return " (2.3 .. 6.1)", if `inverted` of the inverse ratio; "" where it has no width."""
    if interval is None or not 0 < interval["low"] < interval["high"]:
        return ""
    low, high = interval["low"], interval["high"]
    return f" {span(1 / high, 1 / low) if inverted else span(low, high)}"


def sureness(document: ResultDocument) -> str:
    """Return how sure a run, or its verdict, is: what brackets hold, how often it pays, and why.

    Empty where nothing was sampled.
    """
    account = document.get("uncertainty")
    if not account:
        return ""
    parts = [f"Brackets hold {interval_content(account)}"]
    if "probability_faster" in account:
        parts.append(
            f"faster in {percent(account['probability_faster'], 1, 0)} of them, "
            f"less energy in {percent(account['probability_less_energy'], 1, 0)}"
        )
    parts += filter(None, map(_decides, decisions(account)))
    if account["infeasible"]:
        parts.append(
            f"{account['infeasible']} of them cannot run: {next(iter(account['reasons']))}"
        )
    return "; ".join(parts) + "."


def interval_content(account: UncertaintyDocument) -> str:
    """Return which samples an interval holds, in words."""
    part = "nine in ten" if account["level"] >= 0.9 else "all"
    return f"{part} of {account['samples']} samples over the ranges of all constants"


def decisions(account: UncertaintyDocument) -> tuple[Decision, Decision]:
    """Return what decides the latency, and what the energy, or the verdict in each."""
    return (
        Decision(_label(account["decided"]), account["r2"], account["decided_by"]),
        Decision(
            _label(account["energy_decided"]), account["energy_r2"], account["energy_decided_by"]
        ),
    )


def _label(key: str) -> str:
    return LABELS.get(key, key)


def _decides(decision: Decision) -> str:
    """Return which constants decide a metric; or that the samples do not tell."""
    if not decision.rows:
        why = f"what decides the {decision.label} cannot be told (R2 {digits(decision.r2)})"
        return "" if decision.r2 == 1 else why
    large = [row for row in decision.rows if row["share"] >= _LEAST][:_NAMED] or decision.rows[:1]
    first, *others = large
    part = percent(first["share"], 1, 0)
    most = f"{first['name']} decides {part} of the spread of the {decision.label}"
    return ", ".join([most, *(f"{row['name']} {percent(row['share'], 1, 0)}" for row in others)])
