"""When jobs come: at a rate, at random, one after the other, or as a file says."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import count, islice, repeat, takewhile
from pathlib import Path
from random import Random

from simulator.errors import InputError, shown
from simulator.files.text import is_file, read_text
from simulator.scenario.description import ProgramEntry
from simulator.units import DURATION, PS_PER_S

_RATE = re.compile(r"(poisson\s+)?([0-9]*\.?[0-9]+)\s*(?:fps|/s|Hz)")
_HOW = "write 30 fps, poisson 30 fps, every 2 s, always, or a CSV file of times in seconds"
_LARGEST = 1 << 24  # bytes of a file of times
_MOST = 10_000_000  # jobs of a source; more is a slip of the keyboard


@dataclass(frozen=True)
class Always:
    """Each job comes when the one before has ended, `window` at a time.

    `jobs` are shared out to `places` devices; None: without end.
    """

    jobs: int | None
    places: int
    window: int
    in_background: bool
    start_ps: int

    @property
    def is_endless(self) -> bool:
        """Whether jobs come as long as others do, or until the scenario's end."""
        return self.jobs is None

    def times(self, place: int) -> Iterator[int]:
        """Yield a time for each job of the device at this place, from when it may come."""
        if self.jobs is None:
            return repeat(self.start_ps)
        return repeat(self.start_ps, len(range(place, self.jobs, self.places)))


@dataclass(frozen=True)
class Timed:
    """Jobs come at these times, by the place of the device."""

    by_place: Sequence[Sequence[int]]
    window: int = 0
    in_background: bool = False

    @property
    def is_endless(self) -> bool:
        """A list of times always ends."""
        return False

    def times(self, place: int) -> Iterator[int]:
        """Yield when the jobs of the device at this place come."""
        return iter(self.by_place[place])


def arrivals_of(
    name: str, entry: ProgramEntry, places: int, until_ps: int | None, seed: int
) -> Always | Timed | None:
    """Return when the jobs of a program come on its devices, None where others lead to it.

    Raises InputError with the fix.
    """
    text = (entry.arrive or "").strip()
    if not text:
        if entry.jobs is not None:
            raise InputError(f"programs.{name}.jobs: say when they come: arrive: always")
        return None
    if text == "always":
        jobs = entry.jobs if entry.jobs is None or not entry.each else entry.jobs * places
        background = jobs is None and until_ps is None
        return Always(jobs, places, entry.window, background, entry.start)
    if is_file(Path(text)):
        moments = _from_file(Path(text), entry)
        in_time = [at for at in moments if until_ps is None or at < until_ps]
        return Timed(_dealt(in_time, entry, places))
    if entry.jobs is None and until_ps is None:
        raise InputError(
            f"programs.{name}.arrive: {shown(text)} never ends: add jobs, or until to the scenario"
        )
    streams = places if entry.each else 1
    times = [_stream(name, text, entry, until_ps, f"{seed}/{name}/{n}") for n in range(streams)]
    return Timed(times if entry.each else _dealt(times[0], entry, places))


def _dealt(times: Sequence[int], entry: ProgramEntry, places: int) -> list[Sequence[int]]:
    """Return which of `times` are for which device: all for each, or one after the other."""
    return [times if entry.each else times[place::places] for place in range(places)]


def _stream(
    name: str, text: str, entry: ProgramEntry, until_ps: int | None, seed: str
) -> list[int]:
    rate, at_random = _rate(name, text)
    if at_random:
        draws, now, times = Random(seed), Fraction(0), list[int]()
        most = _MOST if entry.jobs is None else entry.jobs
        while len(times) < most:
            now += Fraction(draws.expovariate(float(rate)))
            at = entry.start + int(now * PS_PER_S)
            if until_ps is not None and at >= until_ps:
                break
            times.append(at)
        return times
    every: Iterator[int] = (entry.start + int(number * PS_PER_S / rate) for number in count())
    if until_ps is not None:
        every = takewhile(lambda at: at < until_ps, every)
    return list(islice(every, _MOST if entry.jobs is None else entry.jobs))


def _rate(name: str, text: str) -> tuple[Fraction, bool]:
    """Return jobs per second, and whether they come at random."""
    where = f"programs.{name}.arrive"
    if text.startswith("every "):
        try:
            period_ps = DURATION.parse(text.removeprefix("every "))
        except ValueError as error:
            raise InputError(f"{where}: {error}") from None
        rate, at_random = Fraction(PS_PER_S, period_ps) if period_ps > 0 else Fraction(0), False
    else:
        match = _RATE.fullmatch(text)
        if match is None:
            raise InputError(f"{where}: {shown(text)} is no arrival, nor a file; {_HOW}")
        rate, at_random = Fraction(Decimal(match[2])), bool(match[1])
    if not 0 < rate <= PS_PER_S:
        raise InputError(f"{where}: {shown(text)}: nothing ever comes so; {_HOW}")
    return rate, at_random


def _from_file(path: Path, entry: ProgramEntry) -> list[int]:
    """Return the times in the first column of a file, in seconds, from the start on."""
    times: list[int] = []
    lines = csv.reader(read_text(path, _LARGEST).splitlines())
    for number, row in enumerate(lines, 1):
        if not row or (number == 1 and not _is_number(row[0])):
            continue
        if not _is_number(row[0]) or Decimal(row[0]) < 0:
            raise InputError(f"{path}: line {number}: {shown(row[0])} is no time in seconds from 0")
        times.append(entry.start + int(Decimal(row[0]) * PS_PER_S))
    return sorted(times)[: entry.jobs]


def _is_number(text: str) -> bool:
    try:
        return Decimal(text.strip()).is_finite()
    except ArithmeticError:
        return False
