"""Text with units at the border, exact integers inside, and clocks between cycles and picoseconds.

Inside the product a size is an integer of bytes, a time of picoseconds, a rate of bytes per second,
a frequency of hertz, an energy of attojoules and a power of microwatts; one microwatt during one
picosecond is exactly one attojoule.
"""

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from simulator.memo import remember
from simulator.si import PREFIXES, exact

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

PS_PER_S = 10**12
AJ_PER_J = 10**18

_LARGEST = Decimal(10) ** 30  # of any inner unit; more is a slip of the keyboard
_NUMBER_AND_UNIT = re.compile(
    r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)\s*([^\s0-9.]*)\s*"
)


@dataclass(frozen=True, eq=False)
class Quantity:
    """One physical dimension: its units in terms of the integer unit used inside."""

    name: str
    suffix: str
    units: dict[str, Decimal]
    example: str
    also: dict[str, Decimal] = field(default_factory=dict)  # units that are read, not written

    @property
    def unit(self) -> str:
        """The integer unit used inside, such as "ps"."""
        return self.suffix.removeprefix("_")

    def parse(self, value: Any) -> int:
        """Return `value`, text such as "256 KiB", as an exact integer of the inner unit.

        Raises ValueError with the fix when the unit is missing, unknown or of another dimension,
        or when the number is not a whole multiple of the inner unit.
        """
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"expected {self._one} such as '{self.example}'")
        match = _NUMBER_AND_UNIT.fullmatch(str(value))
        if match is None:
            raise ValueError(f"{value!r} is not {self._one}: write it as '{self.example}'")
        if not match[2]:
            raise ValueError(f"{value!r} has no unit: write it as '{self.example}'")
        return self._whole(Decimal(match[1]) * self._factor(match[2], value), value)

    def text(self, value: int) -> str:
        """Return `value` in the largest unit that keeps it exact and short."""
        for unit, factor in sorted(self.units.items(), key=lambda item: -item[1]):
            scaled = Decimal(value) / factor
            if abs(scaled) >= 1 and scaled == round(scaled, 4):
                return f"{exact(scaled)} {unit}"
        unit = min(self.units, key=lambda name: self.units[name])
        return f"{exact(Decimal(value) / self.units[unit])} {unit}"

    def __get_pydantic_core_schema__(
        self, kind: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        """Let fields of forms annotated with it take text with a unit, as far as 64 bits reach."""
        # At once; validators in annotations have their signatures inspected, field by field.
        from pydantic_core import core_schema  # noqa: PLC0415 - only forms need it

        parsed = core_schema.no_info_before_validator_function(self.parse, handler(kind))
        return core_schema.no_info_after_validator_function(_storable, parsed)

    @property
    def _one(self) -> str:
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"

    def _factor(self, unit: str, value: Any) -> Decimal:
        factor = self.units.get(unit) or self.also.get(unit)
        if factor:
            return factor
        hint = _HINTS.get(unit)
        names = ", ".join(self.units)
        fix = f"; {hint}" if hint else ""
        raise ValueError(f"{value!r}: {unit!r} is not a unit of {self.name} ({names}){fix}")

    def _whole(self, number: Decimal, value: Any) -> int:
        if abs(number) > _LARGEST:
            raise ValueError(f"{value!r} is too large for {self._one}")
        if number != number.to_integral_value():
            raise ValueError(f"{value!r} is finer than {self.text(1)}: round it")
        return int(number)


def _units(unit: str, *prefixes: str) -> dict[str, Decimal]:
    """Return `unit` with these prefixes; the first one makes the inner unit."""
    inner = PREFIXES[prefixes[0]]
    return {f"{each}{unit}": Decimal(10) ** (PREFIXES[each] - inner) for each in prefixes}


_BINARY_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZES = _units("B", "", "k", "M", "G", "T") | {u: Decimal(n) for u, n in _BINARY_BYTES.items()}
_HINTS = {
    "Gb": "Gb is gigabit; write GB or GiB",
    "Mb": "Mb is megabit; write MB or MiB",
    "Kb": "Kb is kilobit; write kB or KiB",
    "kb": "kb is kilobit; write kB or KiB",
    "KB": "KB is ambiguous; write KiB (1024) or kB (1000)",
    "K": "write KiB (1024) or kB (1000)",
    "M": "write MiB (1024 x 1024) or MB (10^6)",
    "G": "write GiB (2^30) or GB (10^9)",
    "Ghz": "write GHz",
    "ghz": "write GHz",
    "Mhz": "write MHz",
    "mhz": "write MHz",
    "Gb/s": "Gb/s is gigabit per second; write GB/s",
    "GBps": "write GB/s",
    "Gbps": "write GB/s",
    "µs": "write us",
}

SIZE = Quantity("size", "_bytes", _SIZES, "256 KiB")
FREQUENCY = Quantity("frequency", "_hz", _units("Hz", "", "k", "M", "G"), "1.2 GHz")
DURATION = Quantity("duration", "_ps", _units("s", "p", "n", "u", "m", ""), "10 us")
PERIOD = Quantity("clock period", "_fs", _units("s", "f", "p", "n"), "0.625 ns")
BANDWIDTH = Quantity(
    "bandwidth",
    "_bytes_per_s",
    {f"{unit}/s": factor for unit, factor in _SIZES.items()},
    "25.6 GB/s",
)
ENERGY = Quantity("energy", "_aj", _units("J", "a", "f", "p", "n", "u", "m", ""), "0.9 pJ")
VOLTAGE = Quantity("voltage", "_mv", _units("V", "m", ""), "0.9 V")
POWER = Quantity("power", "_uw", _units("W", "u", "m", ""), "20 mW")

LENGTH = Quantity("length", "_nm", _units("m", "n", "u"), "22 nm")
CYCLES = Quantity("cycle count", "_cycles", _units("cycles", "", "k"), "28 kcycles")
FRACTION = Quantity("fraction of cycles", "_mcycles", {"cycles": Decimal(1000)}, "2.5 cycles")
RATIO = Quantity("ratio", "_permille", {"%": Decimal(10)}, "60 %")
BIT_RATE = Quantity(
    "rate of a link",
    "_bits_per_s",
    _units("b/s", "", "k", "M", "G"),
    "100 Mb/s",
    {f"{unit}/s": 8 * factor for unit, factor in _SIZES.items()},
)
TEMPERATURE = Quantity("temperature", "_mdegc", _units("degC", "m", ""), "80 degC")
THERMAL_RESISTANCE = Quantity("thermal resistance", "_mk_per_w", _units("K/W", "m", ""), "12 K/W")
HEAT_CAPACITY = Quantity("heat capacity", "_mj_per_k", _units("J/K", "m", ""), "20 J/K")
CHARGE_ENERGY = Quantity("energy of a battery", "_mwh", _units("Wh", "m", ""), "11.2 Wh")
RESISTANCE = Quantity("resistance", "_mohm", _units("ohm", "m", ""), "150 mohm")
MAC_RATE = Quantity("rate of MACs", "_macs_per_s", _units("MAC/s", "", "M", "G", "T"), "4 TMAC/s")

QUANTITIES = {
    each.unit: each
    for each in (
        SIZE, FREQUENCY, DURATION, PERIOD, BANDWIDTH, ENERGY, VOLTAGE, POWER, LENGTH, CYCLES,
        FRACTION, RATIO, BIT_RATE, MAC_RATE, TEMPERATURE, THERMAL_RESISTANCE, HEAT_CAPACITY,
        CHARGE_ENERGY, RESISTANCE,
    )
}  # fmt: skip
"""Every quantity by its inner unit, such as "ps"."""


def _storable(value: int) -> int:
    """Return a value that the tables of sweeps can store."""
    if abs(value) >= 2**63:
        raise ValueError("is too large: it does not fit in 64 bits")
    return value


Bytes = Annotated[int, SIZE]
Hertz = Annotated[int, FREQUENCY]
Picoseconds = Annotated[int, DURATION]
Femtoseconds = Annotated[int, PERIOD]
BytesPerSecond = Annotated[int, BANDWIDTH]
Attojoules = Annotated[int, ENERGY]
Microwatts = Annotated[int, POWER]
Millivolts = Annotated[int, VOLTAGE]
Nanometres = Annotated[int, LENGTH]
Cycles = Annotated[int, CYCLES]
Millicycles = Annotated[int, FRACTION]
Permille = Annotated[int, RATIO]
BitsPerSecond = Annotated[int, BIT_RATE]
MacsPerSecond = Annotated[int, MAC_RATE]
Millicelsius = Annotated[int, TEMPERATURE]
MillikelvinPerWatt = Annotated[int, THERMAL_RESISTANCE]
MillijoulesPerKelvin = Annotated[int, HEAT_CAPACITY]
MilliwattHours = Annotated[int, CHARGE_ENERGY]
Milliohms = Annotated[int, RESISTANCE]


def ceil_div(numerator: int, denominator: int) -> int:
    """Return the quotient of two integers, rounded up."""
    return -(-numerator // denominator)


def transfer_ps(size: int, rate: int) -> int:
    """Return the picoseconds, rounded up, that `size` bytes take at `rate` bytes per second."""
    return ceil_div(size * PS_PER_S, rate)


@dataclass(frozen=True)
class Clock:
    """A clock domain. Its ticks divide both a cycle and a picosecond, so no conversion drifts."""

    hz: int

    @property
    def ticks_per_cycle(self) -> int:
        """Ticks in one clock cycle."""
        return _ticks(self.hz)[0]

    @property
    def ticks_per_ps(self) -> int:
        """Ticks in one picosecond."""
        return _ticks(self.hz)[1]

    def cycles_to_ps(self, cycles: int) -> int:
        """Return the duration of `cycles`, rounded up to a picosecond once, not per cycle."""
        return ceil_div(cycles * PS_PER_S, self.hz)

    def ps_to_cycles(self, ps: int) -> int:
        """Return the cycles, rounded up, that cover `ps`."""
        return ceil_div(ps * self.hz, PS_PER_S)


@remember("ticks of clocks", most=256)
def _ticks(hz: int) -> tuple[int, int]:
    common = math.gcd(PS_PER_S, hz)
    return PS_PER_S // common, hz // common
