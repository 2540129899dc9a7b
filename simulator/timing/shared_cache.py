"""What a request of a DMA engine meets on its way: banks of a shared cache, memory, TLBs."""

from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.dram import Dram
from simulator.hardware.interconnect import Interconnect
from simulator.hardware.shared_cache import Tlb
from simulator.timing.dram.cost import idle_ps
from simulator.units import PS_PER_S, ceil_div


class WayToMemory(NamedTuple):
    """What lies between a DMA engine and the memory: `fabric` bytes per second of its port, the
    time in ps that a line takes longer than in the engine if the cache has it or not, `banks` that
    take requests side by side, and bytes per second between cache and memory (0: no limit).
    """

    fabric: int
    hit_ps: int = 0
    miss_ps: int = 0
    banks: int = 1
    fill: int = 0

    def latency_ps(self, pattern: AccessPattern) -> int:
        """Return what each line of a pattern waits for. What is written waits for the cache."""
        return self.hit_ps if pattern.cached or pattern.write else self.miss_ps

    def fill_ps(self, pattern: AccessPattern) -> int:
        """Return the time of a pattern between cache and memory."""
        if pattern.cached or not self.fill:
            return 0
        return ceil_div(pattern.bytes * PS_PER_S, self.fill)


def way_to_memory(dram: Dram, interconnect: Interconnect) -> WayToMemory:
    """Return the way of a DMA engine on the accelerator's port.

    Without a cache the engine's own latency is all of it.
    """
    fabric, cache = interconnect.accelerator_bytes_per_s, interconnect.cache
    if cache is None:
        return WayToMemory(fabric)
    miss_ps = cache.latency + idle_ps(dram)
    return WayToMemory(fabric, cache.latency, miss_ps, cache.banks, cache.fill or 0)


def translation_ps(tlb: Tlb, pattern: AccessPattern, request: int) -> int:
    """Return the time in ps for which a DMA engine waits for addresses of a pattern.

    It takes a `request` of each row in turn, so that the next one is in another page as often as
    the next row is: pitch / page of all times. Of what a cache has, TLBs have the pages.
    """
    row = min(pattern.row or pattern.run, pattern.bytes)
    if pattern.run < pattern.pitch:
        row, pitch = pattern.run, pattern.pitch
    else:
        pitch = row if row < pattern.bytes else request  # of one run, requests follow in order
    requests = ceil_div(pattern.bytes, row) * ceil_div(row, request)
    changes_ps = ceil_div(requests * min(tlb.page, pitch) * tlb.change, tlb.page)
    walks_ps = 0 if pattern.cached else ceil_div(pattern.bytes * tlb.walk, tlb.page)
    return changes_ps + walks_ps
