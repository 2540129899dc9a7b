"""The points that no other point beats in every objective."""

from collections.abc import Sequence

import numpy as np


def pareto_front(values: Sequence[Sequence[float]]) -> list[bool]:
    """Return, for each row of objectives to minimise, whether no other row dominates it.

    A row dominates another when it is nowhere larger and somewhere smaller; equal rows both stay.
    """
    if not len(values):
        return []
    rows, which = np.unique(np.asarray(values, dtype=float), axis=0, return_inverse=True)
    # Sorted by the first objective, then the next: whatever dominates a row comes before it.
    keep = np.zeros(len(rows), dtype=bool)
    front = np.empty_like(rows)
    size = 0
    for index, row in enumerate(rows):
        if not (front[:size] <= row).all(axis=1).any():
            front[size] = row
            size += 1
            keep[index] = True
    return [bool(flag) for flag in keep[which.reshape(-1)]]
