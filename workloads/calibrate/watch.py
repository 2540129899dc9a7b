"""Progress and time limit of a calibration, and whether other programs disturb it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch

from simulator.errors import InputError
from workloads.calibrate.measure import CLOCKS, HostClocks

# Guesses, between an idle machine (99 % of a core, repeats within 1.05 of the fastest)
# and one with another program on every core (50 to 70 %, 1.3 and more).
_LEAST_SHARE = 0.93
_MOST_SPREAD = 1.25
_PROBES = 60
_PROBE_SIDE = 320  # rows: a product of some milliseconds

Report = Callable[[int, int, str, float], None]
"""Gets turns done, turns in all, what is measured now, and the seconds left."""


@dataclass(frozen=True)
class Load:
    """Load by other programs: the share of a core that this one got, the median of repeats over the
    fastest, and how many programs were runnable on how many cores.
    """

    share: float
    spread: float
    waiting: float
    cores: int

    @property
    def busy(self) -> str:
        """Why nothing can be measured, as half a sentence; "" if the machine is idle enough."""
        if self.share < _LEAST_SHARE:
            return f"this program got {100 * self.share:.0f} % of a core"
        if self.spread > _MOST_SPREAD:
            return f"repeats took {self.spread:.2f} times as long as the fastest"
        if self.waiting > self.cores:
            return f"{self.waiting:.1f} programs want to run on {self.cores} cores"
        return ""


def load_now(clock: HostClocks = CLOCKS) -> Load:
    """Return the present load, from some tenths of a second of products."""
    a = torch.ones(_PROBE_SIDE, _PROBE_SIDE)
    start, process = clock.wall(), clock.process()
    marks = [start]
    for _ in range(_PROBES):
        torch.mm(a, a)
        marks.append(clock.wall())
    times = [after - before for before, after in pairwise(marks)]
    share = (clock.process() - process) / max(1e-9, marks[-1] - start)
    spread = median(times) / max(1e-9, min(times))
    return Load(share, spread, os.getloadavg()[0], os.cpu_count() or 1)


def refuse_if_busy(load: Load) -> None:
    """Raise InputError if other programs would distort the measurement."""
    if load.busy:
        raise InputError(
            f"the machine is too busy to measure, {load.busy}: end other programs, or measure "
            "anyway with --force"
        )


class TimeLimit:
    """Counts the turns of a calibration, and the seconds left of its limit."""

    def __init__(
        self, limit_s: float, total: int, report: Report, clock: HostClocks = CLOCKS
    ) -> None:
        """Start now, with `total` turns to do in `limit_s` seconds."""
        self.clock = clock
        self._limit_s = limit_s
        self._total = total
        self._report = report
        self._done = 0
        self._process_s = self._wall_s = 0.0
        self._start = clock.wall()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self.clock.wall() - self._start

    @property
    def over(self) -> bool:
        """Whether no time is left."""
        return self.elapsed_s >= self._limit_s

    @property
    def share(self) -> float:
        """Share of a core that turns on one thread got; 1 before the first."""
        return self._process_s / self._wall_s if self._wall_s else 1.0

    def timed(self, turn: Callable[[], float], what: str, threads: int) -> float:
        """Return what `turn` returns, and report it."""
        wall, process = self.clock.wall(), self.clock.process()
        seconds = turn()
        if threads == 1:
            self._wall_s += self.clock.wall() - wall
            self._process_s += self.clock.process() - process
        self.passed(what)
        return seconds

    def passed(self, what: str) -> None:
        """Report one more turn."""
        self._done += 1
        self._report(self._done, self._total, what, self.left_s)

    @property
    def left_s(self) -> float:
        """Seconds that the remaining turns take at the present pace, at most until the limit."""
        pace = self.elapsed_s / max(1, self._done)
        return max(0.0, min(pace * (self._total - self._done), self._limit_s - self.elapsed_s))
