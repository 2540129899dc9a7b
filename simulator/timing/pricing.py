"""Prices of accesses on a memory path: channel time, port time, DRAM commands."""

from collections.abc import Iterable
from typing import NamedTuple

from simulator.activity import (
    DRAM_ACTIVATES,
    DRAM_READ_BURSTS,
    DRAM_READ_BYTES,
    DRAM_WRITE_BURSTS,
    DRAM_WRITE_BYTES,
    INTERCONNECT_BYTES,
    AccessPattern,
    Action,
)
from simulator.hardware.accelerator import Accelerator, Dma
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import Dram
from simulator.hardware.interconnect import Interconnect
from simulator.memo import Memo, remember
from simulator.timing.dma import STREAMS, port_ps
from simulator.timing.dram.cost import (
    LINE,
    PatternCost,
    idle_ps,
    pattern_cost,
    samples_of,
)
from simulator.timing.pipeline import Transfer
from simulator.timing.shared_cache import WayToMemory, way_to_memory
from simulator.units import PS_PER_S, ceil_div, transfer_ps


class Traffic(NamedTuple):
    """Bytes and DRAM commands of some accesses, and their channel time in ps. `served_bytes` come
    from a shared cache: they pass the bus alone.
    """

    read_bytes: int = 0
    write_bytes: int = 0
    activates: int = 0
    read_bursts: int = 0
    write_bursts: int = 0
    channel_ps: int = 0
    served_bytes: int = 0

    def plus(self, other: "Traffic", times: int = 1) -> "Traffic":
        """Return this and `times` the other."""
        reads, writes, activates, read_bursts, write_bursts, channel_ps, served = other
        return Traffic(
            self.read_bytes + times * reads,
            self.write_bytes + times * writes,
            self.activates + times * activates,
            self.read_bursts + times * read_bursts,
            self.write_bursts + times * write_bursts,
            self.channel_ps + times * channel_ps,
            self.served_bytes + times * served,
        )

    @property
    def actions(self) -> dict[Action, int]:
        """What it makes interconnect and DRAM do."""
        return {
            INTERCONNECT_BYTES: self.read_bytes + self.write_bytes + self.served_bytes,
            DRAM_READ_BYTES: self.read_bytes,
            DRAM_WRITE_BYTES: self.write_bytes,
            DRAM_ACTIVATES: self.activates,
            DRAM_READ_BURSTS: self.read_bursts,
            DRAM_WRITE_BURSTS: self.write_bursts,
        }


_PATTERNS = 16_384  # prices of patterns that one path keeps: 5 MB; more than a run asks for
_ENGINES = 256  # a guess: arrays of a sweep that differ in their DMA engine or clock
_MOST_STREAMS = 3  # of a DMA engine: two operands and the results
FREE = PatternCost(0, 0, 0)
NO_TRANSFER = Transfer(0, 0)


