"""What an access pattern costs a DRAM: channel time, activations and bursts.

Closed forms of a saturated channel, from JEDEC timings alone: each row visit of n granules is
limited by the data bus (with one read-write turnaround per drained write buffer), by the
activation rate, or by the cycle of its bank; refresh takes its share of all. Against DRAMsim3
they are within 1 % for sequential reads, 2 % for sequential writes and 7 % for random reads of one
granule on DDR4 and x32 LPDDR4; queues, which they do not know, limit HBM2 and 32-byte granules.
"""

from functools import lru_cache
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.dram import DramDevice
from simulator.hardware.soc import Dram
from simulator.units import ceil_div, transfer_ps

WRITE_BUFFER = 32  # granules drained at a time; the write buffer of DRAMsim3 and Ramulator
_FS_PER_PS = 1000


class PatternCost(NamedTuple):
    """Channel time in ps when the memory serves this pattern alone; commands over all channels."""

    channel_ps: int
    activates: int
    bursts: int


class _Visit(NamedTuple):
    """One visit of a row: its granules on one channel, and its time as a fraction of fs."""

    granules: int
    numerator_fs: int
    denominator: int


def pattern_cost(dram: Dram, pattern: AccessPattern, write_permille: int) -> PatternCost:
    """Return the cost of `pattern`, in a mixture in which `write_permille` of the bytes write."""
    if not pattern.bytes:
        return PatternCost(0, 0, 0)
    device = dram.device
    if device is None:
        return PatternCost(transfer_ps(pattern.bytes, dram.bandwidth), 0, 0)
    runs = ceil_div(pattern.bytes, pattern.run)
    per_run = ceil_div(min(pattern.run, pattern.bytes), device.granule)
    visit = _visit(device, _granules_per_visit(device, pattern), pattern.write, write_permille)
    bursts = runs * per_run
    channel_fs = ceil_div(
        bursts * visit.numerator_fs, visit.granules * device.channels * visit.denominator
    )
    return PatternCost(ceil_div(channel_fs, _FS_PER_PS), ceil_div(bursts, visit.granules), bursts)


def _granules_per_visit(device: DramDevice, pattern: AccessPattern) -> int:
    """Return how many granules of a channel's row one visit of the pattern touches."""
    row = device.row // device.granule
    if pattern.run >= pattern.pitch:
        return row
    per_run = ceil_div(pattern.run, device.granule)
    runs_per_row = max(1, device.row * device.channels // pattern.pitch)
    return max(1, min(row, per_run * runs_per_row // device.channels))


@lru_cache(maxsize=4096)
def _visit(device: DramDevice, granules: int, write: bool, write_permille: int) -> _Visit:
    t = device.timing
    mixed = 0 < write_permille < 1000
    bus = granules * max(t.burst, ceil_div(t.tCCD_L, device.bank_groups)) * 1000 * WRITE_BUFFER
    if mixed:
        bus += granules * write_permille * (t.tRTRS + t.tWTR_L + t.CL)
    activate = max(t.tRRD_S, ceil_div(t.tFAW, 4)) * 1000 * WRITE_BUFFER
    recovery = t.CWL + t.burst + t.tWR if write else t.tRTP
    bank = max(t.tRAS + t.tRP, t.tRCD + (granules - 1) * t.tCCD_S + recovery + t.tRP)
    scaled = max(bus, activate, bank * 1000 * WRITE_BUFFER // device.banks)
    lost = t.tRFC + t.tRP + t.tRCD
    interval = t.tREFI * (device.banks if device.refresh == "per_bank" else 1)
    return _Visit(
        granules,
        scaled * device.period * interval,
        1000 * WRITE_BUFFER * (interval - lost),
    )
