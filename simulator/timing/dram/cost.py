"""What an access pattern costs a DRAM: channel time, activations and bursts, by running samples.

A pattern is sampled as one of few walks through memory, each of which the command-by-command
model of the device runs once. The samples are long streams without refresh; refresh takes its
share of the time of all.
"""

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.dram import Dram, DramDevice
from simulator.hardware.dram_standards import ACT, PRE, RD, REF
from simulator.memo import remember
from simulator.timing.dram.gates import gates_of
from simulator.timing.dram.memory import Memory
from simulator.timing.dram.traffic import Stream, Transaction
from simulator.units import ceil_div, transfer_ps

_NO_REFRESH = 1 << 60  # cycles between refreshes that never come
_BLOCK = 64  # granules that a mixture moves in one direction: a DMA's tile or part of one
_BLOCKS = 16  # of a sample: long against start-up and queues
_CHANNELS = 4  # beyond which a sample grows with their number
_FAR = 1 << 24  # granules between the two walks of a mixture, beside other banks
_UNDER_WAY = 64  # transactions: more than the queues of a channel hold
_FS_PER_PS = 1000
_SHORT = 4  # granules of runs that are told apart by halves
_FEW = 16  # odd parts of a pitch below which each is sampled for itself
LINE = 64  # bytes of a cache line


class PatternCost(NamedTuple):
    """Channel time in ps when the memory serves this pattern alone; commands over all channels."""

    channel_ps: int
    activates: int
    bursts: int


class Walk(NamedTuple):
    """Runs of `run` granules, `pitch` granules from start to start, read or written."""

    run: int
    pitch: int
    write: bool


class Sample(NamedTuple):
    """What so many granules of a walk took: clock cycles, and activations of all channels."""

    granules: int
    cycles: int
    activates: int


class Traffic(NamedTuple):
    """What a master moves: a walk, or one mixed with as much in the other direction."""

    walk: Walk
    mixed: bool = False