class Pricing:
    """Memoised prices of access patterns; one object per memory path."""

    def __init__(self, dram: Dram, interconnect: Interconnect) -> None:
        """Price patterns on this memory behind this interconnect."""
        self.dram = dram
        self._interconnect = interconnect
        self._costs: Memo[PatternCost] = Memo("costs of patterns on a path", _PATTERNS)
        self._engines: Memo[EnginePricing] = Memo("DMA engines on a path", _ENGINES)
        self.way = way_to_memory(dram, interconnect)
        self.cache = interconnect.cache
        ports = _MOST_STREAMS * self.way.fabric if self.cache else 0
        self.peak_bytes_per_s = max(dram.peak_bytes_per_s, ports)
        self.sustained_bytes_per_s = max(sustained_bytes_per_s(dram), ports)

    def at_best(self, pattern: AccessPattern) -> AccessPattern:
        """Return a pattern as it moves fastest: what is read lies in a shared cache, if there is
        one.
        """
        served = self.cache is not None and not pattern.write
        return pattern._replace(cached=True) if served else pattern

    def cost(self, pattern: AccessPattern, write_permille: int) -> PatternCost:
        """Return the cost of `pattern` in traffic with `write_permille` writes."""
        if pattern.cached:
            return FREE
        key = (pattern, write_permille)
        cost = self._costs.find(key)
        if cost is None:
            cost = self._costs.keep(key, pattern_cost(self.dram, pattern, write_permille))
        return cost

    def cores_ps(self, size: int, cpu: Cpu, cores: int, *, copying: bool = False) -> int:
        """Return the time of `size` bytes at `cores` cores and their port, whichever is slower.

        `copying`: memcpy, whose loads and stores are wider than those of a loop that computes. A
        core with a limit of line fills in flight has that many per round trip (Little's law).
        """
        core, cluster = cpu.bandwidth_per_core, cpu.bandwidth
        if copying:
            core = cpu.copy_bandwidth_per_core or core
            cluster = cpu.copy_bandwidth or cluster
        if cpu.misses:
            round_trip_ps = self._interconnect.latency + idle_ps(self.dram)
            core = min(core, cpu.misses * LINE * PS_PER_S // max(1, round_trip_ps))
        together = min(cores * core, cluster or cores * core)
        return transfer_ps(size, min(together, self._interconnect.cpu_bytes_per_s))

    def engine(self, array: Accelerator) -> "EnginePricing":
        """Return the prices of transfers by the DMA engine of `array`; equal engines share them."""
        key = array.dma, array.clock
        return self._engines.get(key, lambda: EnginePricing(self, *key))

    def traffic(self, patterns: Iterable[AccessPattern], write_permille: int) -> Traffic:
        """Return bytes, commands and channel time of `patterns`."""
        read = write = activates = reads = writes = channel_ps = served = 0
        for pattern in patterns:
            if pattern.cached:
                served += pattern.bytes if self.cache else 0
                continue
            cost = self.cost(pattern, write_permille)
            if pattern.write:
                write, writes = write + pattern.bytes, writes + cost.bursts
            else:
                read, reads = read + pattern.bytes, reads + cost.bursts
            activates, channel_ps = activates + cost.activates, channel_ps + cost.channel_ps
        return Traffic(read, write, activates, reads, writes, channel_ps, served)


def sustained_bytes_per_s(dram: Dram) -> int:
    """Return the most that a memory passes for long: its peak rate less what refresh takes."""
    if dram.device is None:
        return dram.bandwidth
    interval, blocked = samples_of(dram.device).refresh
    return ceil_div(dram.peak_bytes_per_s * (interval - blocked), interval)


class EnginePricing:
    """Times of tiles' transfers by one DMA engine on one memory path."""

    def __init__(self, path: Pricing, dma: Dma, clock: int) -> None:
        """Move tiles through `dma` at `clock` Hz to and from the memory of `path`."""
        self.path = path
        self.port_ps = _ports_of(dma, clock, path.way).ps
        """Return the least time in which one stream passes a pattern."""
        self.side_by_side = STREAMS[dma.streams].operands
        self.latency_ps = dma.latency + path.way.hit_ps
        self._stream_bytes_per_s = min(dma.bandwidth, path.way.fabric)

    def sustained_bytes_per_s(self, *, one_stream: bool) -> int:
        """Return the most that memory and ports pass, loads and stores by `one_stream` or two."""
        streams = (2 if self.side_by_side else 1) + (0 if one_stream else 1)
        return min(self.path.sustained_bytes_per_s, streams * self._stream_bytes_per_s)

    def load(self, patterns: tuple[AccessPattern, ...], write_permille: int) -> Transfer:
        """Return the load of `patterns` at `write_permille` writes.

        Operands with streams of their own move side by side, others in turn.
        """
        if not patterns:
            return NO_TRANSFER
        ports = map(self.port_ps, patterns)
        port_ps = max(ports) if self.side_by_side else sum(ports)
        return Transfer(self._channel_ps(patterns, write_permille), port_ps, self.latency_ps)

    def store(self, patterns: tuple[AccessPattern, ...], write_permille: int) -> Transfer:
        """Return the store of `patterns` at `write_permille` writes."""
        if not patterns:
            return NO_TRANSFER
        port_ps = sum(map(self.port_ps, patterns))
        return Transfer(self._channel_ps(patterns, write_permille), port_ps)

    def _channel_ps(self, patterns: tuple[AccessPattern, ...], write_permille: int) -> int:
        cost = self.path.cost
        return sum([cost(pattern, write_permille).channel_ps for pattern in patterns])


class Ports:
    """Memoised times of access patterns at the ports of a DMA engine."""

    def __init__(self, dma: Dma, clock: int, way: WayToMemory) -> None:
        """Pass patterns through `dma` at `clock` Hz on their `way`."""
        self._dma, self._clock, self._way = dma, clock, way
        self._times: Memo[int] = Memo("times of patterns at ports", _PATTERNS)

    def ps(self, pattern: AccessPattern) -> int:
        """Return the least time in which one stream passes `pattern`."""
        time_ps = self._times.find(pattern)
        if time_ps is None:
            made_ps = port_ps(pattern, self._dma, self._clock, self._way)
            time_ps = self._times.keep(pattern, made_ps)
        return time_ps


@remember("ports of DMA engines", most=16)
def _ports_of(dma: Dma, clock: int, way: WayToMemory) -> Ports:
    """Return the ports of a DMA engine; equal ones share one object and its memo."""
    return Ports(dma, clock, way)


@remember("prices of memory paths", most=64)
def pricing_of(dram: Dram, interconnect: Interconnect) -> Pricing:
    """Return the prices of a memory path; equal paths share one object and its memo."""
    return Pricing(dram, interconnect)


EVEN = 500
"""The permille of writes in traffic of as many reads."""


def rarer_permille(written: int) -> int:
    """Return the permille of the rarer direction, to which turnarounds of the memory are due."""
    return min(written, 1000 - written)


def permille_written(read_bytes: int, write_bytes: int) -> int:
    """Return the fraction of writes in permille; mixed traffic never rounds to 0 or 1000."""
    if not read_bytes or not write_bytes:
        return 1000 if write_bytes else 0
    return min(999, max(1, write_bytes * 1000 // (read_bytes + write_bytes)))
