"""Operating points of a unit: its supply voltage at a clock."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from pydantic import Field

from simulator.hardware.part import FASTEST_HZ, Part
from simulator.units import Hertz, Millivolts


class OperatingPoint(Part):
    """The fastest clock at a supply voltage."""

    clock: Hertz = Field(gt=0, le=FASTEST_HZ)
    voltage: Millivolts = Field(gt=0)


def check_points(points: Sequence[OperatingPoint], voltage: int | None) -> None:
    """Raise ValueError unless `points` rise in clock and voltage, and `voltage` says whose."""
    if points and voltage is None:
        raise ValueError("operating_points need voltage, that of the energies given")
    for slow, fast in pairwise(points):
        if fast.clock <= slow.clock or fast.voltage < slow.voltage:
            raise ValueError("operating_points must rise: order them by clock")


def supply_ratio(
    clock: int, points: Sequence[OperatingPoint], voltage: int | None
) -> Fraction | int:
    """Return the voltage at `clock` over `voltage`, that of the stated energies; 1 without points.

    The voltage is that of the slowest point that is fast enough. Beyond the last point, which no
    product reaches, it extrapolates the last two (a guess).
    """
    if not points or voltage is None:
        return 1
    point = next((point for point in points if point.clock >= clock), None)
    if point is not None:
        return Fraction(point.voltage, voltage)
    last, before = points[-1], points[-2] if len(points) > 1 else points[-1]
    beyond = Fraction(clock - last.clock, max(1, last.clock - before.clock))
    return (last.voltage + beyond * (last.voltage - before.voltage)) / voltage
