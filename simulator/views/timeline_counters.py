"""What changes over a step beside its tasks: bandwidth of each unit, power, memory that lives."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from simulator.results.step_documents import FlowRow, StepDocument
from simulator.units import PS_PER_S
from simulator.views.timeline_slices import spoken_unit


class CounterLevel(NamedTuple):
    """The values of a counter from a moment on, by name with their unit."""

    counter: str
    start_ps: int
    values: Mapping[str, float]


def levels(step: StepDocument) -> Iterable[CounterLevel]:
    """Yield what changes over `step`, each counter in order of time.

    DRAM bandwidth is in GB/s, power in W, memory in MB. A folder of an earlier version has no
    memory over time.
    """
    yield from _bandwidth(step)
    for power in step["power"]:
        yield CounterLevel("Power", power["start_ps"], {"total (W)": power["power_uw"] / 10**6})
    for memory in step.get("memory", ()):
        values = {f"{kind} (MB)": size / 10**6 for kind, size in memory["bytes"].items()}
        yield CounterLevel("Memory", memory["start_ps"], values)


def _bandwidth(step: StepDocument) -> Iterable[CounterLevel]:
    """Yield the rate of every master whenever one changes.

    Rates are summed as fractions, so that they are exactly 0 once nothing flows.
    """
    changes = _changes(step["flows"])
    rates = dict.fromkeys(
        sorted({flow["unit"] for flow in step["flows"]}, reverse=True), Fraction()
    )
    for moment in sorted(changes):
        for unit, change in changes[moment]:
            rates[unit] += change
        values = {f"{spoken_unit(unit)} (GB/s)": float(rate) for unit, rate in rates.items()}
        yield CounterLevel("DRAM bandwidth", moment, values)


def _changes(flows: Iterable[FlowRow]) -> dict[int, list[tuple[str, Fraction]]]:
    changes: dict[int, list[tuple[str, Fraction]]] = {}
    for flow in flows:
        start, end = flow["start_ps"], flow["end_ps"]
        if end <= start or not flow["bytes"]:
            continue
        rate = Fraction(flow["bytes"] * (PS_PER_S // 10**9), end - start)
        changes.setdefault(start, []).append((flow["unit"], rate))
        changes.setdefault(end, []).append((flow["unit"], -rate))
    return changes
