"""Who of several masters gets how much of the memory's time: one policy per name."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from simulator.timing.shares import WHOLE, weighted_fair

STARVED = WHOLE // 64  # guess: what an arbiter leaves to a master that always loses


class Master(NamedTuple):
    """What an arbiter knows of a master: its weight, whether it goes first, requests in flight."""

    weight: int = 1
    first: bool = False
    outstanding: int = 1


Shares = list[int]
ArbitrationPolicy = Callable[[Sequence[int], Sequence[Master], int], Shares]


def fair(demands: Sequence[int], masters: Sequence[Master], whole: int) -> Shares:
    """Round-robin among masters."""
    return _bursts(demands, [1] * len(masters), whole)


def weighted(demands: Sequence[int], masters: Sequence[Master], whole: int) -> Shares:
    """Turns in proportion to the masters' weights."""
    return _bursts(demands, [master.weight for master in masters], whole)


def first_come(demands: Sequence[int], masters: Sequence[Master], whole: int) -> Shares:
    """Requests in the order of arrival: who has more in flight has more of the queue."""
    return _bursts(demands, [master.outstanding for master in masters], whole)


def priority(demands: Sequence[int], masters: Sequence[Master], whole: int) -> Shares:
    """Whoever goes first has all that it wants; what is left is divided among the others."""
    before = [d for d, master in zip(demands, masters, strict=True) if master.first]
    rest = max(STARVED, whole - sum(before)) if before else whole
    after = [d for d, master in zip(demands, masters, strict=True) if not master.first]
    shares = iter(_bursts(after, [1] * len(after), rest))
    return [whole if master.first else next(shares) for master in masters]


POLICIES: dict[str, ArbitrationPolicy] = {
    "fair": fair,
    "weighted": weighted,
    "first_come": first_come,
    "priority": priority,
}
"""How the memory's time, `whole`, is divided among masters that want `demands` of it.

A policy returns the share that each master sees while it transfers. Work that computes between
transfers wants little on average but all it can get when it transfers: then it competes for its
part of the whole, and has at least what the others leave. Averages stay within what is granted, so
that the memory is never oversubscribed.
"""


def _bursts(demands: Sequence[int], weights: Sequence[int], whole: int) -> Shares:
    grants = weighted_fair(demands, weights, whole)
    if len(grants) < 2:
        return [whole] * len(grants)
    used, all_weights = sum(grants), sum(weights)
    return [
        max(grant, whole * weight // all_weights, whole - (used - grant))
        for grant, weight in zip(grants, weights, strict=True)
    ]
