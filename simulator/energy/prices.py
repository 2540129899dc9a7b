"""What every counted action of one SoC costs, and the static power of its components.

Where a unit has operating points, an action costs energy as the square of the supply voltage, and
leakage draws power in proportion to it, at a constant current: alpha C V^2 f and V I (Weste and
Harris, CMOS VLSI Design, 4th edition, chapter 5, recalled). That the current falls with the
voltage too is left out: slow points leak less than this.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from simulator.activity import MACS_IN, Counts
from simulator.energy import tables
from simulator.energy.banks import Bank, operand_bank, sums_bank
from simulator.energy.factors import PREFIX, Drawn, at_end, factors, mac_factor
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.dram import DramDevice
from simulator.hardware.precision import accumulator_of
from simulator.hardware.soc import Hardware, Technology

COMPONENTS = ("array", "scratchpad", "cpu", "interconnect", "dram")

_AJ_PER_PJ = 10**6
_UW_PER_MW = 10**3

_COMPONENT_OF = {
    "macs": "array",
    "macs_issued": "array",
    "array_macs": "array",
    "array_macs_issued": "array",
    **{name: "array" for name in Counts._fields if name.startswith(MACS_IN)},
    "scratchpad_read_bytes": "scratchpad",
    "scratchpad_write_bytes": "scratchpad",
    "accumulator_read_bytes": "scratchpad",
    "accumulator_write_bytes": "scratchpad",
    "cpu_cycles": "cpu",
    "interconnect_bytes": "interconnect",
    "dram_read_bytes": "dram",
    "dram_write_bytes": "dram",
    "dram_activates": "dram",
    "dram_read_bursts": "dram",
    "dram_write_bursts": "dram",
}
COMPONENT = tuple(_COMPONENT_OF[name] for name in Counts._fields)
"""Which component spends each count."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Attojoules per unit of each count, and microwatts aligned with COMPONENTS."""

    dynamic_aj: Counts
    static_uw: tuple[int, ...]

    def energy_aj(self, counts: Counts, duration_ps: int) -> int:
        """Return what `counts` cost within `duration_ps`, over all components."""
        dynamic = sum(a * b for a, b in zip(counts, self.dynamic_aj, strict=True))
        return dynamic + sum(self.static_uw) * duration_ps


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of one SoC; every amount of energy that follows from them is an exact integer.

    `dynamic_aj` holds attojoules per unit of each count, 0 where another count carries the cost:
    of MACs those that the array issues are paid, of DRAM traffic the commands and not the bytes.
    `component` names who spends each count; `static_uw` is aligned with COMPONENTS. `low` and
    `high` are the least and the most that the sources of each price leave possible. `board_uw` is
    the measured power of the whole board, if it is known: another account, not a part of the sum.
    """

    dynamic_aj: Counts
    component: tuple[str, ...]
    static_uw: tuple[int, ...]
    low: Costs
    high: Costs
    board_uw: int | None = None

    def dynamic_by_component_aj(self, counts: Counts) -> tuple[int, ...]:
        """Return the energy of `counts` in attojoules, aligned with COMPONENTS."""
        sums = dict.fromkeys(COMPONENTS, 0)
        for name, count, price in zip(self.component, counts, self.dynamic_aj, strict=True):
            sums[name] += count * price
        return tuple(sums.values())

    def dynamic_aj_of(self, counts: Counts) -> int:
        """Return the energy of `counts` in attojoules, over all components."""
        return sum(a * b for a, b in zip(counts, self.dynamic_aj, strict=True))

    def static_by_component_aj(self, duration_ps: int) -> tuple[int, ...]:
        """Return leakage, standby and refresh of `duration_ps` in attojoules, as COMPONENTS."""
        return tuple(power * duration_ps for power in self.static_uw)

    @property
    def digest(self) -> str:
        """SHA-256 of all prices and their ranges."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def prices(hardware: Hardware) -> Prices:
    """Return the prices of `hardware` at its node, SRAM cell and DRAM factor.

    Without an accelerator array and scratchpad cost nothing; the DRAM `ideal` is free.
    """
    known = factors(hardware)
    value = _costs(hardware, {})
    low, high = (_costs(hardware, at_end(known, end)) for end in ("low", "high"))
    board_uw = hardware.technology.board_power
    return Prices(value.dynamic_aj, COMPONENT, value.static_uw, low, high, board_uw)


def prices_at(hardware: Hardware, drawn: Mapping[str, int]) -> Prices:
    """Return the prices of `hardware` with factors in permille, by paths of `price_constants`.

    What is absent is as the tables say; of what `hardware` does not have, a factor changes nothing.
    The ends of the ranges are the prices themselves.
    """
    costs = _costs(hardware, {path.removeprefix(PREFIX): value for path, value in drawn.items()})
    board_uw = hardware.technology.board_power
    return Prices(costs.dynamic_aj, COMPONENT, costs.static_uw, costs, costs, board_uw)


