"""What decides an answer: the shares of uncertain constants in the variance of its logarithm."""

from collections.abc import Mapping

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simulator.results.uncertainty import NAMES
from simulator.si import digits, percent
from simulator.views.plots.canvas import (
    BLUE,
    VERMILLION,
    Document,
    canvas,
    legend,
    only,
    short,
)

_COLOURS = {"": BLUE, "energy_": VERMILLION}  # by the start of the keys
_MOST = 10  # constants; of the others no share would be seen
_ROW_INCHES = 0.42
_LEAST = 0.01  # share that is seen
_LABEL = 44  # characters


def decides(results: Mapping[str, Document]) -> Figure | None:
    """Draw the shares of the constants that decide the first result, or its verdict.

    None where it was not sampled, or its samples do not tell what decides it.
    """
    known = next(iter(results.values())).get("uncertainty")
    if not known or not any(known[f"{start}decided_by"] for start in _COLOURS):
        return None
    rows = _rows(known)
    height = 1.7 + _ROW_INCHES * max(3, len(rows))
    figure = canvas(_title(known, results), _note(known, len(rows)), height)
    axes = figure.subplots()
    for place, (start, paint) in enumerate(_COLOURS.items()):
        for y, shares in enumerate(rows.values()):
            part = 100 * shares.get(start, 0.0)
            at = y + 0.38 * (place - 0.5)
            axes.barh(at, part, 0.36, color=paint)
            if part >= 0.5:
                axes.annotate(percent(part, 100, 0), (part, at), (3, 0), textcoords="offset points",
                              va="center", fontsize=7)  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params("y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    largest = max(share for shares in rows.values() for share in shares.values())
    axes.set_xlim(0, min(100, 112 * largest))
    axes.set_xlabel("share of the spread that the constant decides by itself (%)")
    axes.grid(axis="x")
    only(axes, "left", "bottom")
    handles: list[Artist] = [
        Patch(color=paint, label=NAMES[known[f"{start}decided"]])
        for start, paint in _COLOURS.items()
        if known[f"{start}decided_by"]
    ]
    legend(figure, handles)
    return figure


def _rows(known: Document) -> dict[str, dict[str, float]]:
    """Return the shares by constant, the largest first; how far each goes stands in its name."""
    shares: dict[str, dict[str, float]] = {}
    for start in _COLOURS:
        for row in known[f"{start}decided_by"]:
            name = f"{short(row['name'], _LABEL)}\n{row['low']} .. {row['high']}"
            if row["share"] >= _LEAST:
                shares.setdefault(name, {})[start] = row["share"]
    order = sorted(shares, key=lambda name: -max(shares[name].values()))
    return {name: shares[name] for name in order[:_MOST]}


def _title(known: Document, results: Mapping[str, Document]) -> str:
    told = []
    for start in _COLOURS:
        rows = known[f"{start}decided_by"]
        if rows:
            first, what = rows[0], NAMES[known[f"{start}decided"]]
            decided = percent(first["share"], 1, 0)
            told.append(f"{decided} of the {what}'s spread by {first['name']}")
    return f"What decides {' over '.join(list(results)[:2])}: {'; '.join(told)}"


def _note(known: Document, shown: int) -> str:
    fits = (
        f"{NAMES[known[f'{start}decided']]} {digits(known[f'{start}r2'])}" for start in _COLOURS
    )
    return (
        f"First-order shares of the variance of the logarithm, of a fit to {known['samples']} "
        f"samples over the ranges of all constants; its R2 on samples left out: "
        f"{', '.join(fits)}. {shown} constants are shown, each with its range."
    )
