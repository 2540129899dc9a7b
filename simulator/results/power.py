"""Power over one step: what flows when, and the highest power during each task."""

from collections.abc import Sequence
from typing import NamedTuple

from simulator.activity import Span, Task
from simulator.energy.prices import Prices
from simulator.units import ceil_div


class PowerLevel(NamedTuple):
    """Power, in microwatts, from `start_ps` to the start of the next level."""

    start_ps: int
    power_uw: int


def power_levels(
    spans: Sequence[Span], dynamic_aj: Sequence[int], static_uw: int
) -> list[PowerLevel]:
    """Return the power over time: each task spends its dynamic energy evenly over its span."""
    changes: dict[int, int] = {}
    for span, energy in zip(spans, dynamic_aj, strict=True):
        power = _power(span, energy)
        changes[span.start_ps] = changes.get(span.start_ps, 0) + power
        changes[span.end_ps] = changes.get(span.end_ps, 0) - power
    levels, power = [], static_uw
    for moment in sorted(changes):
        power += changes[moment]
        levels.append(PowerLevel(moment, power))
    return levels


def peaks_uw(spans: Sequence[Span], dynamic_aj: Sequence[int], static_uw: int) -> tuple[int, ...]:
    """Return, for each task, the highest power while it ran, in microwatts."""
    levels = power_levels(spans, dynamic_aj, static_uw)
    position = {level.start_ps: index for index, level in enumerate(levels)}
    power = [level.power_uw for level in levels]
    return tuple(
        [max(power[position[start] : position[end]], default=static_uw) for start, end in spans]
    )


def peaks_of(tasks: Sequence[Task], spans: Sequence[Span], prices: Prices) -> tuple[int, ...]:
    """Return, for each task of a step, the highest power while it ran at `prices`."""
    dynamic = {work: prices.dynamic_aj_of(work.counts) for work in {task.work for task in tasks}}
    spent = [dynamic[task.work] for task in tasks]
    return peaks_uw(spans, spent, sum(prices.static_uw))


def _power(span: Span, energy_aj: int) -> int:
    duration = span.end_ps - span.start_ps
    return ceil_div(energy_aj, duration) if duration else 0
