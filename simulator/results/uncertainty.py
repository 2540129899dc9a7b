"""How sure a result is, in words: intervals behind numbers, and what decides them."""

from collections.abc import Mapping
from typing import Any

from simulator.si import digits, percent, si, si_range, span

Row = Mapping[str, Any]
NAMES = {
    "speedup": "speed-up", "energy_ratio": "energy ratio", "latency_s": "latency",
    "energy_j": "energy",
}  # fmt: skip
"""What is decided, as people say it."""
_TOLD = 3  # constants in a sentence; the document has all
_LEAST = 0.05  # of the variance, to be told in a sentence


def si_with(document: Row, key: str, value: float, unit: str) -> str:
    """Return a value with its unit, and its interval where the document has one for `key`."""
    known = interval_in(document, key)
    return si_range(value, known["low"], known["high"], unit) if known else si(value, unit)


def interval_in(document: Row, key: str) -> dict[str, float] | None:
    """Return the interval that a document has for `key`; None without one that has a width."""
    known: dict[str, float] | None = document.get("uncertainty", {}).get(key)
    return known if known and known["low"] < known["high"] else None


def bracket(known: Row | None, *, inverted: bool = False) -> str:
    """Return " (2.3 .. 6.1)", if `inverted` of the inverse ratio; "" where nothing is known."""
    if known is None or not 0 < known["low"] < known["high"]:
        return ""
    ends = (1 / known["high"], 1 / known["low"]) if inverted else (known["low"], known["high"])
    return f" {span(*ends)}"


def sureness(document: Row) -> str:
    """Return how sure a run, or its verdict, is: what brackets hold, how often it pays, and why.

    Empty where nothing was sampled.
    """
    known = document.get("uncertainty")
    if not known:
        return ""
    told = [f"Brackets hold {held_by(known)}"]
    if "probability_faster" in known:
        told.append(
            f"faster in {percent(known['probability_faster'], 1, 0)} of them, "
            f"less energy in {percent(known['probability_less_energy'], 1, 0)}"
        )
    told += [text for text in (_decides(known, ""), _decides(known, "energy_")) if text]
    if known["infeasible"]:
        told.append(f"{known['infeasible']} of them cannot run: {next(iter(known['reasons']))}")
    return "; ".join(told) + "."


def held_by(known: Row) -> str:
    """Return what an interval holds, in words."""
    part = "nine in ten" if known["level"] >= 0.9 else "all"
    return f"{part} of {known['samples']} samples over the ranges of all constants"


def _decides(known: Row, start: str) -> str:
    """Return which constants decide a measure; or that the samples do not tell."""
    rows, what = known[f"{start}decided_by"], known[f"{start}decided"]
    said = NAMES.get(what, what)
    if not rows:
        r2 = known[f"{start}r2"]
        return "" if r2 == 1 else f"what decides the {said} cannot be told (R2 {digits(r2)})"
    large = [row for row in rows if row["share"] >= _LEAST][:_TOLD] or rows[:1]
    first, *others = large
    told = [f"{first['name']} decides {percent(first['share'], 1, 0)} of the spread of the {said}"]
    return ", ".join([*told, *(f"{row['name']} {percent(row['share'], 1, 0)}" for row in others)])