def _costs(hardware: Hardware, drawn: Drawn) -> Costs:
    """Return the prices where factors are as `drawn`."""
    cpu = hardware.cpu
    dynamic = Counts(
        cpu_cycles=round(cpu.energy_per_cycle * cpu.supply_ratio**2 * _times("cpu_cycle", drawn)),
        interconnect_bytes=_interconnect_aj(hardware.technology, drawn),
        **_accelerator_aj(hardware.accelerator, hardware.technology, drawn),
        **_dram_aj(hardware.dram.device, hardware.technology.dram_typical, drawn),
    )
    return Costs(dynamic, _static_uw(hardware, drawn))


def _times(factor: str, drawn: Drawn) -> float:
    return drawn[factor] / 1000 if factor in drawn else 1


def _accelerator_aj(
    part: Accelerator | None, technology: Technology, drawn: Drawn
) -> dict[str, int]:
    if part is None:
        return {}
    node, scaling, supply = technology.node, technology.scaling, part.supply_ratio**2
    macs = {
        "array_macs_issued" if each == part.precision else f"{MACS_IN}{each}": tables.mac_pj(
            each, node, accumulator_of(each), scaling
        )
        * _times(mac_factor(each), drawn)
        * supply
        for each in (*part.precisions, part.precision)
    }
    operands, sums = (_sram(bank, technology) for bank in (operand_bank(part), sums_bank(part)))
    access = {
        "scratchpad_read_bytes": _per_byte_pj(operands.read_pj, operands.width_bits),
        "scratchpad_write_bytes": _per_byte_pj(operands.write_pj, operands.width_bits),
        "accumulator_read_bytes": _per_byte_pj(sums.read_pj, sums.width_bits),
        "accumulator_write_bytes": _per_byte_pj(sums.write_pj, sums.width_bits),
    }
    spread = _times("sram_access", drawn) * supply
    by_byte = {name: round(value * spread * _AJ_PER_PJ) for name, value in access.items()}
    return {name: round(mac * _AJ_PER_PJ) for name, mac in macs.items()} | by_byte


def _sram(bank: Bank, technology: Technology) -> tables.Sram:
    return tables.sram(technology.sram_cell, technology.node, *bank, technology.scaling)


def _per_byte_pj(access_pj: float, width_bits: int) -> float:
    return access_pj * 8 / width_bits


def _interconnect_aj(technology: Technology, drawn: Drawn) -> int:
    """Return the price of a byte that crosses the die between a master and the DRAM controller."""
    wire = tables.wire_pj_per_bit_mm(technology.node, technology.scaling)
    bit_pj = wire * tables.interconnect_mm()
    return round(8 * bit_pj * _times("wire", drawn) * _AJ_PER_PJ)


def _dram_aj(device: DramDevice | None, typical: int, drawn: Drawn) -> dict[str, int]:
    """Return the prices of commands; a burst pays its granule in the core and on the bus."""
    if device is None:
        return {}
    energy, bits = device.energy, 8 * device.granule
    command_aj = {
        "dram_activates": energy.activate,
        "dram_read_bursts": energy.read + energy.io_read * bits,
        "dram_write_bursts": energy.write + energy.io_write * bits,
    }
    return {
        name: round(value * drawn.get(name, typical) / 1000) for name, value in command_aj.items()
    }


def _static_uw(hardware: Hardware, drawn: Drawn) -> tuple[int, ...]:
    cpu = hardware.cpu
    power = {
        "array": _array_static_uw(hardware.accelerator, hardware.technology, drawn),
        "scratchpad": _scratchpad_static_uw(hardware.accelerator, hardware.technology, drawn),
        "cpu": round(cpu.static_power * cpu.supply_ratio * _times("cpu_static", drawn)),
        "dram": _dram_static_uw(hardware.dram.device, hardware.technology.dram_typical, drawn),
    }
    return tuple(power.get(name, 0) for name in COMPONENTS)


def _array_static_uw(part: Accelerator | None, technology: Technology, drawn: Drawn) -> int:
    if part is None:
        return 0
    element = tables.pe_leakage_uw(part.precision, technology.node, technology.scaling)
    return round(part.elements * element * part.supply_ratio * _times("array_leakage", drawn))


def _scratchpad_static_uw(part: Accelerator | None, technology: Technology, drawn: Drawn) -> int:
    if part is None:
        return 0
    banks: Sequence[Bank] = (operand_bank(part), sums_bank(part))
    leakage_mw = sum(_sram(bank, technology).leakage_mw for bank in banks)
    return round(leakage_mw * part.supply_ratio * _times("sram_leakage", drawn) * _UW_PER_MW)


def _dram_static_uw(device: DramDevice | None, typical: int, drawn: Drawn) -> int:
    """Return standby plus refresh of all channels; one aJ per ps is one uW."""
    if device is None:
        return 0
    interval_ps = device.timing.tREFI * device.period / 1000
    standby = device.energy.standby * drawn.get("dram_standby", typical)
    refresh = device.energy.refresh / interval_ps * drawn.get("dram_refresh", typical)
    return round(device.channels * (standby + refresh) / 1000)
