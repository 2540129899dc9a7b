"""What the bus is that CPU and accelerator share on their way to memory."""

from typing import Literal

from pydantic import Field, PositiveInt

from simulator.hardware.part import FASTEST_HZ, Part
from simulator.hardware.shared_cache import SharedCache
from simulator.units import Bytes, Hertz, Picoseconds


class Interconnect(Part):
    """The bus between masters and memory: each port moves its width in bytes per `clock` cycle.

    `arbitration` divides the memory among masters: `fair` in turn, `weighted` in turns of so many,
    `first_come` by who has more requests in flight, `priority` to the one that goes `first`.
    """

    width: Bytes = Field(gt=0, description="of every port that has none of its own")
    clock: Hertz = Field(gt=0, le=FASTEST_HZ)
    latency: Picoseconds = Field(
        ge=0, default=0, description="of a core's line fill, there and back, beside the memory's"
    )
    cpu_width: Bytes | None = Field(gt=0, default=None)
    accelerator_width: Bytes | None = Field(gt=0, default=None)
    arbitration: Literal["fair", "weighted", "first_come", "priority"] = "fair"
    cpu_weight: PositiveInt = 1
    accelerator_weight: PositiveInt = 1
    first: str = Field(default="cpu", description="unit that goes first, with priority")
    cache: SharedCache | None = Field(default=None, description="of DMA engines, before the memory")

    @property
    def cpu_bytes_per_s(self) -> int:
        """Peak rate of the CPU's port."""
        return (self.cpu_width or self.width) * self.clock

    @property
    def accelerator_bytes_per_s(self) -> int:
        """Peak rate of the accelerator's port."""
        return (self.accelerator_width or self.width) * self.clock
