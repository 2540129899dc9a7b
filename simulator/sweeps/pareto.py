"""The points that no other point beats in every objective."""

from collections.abc import Sequence


def pareto_front(values: Sequence[Sequence[float]]) -> list[bool]:
    """Return, for each row of objectives to minimise, whether no other row dominates it.

    A row dominates another when it is nowhere larger and somewhere smaller; equal rows both stay.
    """
    order = sorted(range(len(values)), key=lambda i: tuple(values[i]))
    front: list[int] = []
    keep = [False] * len(values)
    for index in order:
        row = values[index]
        if not any(_dominates(values[other], row) for other in front):
            front.append(index)
            keep[index] = True
    return keep


def _dominates(row: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(row, other, strict=True)) and tuple(row) != tuple(other)
