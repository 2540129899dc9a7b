"""Runs streams against the controllers of all channels."""

from dataclasses import dataclass

from simulator.hardware.dram import DramDevice
from simulator.hardware.dram_standards import ACT, RD, REF, WR
from simulator.timing.dram.address import decoder
from simulator.timing.dram.controller import NEVER, Controller, LogEntry
from simulator.timing.dram.traffic import Stream, TransactionSource


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Statistics of a run: cycles, useful bytes per stream, commands over all channels."""

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
        """Useful bandwidth of all streams, in GB/s."""
        return sum(self.useful_bytes) * 1e6 / self.time_fs

    @property
    def bursts(self) -> int:
        """Granules read and written."""
        return self.reads + self.writes

    @property
    def row_hit_rate(self) -> float:
        """Fraction of bursts that hit an open row."""
        return max(0.0, 1 - self.activates / self.bursts)

    @property
    def energy_aj(self) -> int:
        """Energy in aJ of commands, interface and standby, over all channels."""
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
        """Total energy per bit on the data buses, in pJ."""
        return self.energy_aj / (self.bursts * self.device.granule * 8) / 1e6


class Memory:
    """All channels of a device and the streams they serve."""

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
        self.logs: list[list[LogEntry]] = [[] for _ in range(device.channels if logged else 0)]
        self.controllers = [
            Controller(device, self.logs[i] if logged else None) for i in range(device.channels)
        ]
        decode = decoder(device, mapping, hashed=hashed)
        self.sources = [
            TransactionSource(s, decode, device.granule, device.period, self.controllers)
            for s in streams
        ]
        self._turn = 0
        self._per_cycle = 2 + 2 * device.channels  # granules accepted per cycle, over all streams

    def run(self) -> MemoryStats:
        """Serve the streams until all granules of one finite stream are complete."""
        controllers, now = self.controllers, 0
        while True:
            now = offer_at = self._next_offer(now)
            for controller in controllers:
                if controller.wake < now:  # noqa: PLR1730 - min() costs twice
                    now = controller.wake
            if now == offer_at and self._offer(now):
                return self._stats(now)
            for controller in controllers:
                if controller.wake <= now:
                    controller.tick(now)
            now += 1

    def _next_offer(self, now: int) -> int:
        """Return the next cycle, from `now` on, in which a stream may issue a granule or ends."""
        soonest = NEVER
        for source in self.sources:
            due = source.due(now)
            if due < soonest:  # noqa: PLR1730
                soonest = due
        return soonest

    def _offer(self, now: int) -> bool:
        """Accept granules from the streams, one of each in turn; return whether one has ended."""
        sources, left = self.sources, self._per_cycle
        for source in sources:
            if source.end <= now:
                return True
        if len(sources) == 1:
            sources[0].issue(now, left)
            return False
        refused = 0
        while left and refused < len(sources):
            issued = sources[self._turn].issue(now, 1)
            left -= issued
            refused = 0 if issued else refused + 1
            self._turn = (self._turn + 1) % len(sources)
        return False

    def _stats(self, end: int) -> MemoryStats:
        for source in self.sources:
            source.settle(end + 1)
        totals = [sum(c.counts[kind] for c in self.controllers) for kind in (ACT, RD, WR, REF)]
        useful = tuple(source.bytes for source in self.sources)
        return MemoryStats(self.device, end + 1, useful, *totals)
