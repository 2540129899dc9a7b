"""How machines overlap load, compute and store: one state machine for each way."""

from simulator.hardware.accelerator import Accelerator
from simulator.timing.schedules.buffered import InTurn, SideBySide, TwoSlots
from simulator.timing.schedules.lockstep import Lockstep
from simulator.timing.schedules.schedule import Schedule, Ticks

__all__ = [
    "InTurn", "Lockstep", "Schedule", "SideBySide", "Start", "Ticks", "TwoSlots", "schedule_of",
]  # fmt: skip

Start = InTurn | SideBySide | TwoSlots | Lockstep


def schedule_of(array: Accelerator) -> Start:
    """Return the state in which an operation of `array` starts."""
    if array.schedule == "lockstep":
        return Lockstep()
    if array.schedule == "slots":
        return TwoSlots()
    return InTurn() if array.dma.streams == "shared" else SideBySide()
