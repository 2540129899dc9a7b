"""Kernels as stretches in sequence, each with arithmetic that overlaps its memory traffic."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from simulator.hardware.cpu import Cpu
from simulator.timing.shares import WHOLE
from simulator.units import PS_PER_S, Clock, ceil_div


class Stretch(NamedTuple):
    """Arithmetic of `ps` on `threads` cores, overlapped with the traffic of its own buffers."""

    ps: int
    threads: int = 1
    read_bytes: int = 0
    write_bytes: int = 0

    def at(self, share: Fraction) -> "Stretch":
        """Return it with this share of its arithmetic, rounded up."""
        return self._replace(ps=ceil(self.ps * share))


class StretchBound(NamedTuple):
    """The limits of a stretch in ps: arithmetic or port, and memory time at full bandwidth."""

    least_ps: int
    channel_ps: int

    @property
    def alone_ps(self) -> int:
        """Its duration at full memory bandwidth."""
        return max(self.least_ps, self.channel_ps)


class Stretched:
    """Duration of CPU work under a memory share: dispatch, then its stretches in sequence."""

    def __init__(self, overhead_ps: int, bounds: Sequence[StretchBound]) -> None:
        """Take the dispatch overhead and the bounds of each stretch."""
        self._fixed_ps = overhead_ps + sum(b.least_ps for b in bounds if not b.channel_ps)
        self._bounds = tuple(bound for bound in bounds if bound.channel_ps)
        self.channel_ps = sum(bound.channel_ps for bound in bounds)

    def duration_ps(self, share: int) -> int:
        """Return the time from start to end at a constant `share` of the memory."""
        duration_ps = self._fixed_ps
        for least_ps, channel_ps in self._bounds:
            duration_ps += max(least_ps, ceil_div(channel_ps * WHOLE, share))
        return duration_ps


def cycles_ps(cpu: Cpu, millicycles: int, threads: int = 1) -> int:
    """Return the time in ps of `millicycles` of one core, divided among `threads` cores."""
    return ceil_div(millicycles * PS_PER_S, 1000 * cpu.clock * threads)


def overhead_ps(cpu: Cpu, cycles: int) -> int:
    """Return the time of `cycles` of one core, in ps."""
    return Clock(cpu.clock).cycles_to_ps(cycles)


_USABLE = (3, 4)  # of the cache, a guess: the rest holds what else the kernel touches


def beyond_cache(cpu: Cpu, size: int) -> int:
    """Return the bytes of a buffer that spill to memory between two passes: all or none."""
    cache = cpu.llc.size if cpu.llc else 0
    return size if size * _USABLE[1] > cache * _USABLE[0] else 0
