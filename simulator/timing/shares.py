"""Dividing memory time among activities that want different amounts of it."""

from collections.abc import Sequence

WHOLE = 1 << 40  # the whole of the memory's time; a share is an integer part of it


def demand(channel_ps: int, alone_ps: int) -> int:
    """Return the share that work uses when alone: its memory time over its duration."""
    return min(WHOLE, channel_ps * WHOLE // alone_ps) if alone_ps else 0


def max_min_fair(demands: Sequence[int], whole: int = WHOLE) -> list[int]:
    """Divide `whole` among `demands` by water-filling; no one gets more than it asks for.

    Integer remainders go one each to the first of those that are held below their demand.
    """
    grants = [0] * len(demands)
    order = sorted(range(len(demands)), key=lambda i: demands[i])
    left = whole
    for position, index in enumerate(order):
        waiting = len(order) - position
        if demands[index] * waiting > left:
            hungry = sorted(order[position:])
            level, rest = divmod(left, waiting)
            for rank, hungry_index in enumerate(hungry):
                grants[hungry_index] = level + (rank < rest)
            return grants
        grants[index] = demands[index]
        left -= demands[index]
    return grants


def weighted_fair(demands: Sequence[int], weights: Sequence[int], whole: int = WHOLE) -> list[int]:
    """Divide `whole` among `demands` by water-filling in proportion to integer `weights`.

    No one gets more than it asks for; who gets less has as much per weight as anyone. With equal
    weights it is `max_min_fair`.
    """
    if len(set(weights)) == 1:
        return max_min_fair(demands, whole)
    grants = [0] * len(demands)
    order = sorted(range(len(demands)), key=lambda i: demands[i] / weights[i])
    left, waiting = whole, sum(weights)
    for index in order:
        grants[index] = min(demands[index], left * weights[index] // waiting)
        left -= grants[index]
        waiting -= weights[index]
    return grants
