"""The cheapest way through a step's operations, each on one of two units, by dynamic programming.

The recurrence is that of Mandheling (Xu et al., MobiCom 2022): the best way to have an operation
on a unit is the best way to have the one before on either, plus what the change between them costs.
"""

from collections.abc import Sequence
from typing import NamedTuple

from simulator.activity import Unit


class Choice(NamedTuple):
    """What one operation costs, in any one unit: on the CPU, or on the accelerator if it can.

    `enter` comes on top when the operation before ran on the CPU, `leave` when the next one does.
    """

    cpu: int
    accelerator: int | None = None
    enter: int = 0
    leave: int = 0


def cheapest(choices: Sequence[Choice]) -> tuple[Unit, ...]:
    """Return the units of least cost; equals are decided the same way every time."""
    best: dict[Unit, tuple[int, tuple[Unit, ...]]] = {Unit.CPU: (0, ())}
    owed = 0
    for choice in choices:
        units = list(Unit) if choice.accelerator is not None else [Unit.CPU]
        best = {unit: _extended(best, choice, unit, owed) for unit in units}
        owed = choice.leave
    return _extended(best, Choice(0), Unit.CPU, owed)[1][:-1]


def _extended(
    best: dict[Unit, tuple[int, tuple[Unit, ...]]], choice: Choice, unit: Unit, owed: int
) -> tuple[int, tuple[Unit, ...]]:
    """Return the best way to `choice` on `unit`, and its cost."""
    ways = [
        (cost + _step(choice, before, unit, owed), (*units, unit))
        for before, (cost, units) in best.items()
    ]
    return min(ways, key=lambda way: way[0])


def _step(choice: Choice, before: Unit, unit: Unit, owed: int) -> int:
    """Return what `choice` adds on `unit`; `owed` is for leaving the accelerator."""
    if unit is Unit.CPU:
        return choice.cpu + (owed if before is Unit.ACCELERATOR else 0)
    assert choice.accelerator is not None, "it cannot run there"
    return choice.accelerator + (choice.enter if before is Unit.CPU else 0)
