"""Columns of a page: names as numbers into a list, and levels that follow from changes."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from simulator.views.page.documents import LevelColumns, NameColumn


def names(values: Iterable[str]) -> NameColumn:
    """Return a column of names, the distinct ones in order of appearance."""
    numbers: dict[str, int] = {}
    rows = [numbers.setdefault(value, len(numbers)) for value in values]
    return {"names": list(numbers), "rows": rows}


def levels(changes: Mapping[int, float], most: int, end: int) -> LevelColumns:
    """Return the level after each change at a moment, in at most `most` rows up to `end`."""
    moments = sorted(changes)
    values = list(accumulate(changes[moment] for moment in moments))
    return thinned({"at": moments, "value": values}, most, end)


def thinned(rows: LevelColumns, most: int, end: int) -> LevelColumns:
    """Return `rows`, or where there are more than `most` their means over equal intervals."""
    if len(rows["at"]) <= most:
        return rows
    edges = [end * number // most for number in range(most + 1)]
    sums = _areas(rows, edges)
    means = [
        area / (high - low) if high > low else 0.0
        for area, low, high in zip(sums, edges, edges[1:], strict=False)
    ]
    return {"at": edges[:-1], "value": means}


def _areas(rows: LevelColumns, edges: Sequence[int]) -> list[float]:
    """Return level x time within each interval between `edges`."""
    areas, place = [0.0] * (len(edges) - 1), 0
    ends = [*rows["at"][1:], edges[-1]]
    for start, stop, value in zip(rows["at"], ends, rows["value"], strict=True):
        while place < len(areas) and edges[place + 1] <= start:
            place += 1
        here = place
        while here < len(areas) and edges[here] < stop:
            areas[here] += value * (min(stop, edges[here + 1]) - max(start, edges[here]))
            here += 1
    return areas
