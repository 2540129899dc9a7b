"""Median and interval of sampled numbers."""

import math
from collections.abc import Sequence
from typing import NamedTuple

LEVEL = 0.9
"""Of the interval: the truth lies in it nine times of ten."""


class Interval(NamedTuple):
    """The median of a sampled number, and the interval around it."""

    low: float
    median: float
    high: float


def interval(values: Sequence[float]) -> Interval:
    """Return median and interval of samples, NaN left out.

    The quantile p lies at place p (n + 1) of the n sorted samples (Weibull), where one more draw
    falls below it with probability p; other rules make intervals of few samples too narrow. With
    fewer samples than an interval of LEVEL needs it reaches from the least to the largest.
    Raises ValueError where there is no number.
    """
    ordered = sorted(value for value in values if not math.isnan(value))
    if not ordered:
        raise ValueError("no sample has this number")
    tail = (1 - level(len(ordered))) / 2
    return Interval(*(_quantile(ordered, p) for p in (tail, 0.5, 1 - tail)))


def level(samples: int) -> float:
    """Return how probably one more draw lies in the interval of so many samples, at most LEVEL.

    Between the least and the largest of n it lies with probability (n - 1) / (n + 1).
    """
    return min(LEVEL, (samples - 1) / (samples + 1))


def share(values: Sequence[bool]) -> float:
    """Return the share of samples in which something holds; 0 of none."""
    return sum(values) / len(values) if values else 0.0


def _quantile(ordered: Sequence[float], p: float) -> float:
    place = p * (len(ordered) + 1) - 1
    below = min(max(math.floor(place + 1e-9), 0), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    weight = min(max(place - below, 0.0), 1.0)
    return ordered[below] + (ordered[above] - ordered[below]) * weight
