"""Cost of an access pattern: channel time, activations and bursts, from simulated samples.

Patterns are classified into few strided walks; the cycle-accurate model simulates each once, as a
long stream without refresh. Refresh scales the time of all by the fraction it leaves.
"""

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.dram import Dram, DramDevice
from simulator.hardware.dram_standards import ACT, PRE, RD, REF, WR
from simulator.memo import remember
from simulator.timing.dram.gates import gates_of
from simulator.timing.dram.memory import Memory
from simulator.timing.dram.traffic import Stream, Transaction
from simulator.units import ceil_div, transfer_ps

_NO_REFRESH = 1 << 60  # tREFI in cycles that disables refresh
_BLOCK = 64  # granules between turnarounds of a mix: a DMA tile or part of one
_BLOCKS = 16  # blocks per sample: long against start-up and queues
_CHANNELS = 4  # above this, samples grow with the channels
_FAR = 1 << 24  # granules between the two walks of a mix, plus half of the banks
_IN_FLIGHT = 64  # transactions in flight: more than the queues of a channel hold
_FS_PER_PS = 1000
_SHORT = 4  # longest runs, in granules, that round to halves of powers of two
_FEW = 16  # odd factors of a pitch below this are exact
_BURSTS = RD, WR
LINE = 64  # bytes of a cache line


class PatternCost(NamedTuple):
    """Channel time in ps without contention; activations and bursts over all channels."""

    channel_ps: int
    activates: int
    bursts: int


class Walk(NamedTuple):
    """Strided access: runs of `run` granules, `pitch` granules from start to start."""

    run: int
    pitch: int
    write: bool


class Sample(NamedTuple):
    """Clock cycles and activations, over all channels, of `granules` granules of a walk."""

    granules: int
    cycles: int
    activates: int


class TrafficShape(NamedTuple):
    """Traffic of a master: a walk, alone or in a 1:1 read-write mix with a sequential one."""

    walk: Walk
    mixed: bool = False


