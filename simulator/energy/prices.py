"""What every counted action of one SoC costs, and the static power of its components."""

from dataclasses import dataclass

from simulator.activity import Counts
from simulator.energy import tables
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.dram import DramDevice
from simulator.hardware.precision import PRECISION_BITS
from simulator.hardware.soc import Hardware, Technology

COMPONENTS = ("array", "scratchpad", "cpu", "interconnect", "dram")

_AJ_PER_PJ = 10**6
_UW_PER_MW = 10**3

_COMPONENT_OF = {
    "macs": "array",
    "macs_issued": "array",
    "array_macs": "array",
    "array_macs_issued": "array",
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
_COMPONENT = tuple(_COMPONENT_OF[name] for name in Counts._fields)


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of one SoC; every amount of energy that follows from them is an exact integer.

    `dynamic_aj` holds attojoules per unit of each count, 0 where another count carries the cost:
    of MACs those that the array issues are paid, of DRAM traffic the commands and not the bytes.
    `component` names who spends each count; `static_uw` is aligned with COMPONENTS. `board_uw` is
    the measured power of the whole board, if it is known: another account, not a part of the sum.
    """

    dynamic_aj: Counts
    component: tuple[str, ...]
    static_uw: tuple[int, ...]
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


def prices(hardware: Hardware) -> Prices:
    """Return the prices of `hardware` at its node, SRAM cell and DRAM factor.

    Without an accelerator array and scratchpad cost nothing; the DRAM `ideal` is free.
    """
    dynamic = Counts(
        cpu_cycles=hardware.cpu.energy_per_cycle,
        interconnect_bytes=_interconnect_aj(hardware.technology),
        **_accelerator_aj(hardware.accelerator, hardware.technology),
        **_dram_aj(hardware.dram.device, hardware.technology.dram_typical),
    )
    board_uw = hardware.technology.board_power
    return Prices(dynamic, _COMPONENT, _static_uw(hardware), board_uw)


def _accelerator_aj(part: Accelerator | None, technology: Technology) -> dict[str, int]:
    if part is None:
        return {}
    mac = tables.mac_pj(part.precision, technology.node, part.accumulator_precision)
    operands, sums = _scratchpad(part, technology), _accumulator(part, technology)
    return {
        "array_macs_issued": round(mac * _AJ_PER_PJ),
        "scratchpad_read_bytes": _per_byte_aj(operands.read_pj, operands.width_bits),
        "scratchpad_write_bytes": _per_byte_aj(operands.write_pj, operands.width_bits),
        "accumulator_read_bytes": _per_byte_aj(sums.read_pj, sums.width_bits),
        "accumulator_write_bytes": _per_byte_aj(sums.write_pj, sums.width_bits),
    }


def _scratchpad(part: Accelerator, technology: Technology) -> tables.Sram:
    """Return the operand memory: one bank that feeds every row of the array at once."""
    width = part.rows * part.dot_width * PRECISION_BITS[part.precision]
    size = part.scratchpad + part.prefetch
    return tables.sram(technology.sram_cell, technology.node, size, width)


def _accumulator(part: Accelerator, technology: Technology) -> tables.Sram:
    """Return the memory of partial sums: one bank that serves every column at once."""
    width = part.cols * PRECISION_BITS[part.accumulator_precision]
    return tables.sram(technology.sram_cell, technology.node, part.accumulator, width)


def _per_byte_aj(access_pj: float, width_bits: int) -> int:
    return round(access_pj * 8 / width_bits * _AJ_PER_PJ)


def _interconnect_aj(technology: Technology) -> int:
    """Return the price of a byte that crosses the die between a master and the DRAM controller."""
    bit_pj = tables.wire_pj_per_bit_mm(technology.node) * tables.interconnect_mm()
    return round(8 * bit_pj * _AJ_PER_PJ)


def _dram_aj(device: DramDevice | None, typical: int) -> dict[str, int]:
    """Return the prices of commands; a burst pays its granule in the core and on the bus."""
    if device is None:
        return {}
    energy, bits = device.energy, 8 * device.granule
    command_aj = {
        "dram_activates": energy.activate,
        "dram_read_bursts": energy.read + energy.io_read * bits,
        "dram_write_bursts": energy.write + energy.io_write * bits,
    }
    return {name: round(value * typical / 1000) for name, value in command_aj.items()}


def _static_uw(hardware: Hardware) -> tuple[int, ...]:
    power = {
        "array": _array_static_uw(hardware.accelerator, hardware.technology),
        "scratchpad": _scratchpad_static_uw(hardware.accelerator, hardware.technology),
        "cpu": hardware.cpu.static_power,
        "dram": _dram_static_uw(hardware.dram.device, hardware.technology.dram_typical),
    }
    return tuple(power.get(name, 0) for name in COMPONENTS)


def _array_static_uw(part: Accelerator | None, technology: Technology) -> int:
    if part is None:
        return 0
    element = tables.pe_leakage_uw(part.precision, technology.node)
    return round(part.elements * element)


def _scratchpad_static_uw(part: Accelerator | None, technology: Technology) -> int:
    if part is None:
        return 0
    banks = (_scratchpad(part, technology), _accumulator(part, technology))
    return round(sum(bank.leakage_mw for bank in banks) * _UW_PER_MW)


def _dram_static_uw(device: DramDevice | None, typical: int) -> int:
    """Return standby plus refresh of all channels; one aJ per ps is one uW."""
    if device is None:
        return 0
    interval_ps = device.timing.tREFI * device.period / 1000
    channel_uw = device.energy.standby + device.energy.refresh / interval_ps
    return round(device.channels * channel_uw * typical / 1000)
