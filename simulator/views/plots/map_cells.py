"""Cells of a map that have no value: why they cannot run, and which lie beyond the constraints."""

import re
from collections.abc import Mapping
from itertools import product
from typing import Any, TypeAlias

from matplotlib.collections import LineCollection

from simulator.views.design_space import KnobAxis, SweepTable
from simulator.views.plots.canvas import BLACK

Place: TypeAlias = tuple[Any, Any]
Pair: TypeAlias = tuple[KnobAxis, KnobAxis]
Cells: TypeAlias = list[list[bool]]

_NAMED = "abcd"
_OTHER = "e"


def reasons(table: SweepTable, pair: Pair) -> dict[Place, str]:
    """Return why each cell none of whose points runs cannot, by the first of its points."""
    y, x = pair
    runs = {(y.of(row), x.of(row)) for row in table.feasible}
    first: dict[Place, str] = {}
    for row in table.points:
        place = y.of(row), x.of(row)
        if place not in runs:
            first.setdefault(place, str(row.get("reason") or "no reason given"))
    return first


def letters(why: Mapping[Place, str]) -> dict[Place, str]:
    """Return a letter per cell: one for reasons that differ in numbers alone, the last for all
    that come after the first four.
    """
    kinds = {place: re.sub(r"[\d.,]+", "0", text) for place, text in why.items()}
    order = [*dict.fromkeys(kinds.values())]
    signs = {kind: _NAMED[i] if i < len(_NAMED) else _OTHER for i, kind in enumerate(order)}
    return {place: signs[kind] for place, kind in kinds.items()}


def beyond(table: SweepTable, pair: Pair) -> Cells:
    """Return for each row and column of the map whether all points there lie beyond constraints;
    [] where none does.

    A sweep leaves such points out, so that a grid has a gap there and nowhere else.
    """
    y, x = pair
    if not table.constraints:
        return []
    tried = {(y.of(row), x.of(row)) for row in table.points}
    cells = [[(a, b) not in tried for b in x.values] for a in y.values]
    return cells if any(map(any, cells)) else []


def border(cells: Cells) -> LineCollection:
    """Return the line between cells of the map that are marked and those that are not."""
    lines: list[list[tuple[float, float]]] = []
    for row, column in product(range(len(cells)), range(len(cells[0]) if cells else 0)):
        left, low = column - 0.5, row - 0.5
        if column and cells[row][column] != cells[row][column - 1]:
            lines.append([(left, low), (left, low + 1)])
        if row and cells[row][column] != cells[row - 1][column]:
            lines.append([(left, low), (left + 1, low)])
    return LineCollection(lines, colors=BLACK, linewidths=2.2, capstyle="round", zorder=2.5)
