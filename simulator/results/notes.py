"""What a result rests on that its numbers do not show: kernels whose times are no measured rows,
voltages beyond all operating points.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.hardware.soc import Hardware
from simulator.results.record import StepRecord
from simulator.si import percent, si
from simulator.timing.measured import Basis


def notes_of(records: Iterable[StepRecord]) -> list[str]:
    """Return a sentence for each unit of measured kernels that ran some beside its table's rows:
    how many between the rows, how many outside, and which part of its time these took.
    """
    calls: dict[str, Counter[str]] = {}
    times_ps: dict[str, Counter[str]] = {}
    for record in records:
        program = Counter(record.run.lowered.program.numbers)
        for number, times in program.items():
            work = record.run.lowered.works[number]
            if work.mapping_reason in _BASES:
                count = times * record.count
                calls.setdefault(work.unit, Counter())[work.mapping_reason] += count
                took_ps = times_ps.setdefault(work.unit, Counter())
                took_ps[work.mapping_reason] += count * record.run.alone_ps[number]
    return [
        _sentence(unit, counts, times_ps[unit])
        for unit, counts in calls.items()
        if counts.total() > counts[Basis.ROW]
    ]


def voltage_notes(hardware: Hardware) -> list[str]:
    """Return a sentence for each unit whose clock lies beyond all its operating points."""
    parts = ((n, part) for n, part in hardware.units.items() if isinstance(part, Cpu | Accelerator))
    return [
        _clock_sentence(name, part)
        for name, part in parts
        if part.operating_points and not _is_within(part)
    ]


def _is_within(part: Cpu | Accelerator) -> bool:
    first, last = part.operating_points[0], part.operating_points[-1]
    return first.clock <= part.clock <= last.clock


def _clock_sentence(name: str, part: Cpu | Accelerator) -> str:
    first = part.operating_points[0]
    if part.clock < first.clock:
        return (
            f"{name} at {si(part.clock, 'Hz')} is below its first operating point, "
            f"{si(first.clock, 'Hz')} at {si(first.voltage / _MV_PER_V, 'V')}: its energy is at "
            "that voltage, though the chip may run at less."
        )
    last, volts = part.operating_points[-1], part.supply_ratio * (part.voltage or 0) / _MV_PER_V
    return (
        f"{name} at {si(part.clock, 'Hz')} is beyond its last operating point, "
        f"{si(last.clock, 'Hz')} at {si(last.voltage / _MV_PER_V, 'V')}: its energy is at a supply "
        f"voltage of {si(float(volts), 'V')}, a guess."
    )


_MV_PER_V = 1000
_BASES = frozenset(basis.value for basis in Basis)
_WHERE = {
    Basis.BETWEEN: "between the rows of its table",
    Basis.OUTSIDE: "outside the range of its table",
}


def _sentence(unit: str, calls: Counter[str], times_ps: Counter[str]) -> str:
    parts = " and ".join(_parts(calls, times_ps))
    return f"Of {calls.total():,} kernels on {unit}, {parts}: their times are estimates."


def _parts(calls: Counter[str], times_ps: Counter[str]) -> Iterator[str]:
    for basis, where in _WHERE.items():
        if calls[basis]:
            share = percent(times_ps[basis], times_ps.total())
            yield f"{calls[basis]:,} lie {where} ({share} of its busy time)"
