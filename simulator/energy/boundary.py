"""Whose joules a number is of: the arrays', the chip's, its memory's too, or the whole board's."""

from collections.abc import Iterable
from enum import StrEnum

from simulator.activity import ARRAY_MACS, Action
from simulator.hardware.unit import ACCELERATOR


class Boundary(StrEnum):
    """What a sum of energy takes in; each takes in all that is within the ones before it."""

    ARRAY = "array"
    CHIP = "chip"
    CHIP_DRAM = "chip+dram"
    BOARD = "board"


USUAL = Boundary.CHIP_DRAM
"""The boundary where nobody says which."""

ABOUT = {
    Boundary.ARRAY: "of the arrays with their memories and vector units",
    Boundary.CHIP: "of the chip, without its memory",
    Boundary.CHIP_DRAM: "of the chip and its memory",
    Boundary.BOARD: "of the board, as a meter at the wall reads it",
}
"""What the energy is of, in words that follow "energy"."""

CONTROLLER, SERIAL, BOARD, REGULATORS = "controller", "serial", "board", "regulators"
"""Components: DRAM controller with its PHY; serial links of the chip; what the board draws besides;
what supplies lose.
"""

_OUTSIDE = {"dram": Boundary.CHIP_DRAM, BOARD: Boundary.BOARD, REGULATORS: Boundary.BOARD}
_OF_ARRAY = ("array", "scratchpad", "vector")


def boundary_of(component: str, actions: Iterable[Action]) -> Boundary:
    """Return the narrowest boundary that takes in a component of a SoC with these `actions`.

    A unit that multiplies as an array does is one.
    """
    further = {action.unit for action in actions if action.what == ARRAY_MACS} - {ACCELERATOR}
    if component in _OF_ARRAY or component in further:
        return Boundary.ARRAY
    return _OUTSIDE.get(component, Boundary.CHIP)


def takes_in(boundary: Boundary, inner: Boundary) -> bool:
    """Return whether `boundary` takes in what lies within `inner`."""
    order = tuple(Boundary)
    return order.index(inner) <= order.index(boundary)
