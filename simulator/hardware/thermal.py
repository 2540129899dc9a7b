"""What carries a SoC's heat away, where it throttles, and the battery that feeds it."""

from itertools import pairwise
from typing import Self

from pydantic import Field, model_validator

from simulator.hardware.part import FASTEST_HZ, Part
from simulator.units import (
    Hertz,
    Microwatts,
    Millicelsius,
    MillijoulesPerKelvin,
    MillikelvinPerWatt,
    Milliohms,
    Millivolts,
    MilliwattHours,
    Permille,
    Picoseconds,
)


class ThermalStage(Part):
    """One node of the network from die to ambient (Cauer form): it stores heat and passes it on."""

    resistance: MillikelvinPerWatt = Field(gt=0, description="to the next stage, or to ambient")
    capacity: MillijoulesPerKelvin = Field(gt=0)


class Trip(Part):
    """A temperature of the die from which on the CPU's clock is limited."""

    temperature: Millicelsius
    clock: Hertz = Field(gt=0, le=FASTEST_HZ, description="of the CPU, from this temperature on")


class Thermal(Part):
    """The package as a network of one to three stages, the die first, and its governor."""

    stages: tuple[ThermalStage, ...] = Field(min_length=1, max_length=3, strict=False)
    ambient: Millicelsius = Field(default=25_000, ge=-60_000, le=150_000)
    trips: tuple[Trip, ...] = Field(default=(), strict=False, description="coolest first")
    hysteresis: Millicelsius = Field(default=3_000, ge=0, description="below a trip, to leave it")
    poll: Picoseconds = Field(gt=0, default=10**12, description="between looks at the sensor")
    leakage_doubling: Millicelsius = Field(
        default=25_000, gt=0, description="kelvins over which leakage of the units doubles"
    )
    leakage_at: Millicelsius = Field(
        default=25_000, description="temperature that static_power is given at"
    )
    idle: Microwatts = Field(
        ge=0, default=0, description="power of the package before the run, which warmed it"
    )

    @model_validator(mode="after")
    def _trips_fall(self) -> Self:
        for cool, hot in pairwise(self.trips):
            if hot.temperature <= cool.temperature or hot.clock >= cool.clock:
                raise ValueError("trips must rise in temperature and fall in clock: order them")
        return self


class Battery(Part):
    """An energy store behind an internal resistance; a converter feeds the board from it."""

    capacity: MilliwattHours = Field(gt=0)
    voltage: Millivolts = Field(gt=0, description="open circuit, on average over a charge")
    resistance: Milliohms = Field(ge=0, default=0, description="internal: its loss grows as I^2")
    efficiency: Permille = Field(gt=0, le=1000, default=1000, description="of the converter")
