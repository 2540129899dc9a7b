"""What decides an answer: the shares of uncertain constants in the variance of its logarithm."""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simulator.results.documents import UncertaintyDocument
from simulator.results.uncertainty import Decision, decisions
from simulator.si import digits, percent
from simulator.views.plots.canvas import (
    BLUE,
    VERMILLION,
    Results,
    canvas,
    legend,
    only,
    short,
)

_COLOURS = (BLUE, VERMILLION)  # of what decides the latency, and the energy
_MOST = 10  # constants; of the others no share would be seen
_ROW_INCHES = 0.42
_LEAST = 0.01  # share that is seen
_LABEL = 44  # characters


def decides(results: Results) -> Figure | None:
    """Draw the shares of the constants that decide the first result, or its verdict.

    None where it was not sampled, or its samples do not tell what decides it.
    """
    uncertainty = next(iter(results.values())).get("uncertainty")
    decided = decisions(uncertainty) if uncertainty else ()
    if not uncertainty or not any(decision.rows for decision in decided):
        return None
    rows = _rows(decided)
    height = 1.7 + _ROW_INCHES * max(3, len(rows))
    figure = canvas(_title(decided, results), _note(uncertainty, len(rows)), height)
    axes = figure.subplots()
    for place, paint in enumerate(_COLOURS):
        for y, shares in enumerate(rows.values()):
            part = 100 * shares.get(place, 0.0)
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
        Patch(color=paint, label=decision.label)
        for paint, decision in zip(_COLOURS, decided, strict=True)
        if decision.rows
    ]
    legend(figure, handles)
    return figure


def _rows(decided: Sequence[Decision]) -> dict[str, dict[int, float]]:
    """Return the shares by constant, the largest first; its range stands in its name."""
    shares: dict[str, dict[int, float]] = {}
    for place, decision in enumerate(decided):
        for row in decision.rows:
            name = f"{short(row['name'], _LABEL)}\n{row['low']} .. {row['high']}"
            if row["share"] >= _LEAST:
                shares.setdefault(name, {})[place] = row["share"]
    order = sorted(shares, key=lambda name: -max(shares[name].values()))
    return {name: shares[name] for name in order[:_MOST]}


def _title(decided: Sequence[Decision], results: Results) -> str:
    parts = [
        f"{percent(decision.rows[0]['share'], 1, 0)} of the {decision.label}'s spread by "
        f"{decision.rows[0]['name']}"
        for decision in decided
        if decision.rows
    ]
    return f"What decides {' over '.join(list(results)[:2])}: {'; '.join(parts)}"


def _note(uncertainty: UncertaintyDocument, shown: int) -> str:
    fits = (f"{decision.label} {digits(decision.r2)}" for decision in decisions(uncertainty))
    return (
        f"First-order shares of the variance of the logarithm, of a fit to "
        f"{uncertainty['samples']} samples over the ranges of all constants; its R2 on samples "
        f"left out: {', '.join(fits)}. {shown} constants are shown, each with its range."
    )
