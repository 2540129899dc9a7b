"""A memory under traffic: runs streams against the controllers of all channels."""

from dataclasses import dataclass

from simulator.hardware.dram import DramDevice
from simulator.hardware.dram_standards import ACT, RD, REF, WR
from simulator.timing.dram.address import decoder
from simulator.timing.dram.controller import NEVER, Controller, Issued
from simulator.timing.dram.traffic import Source, Stream


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run did: cycles, useful bytes of ended transactions, commands over all channels."""

    device: DramDevice
    cycles: int
    useful_bytes: tuple[int, ...]
    activates: int
    reads: int
    writes: int
    refreshes: int

    @property
    def time_fs(self) -> int:
        """Duration in femtoseconds."""
        return self.cycles * self.device.period

    @property
    def useful_gbps(self) -> float:
        """Useful bytes of all streams per ns."""
        return sum(self.useful_bytes) * 1e6 / self.time_fs

    @property
    def bursts(self) -> int:
        """Granules read and written."""
        return self.reads + self.writes

    @property
    def row_hit_rate(self) -> float:
        """Share of bursts that needed no activation of their own."""
        return max(0.0, 1 - self.activates / self.bursts)

    @property
    def energy_aj(self) -> int:
        """Commands, interface and standby of all channels."""
        e, bits = self.device.energy, self.device.granule * 8
        commands = (
            self.activates * e.activate
            + self.reads * (e.read + bits * e.io_read)
            + self.writes * (e.write + bits * e.io_write)
            + self.refreshes * e.refresh
        )
        return commands + e.standby * self.device.channels * self.time_fs // 1000

    @property
    def pj_per_bit_bus(self) -> float:
        """Energy per bit on the data buses, all components."""
        return self.energy_aj / (self.bursts * self.device.granule * 8) / 1e6


class Memory:
    """All channels of a device, and the streams that they serve."""

    def __init__(
        self,
        device: DramDevice,
        streams: tuple[Stream, ...],
        mapping: str = "",
        *,
        hashed: bool = True,
        logged: bool = False,
    ) -> None:
        """`mapping` and `hashed` are as for `decoder`; `logged` keeps every channel's commands."""
        self.device = device
        self.logs: list[list[Issued]] = [[] for _ in range(device.channels if logged else 0)]
        self.controllers = [
            Controller(device, self.logs[i] if logged else None) for i in range(device.channels)
        ]
        decode = decoder(device, mapping, hashed=hashed)
        self.sources = [Source(s, decode, device.granule, device.period) for s in streams]
        self._turn = 0
        self._per_cycle = 2 + 2 * device.channels  # granules that all streams together may put in

    def run(self) -> Measured:
        """Serve the streams until the first that is not endless has ended."""
        controllers, sources = self.controllers, self.sources
        now, freed = 0, True
        while True:
            offer_at = self._next_offer(now, freed)
            now = min(offer_at, *[c.wake for c in controllers])
            end = min([source.end for source in sources])
            if end <= now:
                return self._measured(end)
            freed = now == offer_at and self._offer(now)
            for controller in controllers:
                if controller.wake <= now and controller.tick(now):
                    freed = True
            now += 1

    def _next_offer(self, now: int, freed: bool) -> int:
        """Return the next cycle, from `now` on, in which a stream may get a granule in."""
        soonest = NEVER
        for source in self.sources:
            if source.head is None:
                soonest = min(soonest, source.ready_at(now))
            elif freed:
                return now
        return soonest

    def _offer(self, now: int) -> bool:
        """Let the streams in turn put in granules; return whether they may have more to offer."""
        sources, controllers = self.sources, self.controllers
        blocked, left = 0, self._per_cycle
        while left and blocked < len(sources):
            source = sources[self._turn]
            head = source.head or source.refill(now)
            if head is not None and (controller := controllers[head.channel]).room[head.command]:
                source.taken()
                controller.add(head, now)
                blocked, left = 0, left - 1
            else:
                blocked += 1
            self._turn = (self._turn + 1) % len(sources)
        return not left

    def _measured(self, end: int) -> Measured:
        for source in self.sources:
            source.settle(end + 1)
        totals = [sum(c.counts[kind] for c in self.controllers) for kind in (ACT, RD, WR, REF)]
        useful = tuple(source.bytes for source in self.sources)
        return Measured(self.device, end + 1, useful, *totals)
