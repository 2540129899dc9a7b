"""How far prices may lie from those of the tables: one factor for each kind of price.

A factor is in permille of what the tables say, that of a DRAM current in permille of its datasheet:
what silicon was measured to draw, or `technology.dram_typical`. Uncertain is what all prices of a
kind share (a MAC at one width, every access to SRAM, every command), not each price by itself.
Powers of a measured unit are in no table: their ranges are those of its description.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from simulator.energy import tables
from simulator.energy.boundary import Boundary, takes_in
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.constant import Constant, ConstantKind
from simulator.hardware.cpu import Cpu
from simulator.hardware.dsp import VectorMachine
from simulator.hardware.settings import UNITS
from simulator.hardware.soc import Hardware
from simulator.hardware.unit import MeasuredUnit
from simulator.memo import remember

FactorValues: TypeAlias = Mapping[str, float]
"""Factors in permille by name; an absent one is 1000."""


class Factors:
    """The factor on each kind of price, by name: 1 where there is none.

    Equal ones are one key of a memo.
    """

    __slots__ = ("_hash", "_permille")

    def __init__(self, permille: FactorValues) -> None:
        """Take factors in permille."""
        self._permille = dict(permille)
        self._hash = hash(frozenset(self._permille.items()))

    def __call__(self, name: str) -> float:
        """Return the factor on a kind of price."""
        return self._permille.get(name, 1000) / 1000

    def __eq__(self, other: object) -> bool:
        """Return whether all factors are equal."""
        return isinstance(other, Factors) and self._permille == other._permille

    def __hash__(self) -> int:
        """Return a hash of all factors."""
        return self._hash


PREFIX = "energy."
"""Paths of factors begin with this, those of settings never."""

_ARRAY = ("array_leakage", "sram_access", "sram_leakage", "clock", "control", "gated")
_DSP = ("dsp_action",)
_ALWAYS = ("wire", "noc", "cpu_cycle", "cpu_static", "regulators")
_DRAM = (
    "dram_activates",
    "dram_read_bursts",
    "dram_write_bursts",
    "dram_standby",
    "dram_refresh",
    "dram_power_down",
    "dram_self_refresh",
)
_INTERFACE = ("controller", "phy")
_OUTSIDE = {
    **dict.fromkeys(_DRAM, Boundary.CHIP_DRAM),
    **dict.fromkeys(("regulators", "board_static"), Boundary.BOARD),
}
"""The narrowest boundary with a price of some kinds; all others are of the chip, or of arrays."""
_POWERS = ("busy_power", "static_power")
_OF_SETTING = {
    "cpu_cycle": "cpu.energy_per_cycle",
    "cpu_static": "cpu.static_power",
    "board_static": "technology.board_static",
    **dict.fromkeys(_DRAM, "technology.dram_typical"),
}
"""Settings whose own range, if a description gives one, replaces a factor."""


class Factor(NamedTuple):
    """One kind of price: value, least and most, in permille of the tables."""

    name: str
    value: int
    low: float
    high: float
    source: str
    kind: ConstantKind


def factors(hardware: Hardware) -> list[Factor]:
    """Return the kinds of price that `hardware` pays."""
    arrays = [unit for unit in hardware.units.values() if isinstance(unit, Accelerator)]
    typical = hardware.technology.dram_typical
    precisions = dict.fromkeys(p for a in arrays for p in (a.precision, *a.precisions))
    if any(each.vector for each in arrays):
        precisions["fp32"] = None
    macs = {mac_factor(each): each for each in precisions}
    kinds = [_factor(name, "mac", precision) for name, precision in macs.items()]
    dsps = [unit for unit in hardware.units.values() if isinstance(unit, VectorMachine)]
    others = (*(_ARRAY if arrays else ()), *(_DSP if dsps else ()), *_ALWAYS, *_cores(hardware))
    kinds += [_factor(name, name) for name in others]
    if hardware.technology.serial:
        kinds.append(_factor("serial", "serial"))
    if hardware.dram.device:
        kinds += [_factor(name, name) for name in _INTERFACE]
        figures = hardware.dram.device.energy.figures
        kinds += [_of_silicon(_factor(name, name), figures, typical) for name in _DRAM]
    return [*kinds, *_powers(hardware)]


def _cores(hardware: Hardware) -> Iterable[str]:
    """Yield the kinds of price that depend on what the descriptions of cores leave to tables."""
    cpus = [unit for unit in hardware.units.values() if isinstance(unit, Cpu)]
    if any(each.vector_energy is None for each in cpus):
        yield "cpu_vector"
    if any(each.cache_energy is None for each in cpus):
        yield "cpu_cache"
    if any(each.spin for each in cpus):
        yield "cpu_wait"
    if hardware.technology.board_static:
        yield "board_static"


def power_factor(unit: str, power: str) -> str:
    """Return the name of the factor of a power of a measured unit: the path of the setting."""
    return f"{UNITS}{unit}.{power}"


def _powers(hardware: Hardware) -> Iterable[Factor]:
    """Yield the powers of measured units that their description gives a range."""
    measured = [name for name, unit in hardware.units.items() if isinstance(unit, MeasuredUnit)]
    powers = {power_factor(name, power) for name in measured for power in _POWERS}
    if not powers:
        return
    for each in hardware.constants:
        if each.path in powers and each.is_uncertain and each.value:
            low, high = (1000 * end / each.value for end in (each.low, each.high))
            yield Factor(each.path, 1000, low, high, each.source, each.kind)


def price_constants(
    hardware: Hardware, boundary: Boundary = Boundary.BOARD
) -> tuple[Constant, ...]:
    """Return the factors of `hardware` as constants to draw, such as "energy.dram_activates".

    A factor is left out where the description gives a range to the setting that it multiplies, so
    that one doubt does not count twice, and where nothing within `boundary` has its price.
    """
    ranged = {constant.path for constant in hardware.constants if constant.is_uncertain}
    dsps = [name for name, unit in hardware.units.items() if isinstance(unit, VectorMachine)]
    settings = _OF_SETTING | {name: f"units.{dsps[0]}.active_power" for name in _DSP if dsps}
    return tuple(
        _constant(factor)
        for factor in factors(hardware)
        if takes_in(boundary, _OUTSIDE.get(factor.name, Boundary.ARRAY))
        and settings.get(factor.name, factor.name) not in ranged
    )


def at_end(kinds: Iterable[Factor], end: str) -> FactorValues:
    """Return factors at one end of their ranges, "low" or "high"."""
    return {factor.name: getattr(factor, end) for factor in kinds}


def mac_factor(precision: str) -> str:
    """Return the name of the factor of a MAC at `precision`, which some precisions share."""
    return f"mac_{tables.spread_precision(precision)}"


@remember("factors on prices", most=128)
def _factor(name: str, action: str, precision: str = "") -> Factor:
    row = tables.spread(action, precision)
    kind: ConstantKind = "guess" if row.confidence == "guess" else "published"
    value, low, high = (1000 * each for each in (row.value, row.low, row.high))
    return Factor(name, round(value), low, high, f"{row.source}: {row.how}", kind)


def _of_silicon(factor: Factor, figures: str, typical: int | None) -> Factor:
    """Return the factor on figures of silicon, or on those of a datasheet: by the `typical` silicon
    of a description, if it tells of one.
    """
    if figures == "typical":
        low, high = (1000 * end / factor.value for end in (factor.low, 1000 + factor.value))
        return factor._replace(value=1000, low=low, high=high)
    if typical is None:
        return factor
    low, high = min(typical, factor.low), max(typical, factor.high)
    return factor._replace(value=typical, low=low, high=high)


def _constant(factor: Factor) -> Constant:
    low, high = round(factor.low), round(factor.high)
    return Constant(PREFIX + factor.name, factor.value, low, high, factor.source, factor.kind)
