"""What accesses cost on this machine's memory path: channel time, port time, DRAM commands."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from simulator.activity import AccessPattern, Repeat, TileRun
from simulator.hardware.soc import Dram, Interconnect
from simulator.timing.ddr import PatternCost, pattern_cost
from simulator.timing.pipeline import Loop, Tile, Transfer
from simulator.units import transfer_ps


class Traffic(NamedTuple):
    """Bytes and DRAM commands of some accesses, and their channel time in ps."""

    read_bytes: int = 0
    write_bytes: int = 0
    activates: int = 0
    read_bursts: int = 0
    write_bursts: int = 0
    channel_ps: int = 0

    def plus(self, other: "Traffic", times: int = 1) -> "Traffic":
        """Return this and `times` the other."""
        return Traffic(*(a + times * b for a, b in zip(self, other, strict=True)))


class Pricing:
    """Prices of access patterns, remembered; one per memory path."""

    def __init__(self, dram: Dram, interconnect: Interconnect) -> None:
        """Price patterns on this memory behind this interconnect."""
        self._dram = dram
        self._fabric = interconnect.bytes_per_s
        self._costs: dict[tuple[AccessPattern, int], PatternCost] = {}
        self.peak_bytes_per_s = dram.peak_bytes_per_s

    def cost(self, pattern: AccessPattern, write_permille: int) -> PatternCost:
        """Return what `pattern` costs in a mixture with that share of writes."""
        key = (pattern, write_permille)
        cost = self._costs.get(key)
        if cost is None:
            cost = self._costs[key] = pattern_cost(self._dram, pattern, write_permille)
        return cost

    def port_ps(self, size: int, port_bytes_per_s: int) -> int:
        """Return the least time in which a master's port and the interconnect pass `size`."""
        return transfer_ps(size, min(port_bytes_per_s, self._fabric))

    def transfer(
        self, patterns: Iterable[AccessPattern], port: int, write_permille: int
    ) -> Transfer:
        """Return the transfer that moves all `patterns`."""
        patterns = tuple(patterns)
        size = sum(pattern.bytes for pattern in patterns)
        channel = sum(self.cost(pattern, write_permille).channel_ps for pattern in patterns)
        return Transfer(channel, self.port_ps(size, port))

    def traffic(self, patterns: Iterable[AccessPattern], write_permille: int) -> Traffic:
        """Return bytes, commands and channel time of `patterns`."""
        result = Traffic()
        for pattern in patterns:
            cost = self.cost(pattern, write_permille)
            read, write = (0, pattern.bytes) if pattern.write else (pattern.bytes, 0)
            reads, writes = (0, cost.bursts) if pattern.write else (cost.bursts, 0)
            result = result.plus(
                Traffic(read, write, cost.activates, reads, writes, cost.channel_ps)
            )
        return result

    def priced(
        self, body: Sequence[TileRun | Repeat], port: int, write_permille: int
    ) -> tuple[Tile | Loop, ...]:
        """Return the tiles of `body` with their transfers priced."""
        return tuple(
            Loop(node.times, self.priced(node.body, port, write_permille))
            if isinstance(node, Repeat)
            else Tile(
                self.transfer(node.loads, port, write_permille),
                node.compute_cycles,
                self.transfer(node.stores, port, write_permille),
            )
            for node in body
        )

    def body_traffic(self, body: Sequence[TileRun | Repeat], write_permille: int) -> Traffic:
        """Return the traffic of all tiles of `body`."""
        result = Traffic()
        for node in body:
            if isinstance(node, Repeat):
                result = result.plus(self.body_traffic(node.body, write_permille), node.times)
            else:
                result = result.plus(self.traffic((*node.loads, *node.stores), write_permille))
        return result


@lru_cache(maxsize=64)
def pricing_of(dram: Dram, interconnect: Interconnect) -> Pricing:
    """Return the prices of a memory path; equal paths share one object, and so what it knows."""
    return Pricing(dram, interconnect)


def permille_written(read_bytes: int, write_bytes: int) -> int:
    """Return the share of writes; a mixture never rounds to pure reads or writes."""
    if not read_bytes or not write_bytes:
        return 1000 if write_bytes else 0
    return min(999, max(1, write_bytes * 1000 // (read_bytes + write_bytes)))