class DeviceSamples:
    """Samples of one device, each simulated once.

    `table` maps the traffic of one master, or of two concurrent ones, to its sample.
    """

    def __init__(self, device: DramDevice) -> None:
        """Sample `device`."""
        endless = device.timing.model_copy(update={"tREFI": _NO_REFRESH})
        self.device = device.model_copy(update={"timing": endless})
        self.refresh = _refresh(device)
        self._blocks = max(_BLOCKS, _BLOCKS * device.channels // _CHANNELS)
        self.table: dict[tuple[TrafficShape, ...], Sample] = {}
        self._mixed: dict[Walk, int] = {}

    def of(self, *masters: TrafficShape) -> Sample:
        """Return the sample of one master, or of several that move equal amounts concurrently."""
        sample = self.table.get(masters)
        if sample is None:
            starts = (i * (2 * _FAR + self._half_of_the_banks) for i in range(len(masters)))
            offered = [*map(self._blocks_of, masters, starts)]
            if len(masters) == 1 and masters[0].walk.run < _SHORT:  # soon steady, and slow to run
                offered = [pieces[: len(pieces) // 2] for pieces in offered]
            sample = self.table[masters] = self._run(*offered)
        return sample

    def mixed_cycles(self, walk: Walk) -> int:
        """Return the cycles of a walk's sample in a 1:1 mix with sequential opposite traffic.

        The slowdown is that of the walk's class (`traffic_of`), which is what is simulated.
        """
        cycles = self._mixed.get(walk)
        if cycles is None:
            cycles = self._mixed[walk] = self._cycles_mixed(walk)
        return cycles

    def _cycles_mixed(self, walk: Walk) -> int:
        alone = self.of(TrafficShape(walk))
        written = alone.granules if walk.write else 0
        kind = traffic_of(self.device, alone.granules, written, alone.activates).walk
        opposite = Walk(_BLOCK, _BLOCK, not walk.write)
        together = self.of(TrafficShape(kind, mixed=True))
        apart = self._cycles(TrafficShape(kind)) + self._cycles(TrafficShape(opposite))
        whole = 2 * together.cycles * self._granules // together.granules
        return alone.cycles * max(apart, whole) // apart

    def stretch_permille(self, one: TrafficShape, other: TrafficShape) -> int:
        """Return the slowdown, in permille, of two masters that move equal amounts concurrently.

        1000: they take as long as one after the other.
        """
        one, other = sorted((one, other))
        together = self.of(one, other)
        apart = self._cycles(one) + self._cycles(other)
        return max(1000, together.cycles * 2000 * self._granules // (apart * together.granules))

    def _cycles(self, traffic: TrafficShape) -> int:
        """Return the uncontended cycles of a full-length sample."""
        alone = self.of(traffic)
        return alone.cycles * self._granules // alone.granules

    @property
    def _granules(self) -> int:
        return self._blocks * _BLOCK

    def _blocks_of(self, traffic: TrafficShape, start: int = 0) -> list[Transaction]:
        """Return the transactions of a sample from granule `start` on; a mix alternates blocks."""
        walk = traffic.walk
        if not traffic.mixed:
            return list(chain.from_iterable(self._walked(walk, start)))
        opposite = Walk(_BLOCK, _BLOCK, not walk.write)
        own = islice(self._walked(walk, start), self._blocks // 2)
        other = self._walked(opposite, start + _FAR + self._half_of_the_banks)
        blocks = chain.from_iterable(zip(own, other, strict=False))
        return list(chain.from_iterable(blocks))

    def _walked(self, walk: Walk, start: int) -> Iterator[list[Transaction]]:
        """Yield the blocks of a sample of a walk, from granule `start` on."""
        size, per_block = self.device.granule, max(1, _BLOCK // walk.run)
        for block in range(self._blocks):
            first = start + block * per_block * walk.pitch
            yield [
                Transaction((first + i * walk.pitch) * size, walk.run * size, walk.write)
                for i in range(per_block)
            ]

    @property
    def _half_of_the_banks(self) -> int:
        return self.device.banks // 2 * _row_of_all(self.device)

    def _run(self, *masters: list[Transaction]) -> Sample:
        """Return a sample from its first burst to the end of its last one.

        What precedes the first and follows the last (latencies, posted writes) is not a cost of
        the walk. No sample is then faster than the pins, which take one burst after the other.
        """
        streams = tuple(
            Stream(partial(iter, transactions), outstanding=_IN_FLIGHT) for transactions in masters
        )
        memory = Memory(self.device, streams, logged=True)
        done = memory.run()
        bursts = [at for log in memory.logs for at, command, _, _ in log if command in _BURSTS]
        cycles = max(bursts) - min(bursts) + self.device.timing.burst
        return Sample(done.bursts, cycles, done.activates)


@remember("samples of devices", most=64)
def samples_of(device: DramDevice) -> DeviceSamples:
    """Return the samples of a device; equal devices share them."""
    return DeviceSamples(device)


def pattern_cost(dram: Dram, pattern: AccessPattern, write_permille: int) -> PatternCost:
    """Return the cost of `pattern` in traffic of which `write_permille` of the bytes are writes."""
    if not pattern.bytes:
        return PatternCost(0, 0, 0)
    device = dram.device
    if device is None:
        return PatternCost(transfer_ps(pattern.bytes, dram.bandwidth), 0, 0)
    per_run = ceil_div(min(pattern.run, pattern.bytes), device.granule)
    bursts = ceil_div(pattern.bytes, pattern.run) * per_run
    samples, walk = samples_of(device), walk_of(device, pattern)
    sample = samples.of(TrafficShape(walk))
    cycles = sample.cycles * 1000
    rarer = min(write_permille, 1000 - write_permille)
    if rarer:  # turnarounds scale with the rarer direction
        cycles += 2 * rarer * (samples.mixed_cycles(walk) - sample.cycles)
    interval, blocked = samples.refresh
    fs = ceil_div(
        bursts * cycles * device.period * interval, 1000 * sample.granules * (interval - blocked)
    )
    activates = ceil_div(bursts * sample.activates, sample.granules)
    return PatternCost(ceil_div(fs, _FS_PER_PS), activates, bursts)


def idle_ps(dram: Dram) -> int:
    """Return the idle latency in ps: a read of a closed bank, from activation to last byte."""
    if dram.device is None:
        return 0
    t = dram.device.timing
    opening = gates_of(dram.device).in_bank(ACT, RD)
    return (opening + t.CL + t.burst) * dram.device.period // _FS_PER_PS


def walk_of(device: DramDevice, pattern: AccessPattern) -> Walk:
    """Return the walk that represents a pattern.

    Runs are rounded down to 1, 2, 3, 4, 6, 8, 16 ... granules, pitches up to one of few.
    """
    run = ceil_div(min(pattern.run, pattern.bytes), device.granule)
    if pattern.run >= pattern.pitch or run >= _row_of_all(device):
        return Walk(_BLOCK, _BLOCK, pattern.write)
    pitch, part = divmod(pattern.pitch, device.granule)
    # Misaligned runs start on all channels.
    return Walk(_rounded(run), _pitch(device, pitch + 1 | 1 if part else pitch), pattern.write)


def traffic_of(device: DramDevice, bursts: int, written: int, activates: int) -> TrafficShape:
    """Return the traffic class of work with `bursts` bursts, `written` of them writes.

    Sequential if most bursts hit open rows; else runs of one or four granules per row.
    """
    run = next((run for run in (1, 4) if bursts < 4 * run * activates), _BLOCK)
    apart = _row_of_all(device) * device.bank_groups + run
    pitch = run if run == _BLOCK else apart
    mixed = bursts < 4 * written < 3 * bursts
    return TrafficShape(Walk(run, pitch, not mixed and 2 * written > bursts), mixed)


def _rounded(run: int) -> int:
    power = 1 << (run.bit_length() - 1)
    half_more = power + power // 2
    return half_more if 2 <= power <= _SHORT and run >= half_more else power


def _pitch(device: DramDevice, pitch: int) -> int:
    """Return the pitch of a walk: 2^i times an odd factor, rounded up to one of few.

    2^i selects channels and bank groups, so it is exact, and so are small odd factors. Larger
    ones round to factors that do not alias with rows of few banks, as most do not. Pitches beyond
    all banks wrap around.
    """
    most = _row_of_all(device) * device.banks
    pitch = pitch if pitch <= most else most + pitch % most
    alike = pitch & -pitch
    odd = pitch // alike
    if odd < _FEW:
        return pitch
    unit = 1 << (odd.bit_length() - 3)
    return alike * next(times * unit + 1 for times in (5, 7, 10) if odd <= times * unit + 1)


def _row_of_all(device: DramDevice) -> int:
    """Return the granules in one row of all channels."""
    return device.row // device.granule * device.channels


def _refresh(device: DramDevice) -> tuple[int, int]:
    """Return the refresh interval of a bank, and how much of it the bank is blocked, in cycles.

    A refresh blocks its banks from the precharge to the reopened row: tRP + tRFC + tRCD.
    """
    gates = gates_of(device)
    blocked = gates.in_bank(PRE, REF) + gates.in_bank(REF, ACT) + gates.in_bank(ACT, RD)
    return device.timing.tREFI * len(device.refresh_sets), blocked
