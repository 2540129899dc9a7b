"""Schedules as processes and events, one for each recurrence of `timing.schedules`.

A recurrence solves a pipeline for a constant share of the memory; its twin plays the same
pipeline, and every transfer competes for the memory at the moment it takes place.
"""

from simulator.machine.schedules.buffered import InTurnTwin, SideBySideTwin
from simulator.machine.schedules.lockstep import LockstepTwin
from simulator.machine.schedules.slots import TwoSlotsTwin
from simulator.machine.schedules.twin import EventSteps, StartTransfer, Twin
from simulator.timing.schedules import InTurn, Lockstep, SideBySide, Start, TwoSlots

__all__ = ["TWINS", "EventSteps", "StartTransfer", "Twin"]

TWINS: dict[type[Start], type[Twin]] = {
    InTurn: InTurnTwin,
    SideBySide: SideBySideTwin,
    TwoSlots: TwoSlotsTwin,
    Lockstep: LockstepTwin,
}
