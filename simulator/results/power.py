"""Power over one step: what flows when, and the highest power during each task."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from simulator.activity import Span
from simulator.units import ceil_div


class PowerLevel(NamedTuple):
    """Power, in microwatts, from `start_ps` to the start of the next level."""

    start_ps: int
    power_uw: int


def power_levels(
    spans: Sequence[Span], dynamic_aj: Sequence[int], static_uw: int
) -> list[PowerLevel]:
    """Return the power over time: each task spends its dynamic energy evenly over its span."""
    moments, powers = _levels(spans, dynamic_aj, static_uw)
    return [PowerLevel(*level) for level in zip(moments, powers, strict=True)]


def peaks_uw(spans: Sequence[Span], dynamic_aj: Sequence[int], static_uw: int) -> tuple[int, ...]:
    """Return, for each task, the highest power while it ran, in microwatts."""
    moments, powers = _levels(spans, dynamic_aj, static_uw)
    position = {moment: index for index, moment in enumerate(moments)}
    return tuple(
        max(powers[position[start] : position[end]], default=static_uw) for start, end in spans
    )


def _levels(
    spans: Sequence[Span], dynamic_aj: Sequence[int], static_uw: int
) -> tuple[list[int], list[int]]:
    """Return the moments at which the power changes, and the power from each of them on."""
    changes: dict[int, int] = {}
    for (start, end), energy in zip(spans, dynamic_aj, strict=True):
        power = power_uw(end - start, energy)
        changes[start] = changes.get(start, 0) + power
        changes[end] = changes.get(end, 0) - power
    moments = sorted(changes)
    steps = accumulate((changes[moment] for moment in moments), initial=static_uw)
    return moments, list(steps)[1:]


def power_uw(duration_ps: int, energy_aj: int) -> int:
    """Return the power of energy that is spent evenly over a time, in microwatts."""
    return ceil_div(energy_aj, duration_ps) if duration_ps else 0
