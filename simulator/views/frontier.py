"""What a front says as a whole: its knee, and the share of the space that it dominates."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from simulator.views.pareto import pareto_front

ObjectiveRows = Sequence[Sequence[float]]
"""ObjectiveRows to minimise, a row for each point."""


def knee(front: ObjectiveRows) -> int | None:
    """Return which row of a front of three points or more is its knee; None of fewer.

    That is the point farthest from the plane through the extremes (Das, On characterizing the
    "knee" of the Pareto curve, Structural Optimization 18, 1999), each objective scaled from its
    least to its largest value on the front. On either side of it an objective gains less than the
    others lose. Of equals the first; None where no point lies before the plane.
    """
    if len(front) < 3:
        return None
    sums = [sum(row) for row in _scaled(front)]
    best = min(range(len(sums)), key=sums.__getitem__)
    return best if sums[best] < 1 else None


def _scaled(rows: ObjectiveRows) -> list[list[float]]:
    """Return the rows with each objective from 0 to 1; 0 where it does not vary."""
    columns = list(zip(*rows, strict=True))
    least, spans = [min(c) for c in columns], [max(c) - min(c) for c in columns]
    return [
        [
            (value - low) / span if span else 0.0
            for value, low, span in zip(row, least, spans, strict=True)
        ]
        for row in rows
    ]


def dominated_share(rows: ObjectiveRows, within: ObjectiveRows | None = None) -> float:
    """Return the hypervolume of `rows` as a share of the box that all of `within` span.

    The box lies between the least and the largest value of each objective, the reference point is
    its worst corner (Zitzler and Thiele, IEEE TEC 3, 1999). 1: a point has the least of all
    objectives; 0: nothing is dominated. `within` is by default `rows`.
    """
    columns = list(zip(*(within or rows), strict=True))
    least, most = [min(c) for c in columns], [max(c) for c in columns]
    box = prod(high - low for low, high in zip(least, most, strict=True))
    inside = [row for row in rows if all(v <= high for v, high in zip(row, most, strict=True))]
    return hypervolume(inside, most) / box if box else 0.0


def dominated_shares(rows: ObjectiveRows) -> list[float]:
    """Return the `dominated_share` of the first row, of the first two, and so on, of all rows.

    The box is that of all rows. Only rows that change the front are computed again.
    """
    front: list[Sequence[float]] = []
    shares: list[float] = []
    for row in rows:
        is_beaten = any(all(a <= b for a, b in zip(each, row, strict=True)) for each in front)
        if not is_beaten:
            beats = pareto_front([*front, row])
            front = [each for each, stays in zip([*front, row], beats, strict=True) if stays]
        shares.append(shares[-1] if is_beaten else dominated_share(front, rows))
    return shares


def hypervolume(rows: ObjectiveRows, reference: Sequence[float]) -> float:
    """Return the volume that `rows` dominate up to `reference`, which none of them exceeds.

    Slice by slice along the last objective (While et al., IEEE TEC 10, 2006): exact, in time that
    suits fronts of some hundred points in up to four objectives.
    """
    if not rows:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(row[0] for row in rows)
    front = [row for row, best in zip(rows, pareto_front(rows), strict=True) if best]
    levels = sorted({row[-1] for row in front})
    volume = 0.0
    for low, high in pairwise([*levels, reference[-1]]):
        below = [row[:-1] for row in front if row[-1] <= low]
        volume += (high - low) * hypervolume(below, reference[:-1])
    return volume
