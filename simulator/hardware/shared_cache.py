"""What a cache in front of the memory is that a DMA engine shares with the cores, and its TLBs."""

from pydantic import Field, PositiveInt

from simulator.hardware.part import Part
from simulator.units import Bytes, BytesPerSecond, Picoseconds


class SharedCache(Part):
    """A banked, write-back cache between the bus and the memory, as DMA engines see it.

    A request by lines waits for `latency` where the cache has the line, else for the memory too.
    Neighbouring lines are in neighbouring banks, each of which takes one request at a time, for as
    long as a line takes on the bus. Between it and the memory pass `fill` bytes per second. Its own
    energy is not counted.
    """

    capacity: Bytes = Field(gt=0, description="of all banks")
    ways: PositiveInt = Field(default=8, description="lines of a set")
    banks: PositiveInt = Field(default=1, description="that take requests side by side")
    latency: Picoseconds = Field(gt=0, description="from the bus and back, of a line that it has")
    fill: BytesPerSecond | None = Field(
        gt=0, default=None, description="between it and the memory; else as fast as the memory"
    )


class Tlb(Part):
    """How a DMA engine translates addresses, one page at a time.

    A request in another page than the one before waits for `change`. Pages of what comes from
    memory are new to all levels of TLBs: each is looked up in the page table once, in `walk`.
    """

    page: Bytes = Field(gt=0, default=4096)
    change: Picoseconds = Field(ge=0, default=0, description="to a page that a TLB has")
    walk: Picoseconds = Field(ge=0, default=0, description="to one that the page table has")