class Samples:
    """Samples of one device, each run once.

    `known` are those taken already: of one traffic, or of two at the same time.
    """

    def __init__(self, device: DramDevice) -> None:
        """Sample `device`."""
        endless = device.timing.model_copy(update={"tREFI": _NO_REFRESH})
        self.device = device.model_copy(update={"timing": endless})
        self.refresh = _refresh(device)
        self._blocks = max(_BLOCKS, _BLOCKS * device.channels // _CHANNELS)
        self.known: dict[tuple[Traffic, ...], Sample] = {}
        self._mixed: dict[Walk, int] = {}

    def of(self, *masters: Traffic) -> Sample:
        """Return a sample of one master, or of several at the same time, each as much."""
        sample = self.known.get(masters)
        if sample is None:
            starts = (i * (2 * _FAR + self._half_of_the_banks) for i in range(len(masters)))
            offered = [*map(self._blocks_of, masters, starts)]
            if len(masters) == 1 and masters[0].walk.run < _SHORT:  # soon steady, and slow to run
                offered = [pieces[: len(pieces) // 2] for pieces in offered]
            sample = self.known[masters] = self._run(*offered)
        return sample

    def mixed_cycles(self, walk: Walk) -> int:
        """Return the cycles of a walk's sample beside as much, in sequence, the other way.

        It is stretched as a walk of its kind is that is sampled so.
        """
        cycles = self._mixed.get(walk)
        if cycles is None:
            cycles = self._mixed[walk] = self._cycles_mixed(walk)
        return cycles

    def _cycles_mixed(self, walk: Walk) -> int:
        alone = self.of(Traffic(walk))
        written = alone.granules if walk.write else 0
        kind = traffic_of(self.device, alone.granules, written, alone.activates).walk
        opposite = Walk(_BLOCK, _BLOCK, not walk.write)
        together = self.of(Traffic(kind, mixed=True))
        apart = self._cycles(Traffic(kind)) + self._cycles(Traffic(opposite))
        whole = 2 * together.cycles * self._granules // together.granules
        return alone.cycles * max(apart, whole) // apart

    def stretch_permille(self, one: Traffic, other: Traffic) -> int:
        """Return by how much two masters that move as much at once stretch each other's time.

        1000 where together they take as long as one after the other.
        """
        one, other = sorted((one, other))
        together = self.of(one, other)
        apart = self._cycles(one) + self._cycles(other)
        return max(1000, together.cycles * 2000 * self._granules // (apart * together.granules))

    def _cycles(self, traffic: Traffic) -> int:
        """Return what the granules of a whole sample take alone."""
        alone = self.of(traffic)
        return alone.cycles * self._granules // alone.granules

    @property
    def _granules(self) -> int:
        return self._blocks * _BLOCK

    def _blocks_of(self, traffic: Traffic, start: int = 0) -> list[Transaction]:
        """Return the transactions of a sample from granule `start` on, in blocks where mixed."""
        walk = traffic.walk
        if not traffic.mixed:
            return list(chain.from_iterable(self._walked(walk, start)))
        opposite = Walk(_BLOCK, _BLOCK, not walk.write)
        own = islice(self._walked(walk, start), self._blocks // 2)
        other = self._walked(opposite, start + _FAR + self._half_of_the_banks)
        blocks = chain.from_iterable(zip(own, other, strict=False))
        return list(chain.from_iterable(blocks))

    def _walked(self, walk: Walk, start: int) -> Iterator[list[Transaction]]:
        """Yield as many blocks of a walk as a sample has, from granule `start` on."""
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
        streams = tuple(
            Stream(partial(iter, transactions), outstanding=_UNDER_WAY) for transactions in masters
        )
        done = Memory(self.device, streams).run()
        start = gates_of(self.device).in_bank(ACT, RD) + self.device.timing.CL
        return Sample(done.bursts, done.cycles - start, done.activates)


@remember("samples of devices", most=64)
def samples_of(device: DramDevice) -> Samples:
    """Return the samples of a device; equal devices share them."""
    return Samples(device)


def pattern_cost(dram: Dram, pattern: AccessPattern, write_permille: int) -> PatternCost:
    """Return the cost of `pattern`, in a mixture in which `write_permille` of the bytes write."""
    if not pattern.bytes:
        return PatternCost(0, 0, 0)
    device = dram.device
    if device is None:
        return PatternCost(transfer_ps(pattern.bytes, dram.bandwidth), 0, 0)
    per_run = ceil_div(min(pattern.run, pattern.bytes), device.granule)
    bursts = ceil_div(pattern.bytes, pattern.run) * per_run
    samples, walk = samples_of(device), walk_of(device, pattern)
    sample = samples.of(Traffic(walk))
    cycles = sample.cycles * 1000
    rarer = min(write_permille, 1000 - write_permille)
    if rarer:  # the bus turns around as often as the rarer direction comes
        cycles += 2 * rarer * (samples.mixed_cycles(walk) - sample.cycles)
    interval, blocked = samples.refresh
    fs = ceil_div(
        bursts * cycles * device.period * interval, 1000 * sample.granules * (interval - blocked)
    )
    activates = ceil_div(bursts * sample.activates, sample.granules)
    return PatternCost(ceil_div(fs, _FS_PER_PS), activates, bursts)


def idle_ps(dram: Dram) -> int:
    """Return the time from a read's command to its last byte, of a bank that is closed."""
    if dram.device is None:
        return 0
    t = dram.device.timing
    opening = gates_of(dram.device).in_bank(ACT, RD)
    return (opening + t.CL + t.burst) * dram.device.period // _FS_PER_PS


def walk_of(device: DramDevice, pattern: AccessPattern) -> Walk:
    """Return the walk that stands for a pattern.

    Runs are rounded down to 1, 2, 3, 4, 6, 8, 16 ... granules, pitches up to one of few.
    """
    run = ceil_div(min(pattern.run, pattern.bytes), device.granule)
    if pattern.run >= pattern.pitch or run >= _row_of_all(device):
        return Walk(_BLOCK, _BLOCK, pattern.write)
    pitch, part = divmod(pattern.pitch, device.granule)
    # Runs that begin within a granule begin on all channels.
    return Walk(_rounded(run), _pitch(device, pitch + 1 | 1 if part else pitch), pattern.write)


def traffic_of(device: DramDevice, bursts: int, written: int, activates: int) -> Traffic:
    """Return the traffic that stands for work with so many bursts, of them `written`.

    In sequence where rows are used often; else runs of as few granules, each in another row.
    """
    run = next((run for run in (1, 4) if bursts < 4 * run * activates), _BLOCK)
    apart = _row_of_all(device) * device.bank_groups + run
    pitch = run if run == _BLOCK else apart
    mixed = bursts < 4 * written < 3 * bursts
    return Traffic(Walk(run, pitch, not mixed and 2 * written > bursts), mixed)


def _rounded(run: int) -> int:
    power = 1 << (run.bit_length() - 1)
    half_more = power + power // 2
    return half_more if 2 <= power <= _SHORT and run >= half_more else power


def _pitch(device: DramDevice, pitch: int) -> int:
    """Return the pitch of a walk: 2^i, or 2^i times an odd number of few.

    2^i decides on channels and bank groups and is kept, and so is an odd part that is small. Of
    larger ones those stand for all that are far from whole rows of few banks, as most are. Beyond
    all banks the places repeat.
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
    """Return the granules of a row on every channel."""
    return device.row // device.granule * device.channels


def _refresh(device: DramDevice) -> tuple[int, int]:
    """Return the refresh interval of a bank, and how much of it the bank is blocked, in cycles.

    A refresh blocks its banks from the precharge to the reopened row: tRP + tRFC + tRCD.
    """
    gates = gates_of(device)
    blocked = gates.in_bank(PRE, REF) + gates.in_bank(REF, ACT) + gates.in_bank(ACT, RD)
    return device.timing.tREFI * len(device.refresh_sets), blocked
