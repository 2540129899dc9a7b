"""The points that no other point beats in every objective."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pareto_front(values: Sequence[Sequence[float]] | NDArray[Any]) -> list[bool]:
    """Return, for each row of objectives to minimise, whether no other row dominates it.

    A row dominates another when it is nowhere larger and somewhere smaller; equal rows both stay.
    """
    if not len(values):
        return []
    rows, which = np.unique(np.asarray(values, dtype=float), axis=0, return_inverse=True)
    # Sorted by the first objective, then the next: what dominates a row comes before it, and so
    # the first of those left is dominated by none.
    keep = np.zeros(len(rows), dtype=bool)
    left = np.arange(len(rows))
    while left.size:
        first, left = left[0], left[1:]
        keep[first] = True
        left = left[(rows[left] < rows[first]).any(axis=1)]
    return [bool(flag) for flag in keep[which.reshape(-1)]]
