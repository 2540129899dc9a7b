"""The cheapest way through a step's ops, each on one of several units, by dynamic programming.

The recurrence is that of Mandheling (Xu et al., MobiCom 2022): the best way to have an op on a unit
is the best way to have the one before on any, plus what the change between them costs.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from simulator.hardware.unit import HOST


class UnitCost(NamedTuple):
    """What one operation costs on a unit beside the host, in any one measure.

    `enter` comes on top when the operation before ran on another unit, `leave` when the next one
    does.
    """

    stay: int
    enter: int = 0
    leave: int = 0


class Choice(NamedTuple):
    """What one operation costs on the host, and on each further unit that can run it."""

    host: int
    others: Mapping[str, UnitCost] = MappingProxyType({})


def cheapest(choices: Sequence[Choice]) -> tuple[str, ...]:
    """Return the units of least cost; equals are decided the same way every time."""
    best: dict[str, tuple[int, tuple[str, ...]]] = {HOST: (0, ())}
    last = Choice(0)
    for choice in choices:
        best = {unit: _extended(best, last, choice, unit) for unit in (HOST, *choice.others)}
        last = choice
    return _extended(best, last, Choice(0), HOST)[1][:-1]


def _extended(
    best: Mapping[str, tuple[int, tuple[str, ...]]], last: Choice, choice: Choice, unit: str
) -> tuple[int, tuple[str, ...]]:
    """Return the best way to `choice` on `unit` after `last`, and its cost."""
    ways = [
        (cost + _step(last, choice, before, unit), (*units, unit))
        for before, (cost, units) in best.items()
    ]
    return min(ways, key=lambda way: way[0])


def _step(last: Choice, choice: Choice, before: str, unit: str) -> int:
    """Return what `choice` adds on `unit` where `last` ran on the unit `before`."""
    leaves = last.others[before].leave if before not in (HOST, unit) else 0
    if unit == HOST:
        return choice.host + leaves
    own = choice.others[unit]
    return own.stay + leaves + (own.enter if before != unit else 0)
