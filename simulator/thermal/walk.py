"""An epoch, or many, as temperature and battery see them: steps at the clock that heat allows.

A training step takes milliseconds, a package seconds to minutes. So each step is simulated once per
clock; here whole steps pass between two looks of the governor at its sensor, at constant power:
leakage stays that of the temperature when the look was taken.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from simulator.hardware.thermal import Battery, Thermal
from simulator.thermal.network import HOTTEST_C, ThermalNetwork, after, leakage_factor, steady_rises
from simulator.units import AJ_PER_J, PS_PER_S

_J_PER_MWH = 3.6


class ClockedStep(NamedTuple):
    """A training step at one clock of the CPU: how long, all its energy, and leakage within it.

    `leakage_uw` is part of `energy_aj`, at the reference temperature.
    """

    clock: int
    time_ps: int
    energy_aj: int
    leakage_uw: int


class PollInterval(NamedTuple):
    """What happened between two looks at the sensor; `start_s` and `die_c` are at its start."""

    start_s: float
    seconds: float
    steps: int
    clock: int
    die_c: float
    energy_j: float
    drawn_j: float
    given_off_j: float
    rises: tuple[float, ...]  # at its end


def allowed_clock(thermal: Thermal, die_c: float, limit: int | None) -> int | None:
    """Return the CPU's highest clock at a die temperature, None where nothing limits it.

    `limit` is that before: a trip is left only `hysteresis` below its temperature.
    """
    clock = None
    for trip in thermal.trips:
        active = limit is not None and limit <= trip.clock
        threshold = trip.temperature - (thermal.hysteresis if active else 0)
        if 1000 * die_c >= threshold:
            clock = trip.clock
    return clock


def drawn_w(battery: Battery | None, power_w: float) -> float | None:
    """Return what a load takes from the store, losses included; None where it cannot deliver it.

    The cell of voltage V and resistance R gives P = I (V - I R); the store loses I V.
    """
    if battery is None:
        return power_w
    load_w = 1000 * power_w / battery.efficiency
    volts, ohms = battery.voltage / 1000, battery.resistance / 1000
    if not ohms:
        return load_w
    root = volts**2 - 4 * ohms * load_w
    return None if root < 0 else volts * (volts - root**0.5) / (2 * ohms)


def walk(
    thermal: Thermal, battery: Battery | None, choices: Sequence[ClockedStep], steps: int
) -> Iterator[PollInterval]:
    """Yield the intervals of `steps` steps; fewer where the battery is empty or the die runs away.

    `choices` are the step at each clock, the fastest last. The package begins at rest under
    `thermal.idle`. Its time goes in whole steps, at least one per look.
    """
    network, limit, start_s = ThermalNetwork.of_part(thermal), None, 0.0
    ambient_c = thermal.ambient / 1000
    rises = steady_rises(network, thermal.idle / 1e6)
    left_j = battery.capacity * _J_PER_MWH if battery else None
    for _ in count():
        die_c = ambient_c + rises[0]
        if steps <= 0 or die_c > HOTTEST_C:
            return
        limit = allowed_clock(thermal, die_c, limit)
        step = _step_at(choices, limit)
        power_w = _power_w(thermal, step, die_c)
        draw_w = drawn_w(battery, power_w)
        if draw_w is None:
            return
        number = min(steps, max(1, thermal.poll // step.time_ps))
        if left_j is not None:
            number = min(number, int(left_j / (draw_w * step.time_ps / PS_PER_S)))
            if not number:
                return
        seconds = number * step.time_ps / PS_PER_S
        stretch = after(network, rises, power_w, seconds)
        rises = stretch.rises
        yield PollInterval(
            start_s, seconds, number, step.clock, die_c, power_w * seconds, draw_w * seconds,
            stretch.given_off_j, rises,
        )  # fmt: skip
        start_s, steps = start_s + seconds, steps - number
        left_j = left_j - draw_w * seconds if left_j is not None else None


def _step_at(choices: Sequence[ClockedStep], limit: int | None) -> ClockedStep:
    """Return the fastest choice within `limit`, or the slowest where none is."""
    allowed = [each for each in choices if limit is None or each.clock <= limit]
    return max(allowed, key=lambda each: each.clock) if allowed else choices[0]


def _power_w(thermal: Thermal, step: ClockedStep, die_c: float) -> float:
    """Return the power of a step with the leakage of this temperature."""
    law = thermal.leakage_at / 1000, thermal.leakage_doubling / 1000
    more = step.leakage_uw / 1e6 * (leakage_factor(die_c, *law) - 1)
    return step.energy_aj / AJ_PER_J * PS_PER_S / step.time_ps + more
