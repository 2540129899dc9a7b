"""How machines overlap load, compute and store: one state machine for each way.

Each recurrence has an event-driven twin in `machine.schedules`, found by its type.
"""

from collections.abc import Callable
from typing import NamedTuple

from simulator.hardware.accelerator import Accelerator, Dma
from simulator.timing.dma import STREAMS
from simulator.timing.schedules.buffered import InTurn, SideBySide, TwoSlots
from simulator.timing.schedules.lockstep import Lockstep
from simulator.timing.schedules.schedule import Schedule, Ticks

__all__ = [
    "SCHEDULES", "InTurn", "Lockstep", "Policy", "Schedule", "SideBySide", "Start", "Ticks",
    "TwoSlots", "has_one_stream", "schedule_of",
]  # fmt: skip

Start = InTurn | SideBySide | TwoSlots | Lockstep


class Policy(NamedTuple):
    """A value of `accelerator.schedule`.

    `start` gives the state before the first tile. `bulk_buffers`: buffers of an operand that moves
    apart from the tiles that use it; one is enough where nothing runs beside that transfer.
    `one_stream`: loads and stores follow each other where the DMA engine has no streams for both.
    """

    start: Callable[[Dma], Start]
    bulk_buffers: int = 2
    one_stream: bool = False


SCHEDULES = {
    "decoupled": Policy(
        lambda dma: SideBySide() if STREAMS[dma.streams].duplex else InTurn(), one_stream=True
    ),
    "slots": Policy(lambda _: TwoSlots()),
    "lockstep": Policy(lambda _: Lockstep(), bulk_buffers=1),
}


def has_one_stream(array: Accelerator) -> bool:
    """Return whether loads and stores of `array` follow each other."""
    return SCHEDULES[array.schedule].one_stream and not STREAMS[array.dma.streams].duplex


def schedule_of(array: Accelerator) -> Start:
    """Return the state in which an operation of `array` starts."""
    return SCHEDULES[array.schedule].start(array.dma)
