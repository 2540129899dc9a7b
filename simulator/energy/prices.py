"""What every counted action of one SoC costs, and the static power of its components.

Where a unit has operating points, an action costs energy as the square of the supply voltage, and
leakage draws power in proportion to it, at a constant current: alpha C V^2 f and V I (Weste and
Harris, CMOS VLSI Design, 4th edition, chapter 5, recalled). That the current falls with the
voltage too is left out: slow points leak less than this.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulator import extensions
from simulator.activity import (
    ARRAY_MACS,
    CPU_CYCLES,
    DRAM_ACTIVATES,
    DRAM_READ_BURSTS,
    DRAM_READ_BYTES,
    DRAM_WRITE_BURSTS,
    DRAM_WRITE_BYTES,
    DSP_BYTES,
    DSP_MACS,
    DSP_PS,
    INTERCONNECT_BYTES,
    KERNEL_TIME,
    SCRATCHPAD_READS,
    SCRATCHPAD_WRITES,
    SUM_READS,
    SUM_WRITES,
    VECTOR_OPS,
    Action,
    Counts,
)
from simulator.energy import tables
from simulator.energy.banks import Bank, operand_bank, sums_bank
from simulator.energy.factors import (
    PREFIX,
    FactorValues,
    at_end,
    factors,
    mac_factor,
    power_factor,
)
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import DramDevice
from simulator.hardware.dsp import VectorMachine
from simulator.hardware.precision import accumulator_of
from simulator.hardware.soc import Hardware, Technology
from simulator.hardware.unit import ACCELERATOR, GROUP, BoardUnit, MeasuredUnit

COMPONENTS = ("array", "scratchpad", "cpu", "interconnect", "dram")
"""What a SoC of a CPU and an accelerator spends energy on; further units are components, too."""

VECTOR = "vector"
OWN_COMPONENTS = (*COMPONENTS, VECTOR)
"""With the accelerator's vector unit, which not every SoC has."""

_AJ_PER_PJ = 10**6
_UW_PER_MW = 10**3


@dataclass(frozen=True, slots=True)
class Costs:
    """Attojoules per action, and microwatts that each component draws all the time."""

    dynamic_aj: Mapping[Action, int]
    static_uw: Mapping[str, int]

    @property
    def whole_static_uw(self) -> int:
        """Static power of all components."""
        return sum(self.static_uw.values())

    def dynamic_aj_of(self, counts: Counts) -> int:
        """Return the energy of `counts` in attojoules, over all components."""
        price = self.dynamic_aj
        return sum([amount * price[action] for action, amount in counts.items()])

    def energy_aj(self, counts: Counts, duration_ps: int) -> int:
        """Return what `counts` cost within `duration_ps`, over all components."""
        return self.dynamic_aj_of(counts) + self.whole_static_uw * duration_ps


@dataclass(frozen=True, slots=True)
class Prices(Costs):
    """Prices of one SoC; every amount of energy that follows from them is an exact integer.

    `dynamic_aj` has every action of the SoC, at 0 where another one carries the cost: of DRAM
    traffic the commands cost and not the bytes. `component` names who spends each action. `low`
    and `high` are the least and the most that the sources of each price leave possible. `board_uw`
    is the measured power of the whole board, if there is one: not a part of the sum.
    """

    component: Mapping[Action, str]
    low: Costs
    high: Costs
    board_uw: int | None = None

    def dynamic_by_component_aj(self, counts: Counts) -> dict[str, int]:
        """Return the energy of `counts` in attojoules by component."""
        sums = dict.fromkeys(self.static_uw, 0)
        for action, amount in counts.items():
            sums[self.component[action]] += amount * self.dynamic_aj[action]
        return sums

    def static_by_component_aj(self, duration_ps: int) -> dict[str, int]:
        """Return leakage, standby and refresh of `duration_ps` in attojoules by component."""
        return {name: power * duration_ps for name, power in self.static_uw.items()}

    @property
    def by_key(self) -> dict[str, Action]:
        """The actions by their names in files."""
        return {action.key: action for action in self.dynamic_aj}

    @property
    def digest(self) -> str:
        """SHA-256 of all prices and their ranges."""
        ends = (("", self), ("low", self.low), ("high", self.high))
        plain = {
            name: [{action.key: aj for action, aj in costs.dynamic_aj.items()}, costs.static_uw]
            for name, costs in ends
        }
        spent = {action.key: component for action, component in self.component.items()}
        whole = {"costs": plain, "component": spent, "board_uw": self.board_uw}
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def prices(hardware: Hardware) -> Prices:
    """Return the prices of `hardware` at its node, SRAM cell and DRAM factor.

    Without an accelerator array and scratchpad cost nothing; the DRAM `ideal` is free.
    """
    kinds = factors(hardware)
    low, high = (_costs(hardware, at_end(kinds, end)) for end in ("low", "high"))
    return _prices(hardware, _costs(hardware, {}), low, high)


def prices_at(hardware: Hardware, draws: Mapping[str, int]) -> Prices:
    """Return the prices of `hardware` with factors in permille, by paths of `price_constants`.

    What is absent is as the tables say; of what `hardware` does not have, a factor changes nothing.
    The ends of the ranges are the prices themselves.
    """
    costs = _costs(hardware, {path.removeprefix(PREFIX): value for path, value in draws.items()})
    return _prices(hardware, costs, costs, costs)


def _prices(hardware: Hardware, value: Costs, low: Costs, high: Costs) -> Prices:
    component = {action: _component_of(action) for action in value.dynamic_aj}
    board_uw = hardware.technology.board_power
    return Prices(value.dynamic_aj, value.static_uw, component, low, high, board_uw)


def _component_of(action: Action) -> str:
    """Return who spends an action: of the accelerator its memories apart, else the unit."""
    if action.unit != ACCELERATOR:
        return action.unit
    return {ARRAY_MACS: "array", VECTOR_OPS: VECTOR}.get(action.what, "scratchpad")


def _costs(hardware: Hardware, values: FactorValues) -> Costs:
    """Return the prices where factors have these `values`."""
    cpu, array, technology = hardware.cpu, hardware.accelerator, hardware.technology
    dynamic: dict[Action, int] = {
        **(_array_aj(ACCELERATOR, array, technology, values) if array else {}),
        CPU_CYCLES: _cycle_aj(cpu, values),
        INTERCONNECT_BYTES: _interconnect_aj(technology, values),
        **_dram_aj(hardware.dram.device, technology.dram_typical, values),
    }
    static_uw = _static_uw(hardware, values)
    for name, unit in (hardware.further or {}).items():
        costs = _costs_of(name, unit, technology, values)
        dynamic |= costs.dynamic_aj
        static_uw |= costs.static_uw
    return Costs(dynamic, static_uw)


def _times(factor: str, values: FactorValues) -> float:
    return values[factor] / 1000 if factor in values else 1


def _costs_of(name: str, unit: BoardUnit, technology: Technology, values: FactorValues) -> Costs:
    """Return the prices of a further unit: of a CPU, an array, measured kernels, a DSP, or a kind
    that a package adds.
    """
    if isinstance(unit, Cpu):
        cycle = Action(name, CPU_CYCLES.what)
        return Costs({cycle: _cycle_aj(unit, values)}, {name: _cores_static_uw(unit, values)})
    if isinstance(unit, Accelerator):
        static_uw = _array_static_uw(unit, technology, values)
        static_uw += _scratchpad_static_uw(unit, technology, values)
        static_uw += _vector_static_uw(unit, technology, values)
        return Costs(_array_aj(name, unit, technology, values), {name: static_uw})
    if isinstance(unit, MeasuredUnit):
        busy, static = (
            round(power * _times(power_factor(name, setting), values))
            for setting, power in (
                ("busy_power", unit.busy_power),
                ("static_power", unit.static_power),
            )
        )
        # A microwatt for a picosecond is an attojoule.
        return Costs({Action(name, KERNEL_TIME): busy}, {name: static})
    if isinstance(unit, VectorMachine):
        return _of_dsp(name, unit, values)
    backend = extensions.load(GROUP, unit.kind)
    assert backend is not None, "its description was found by its kind"
    costs: Costs = backend.costs(name, unit, technology)
    return costs


def _of_dsp(name: str, part: VectorMachine, values: FactorValues) -> Costs:
    """Return the prices of a DSP's actions; one uW is one aJ per ps."""
    each = {DSP_MACS: part.energy_per_mac, DSP_BYTES: part.energy_per_byte,
            DSP_PS: part.active_power}  # fmt: skip
    times = _times("dsp_action", values)
    dynamic = {Action(name, what): round(aj * times) for what, aj in each.items()}
    return Costs(dynamic, {name: part.static_power})


def _cycle_aj(cpu: Cpu, values: FactorValues) -> int:
    return round(cpu.energy_per_cycle * cpu.supply_ratio**2 * _times("cpu_cycle", values))


def _cores_static_uw(cpu: Cpu, values: FactorValues) -> int:
    return round(cpu.static_power * cpu.supply_ratio * _times("cpu_static", values))


def _array_aj(
    unit: str, part: Accelerator, technology: Technology, values: FactorValues
) -> dict[Action, int]:
    node, scaling, supply = technology.node, technology.scaling, part.supply_ratio**2
    macs = {
        Action(unit, ARRAY_MACS, "" if each == part.precision else each): tables.mac_pj(
            each, node, accumulator_of(each), scaling
        )
        * _times(mac_factor(each), values)
        * supply
        for each in (part.precision, *part.precisions)
    }
    operands, sums = (_sram(bank, technology) for bank in (operand_bank(part), sums_bank(part)))
    access = {
        SCRATCHPAD_READS: _per_byte_pj(operands.read_pj, operands.width_bits),
        SCRATCHPAD_WRITES: _per_byte_pj(operands.write_pj, operands.width_bits),
        SUM_READS: _per_byte_pj(sums.read_pj, sums.width_bits),
        SUM_WRITES: _per_byte_pj(sums.write_pj, sums.width_bits),
    }
    spread = _times("sram_access", values) * supply
    by_byte = {
        Action(unit, what): round(value * spread * _AJ_PER_PJ) for what, value in access.items()
    }
    computed = {action: round(mac * _AJ_PER_PJ) for action, mac in macs.items()}
    return computed | by_byte | _vector_aj(unit, part, technology, values)


def _vector_aj(
    unit: str, part: Accelerator, technology: Technology, values: FactorValues
) -> dict[Action, int]:
    """Return the price of an operation of a lane: by default that of fp32 arithmetic, the mean of
    an addition and a multiplication, as far from the tables as its MAC.
    """
    if part.vector is None:
        return {}
    aj: float | None = part.vector.energy
    if aj is None:
        pj = tables.mac_pj("fp32", technology.node, "fp32", technology.scaling) / 2
        aj = pj * _AJ_PER_PJ * _times(mac_factor("fp32"), values)
    return {Action(unit, VECTOR_OPS): round(aj * part.supply_ratio**2)}


def _sram(bank: Bank, technology: Technology) -> tables.Sram:
    return tables.sram(technology.sram_cell, technology.node, *bank, technology.scaling)


def _per_byte_pj(access_pj: float, width_bits: int) -> float:
    return access_pj * 8 / width_bits


def _interconnect_aj(technology: Technology, values: FactorValues) -> int:
    """Return the price of a byte that crosses the die between a master and the DRAM controller."""
    wire = tables.wire_pj_per_bit_mm(technology.node, technology.scaling)
    bit_pj = wire * tables.interconnect_mm()
    return round(8 * bit_pj * _times("wire", values) * _AJ_PER_PJ)


def _dram_aj(device: DramDevice | None, typical: int, values: FactorValues) -> dict[Action, int]:
    """Return the prices of commands; a burst pays its granule in the core and on the bus."""
    free = {DRAM_READ_BYTES: 0, DRAM_WRITE_BYTES: 0}
    if device is None:
        return free | dict.fromkeys((DRAM_ACTIVATES, DRAM_READ_BURSTS, DRAM_WRITE_BURSTS), 0)
    energy, bits = device.energy, 8 * device.granule
    command_aj = {
        DRAM_ACTIVATES: energy.activate,
        DRAM_READ_BURSTS: energy.read + energy.io_read * bits,
        DRAM_WRITE_BURSTS: energy.write + energy.io_write * bits,
    }
    return free | {
        action: round(value * values.get(action.key, typical) / 1000)
        for action, value in command_aj.items()
    }


def _static_uw(hardware: Hardware, values: FactorValues) -> dict[str, int]:
    power = {
        "array": _array_static_uw(hardware.accelerator, hardware.technology, values),
        "scratchpad": _scratchpad_static_uw(hardware.accelerator, hardware.technology, values),
        "cpu": _cores_static_uw(hardware.cpu, values),
        "dram": _dram_static_uw(hardware.dram.device, hardware.technology.dram_typical, values),
    }
    vector = hardware.accelerator.vector if hardware.accelerator else None
    own = {name: power.get(name, 0) for name in COMPONENTS}
    if hardware.accelerator is None or vector is None:
        return own
    return own | {VECTOR: _vector_static_uw(hardware.accelerator, hardware.technology, values)}


def _vector_static_uw(part: Accelerator, technology: Technology, values: FactorValues) -> int:
    vector = part.vector
    if vector is None:
        return 0
    if vector.static_power is not None:
        return round(vector.static_power * part.supply_ratio)
    element = tables.pe_leakage_uw("fp32", technology.node, technology.scaling)
    lanes = vector.lanes * vector.pipes
    return round(lanes * element * part.supply_ratio * _times("array_leakage", values))


def _array_static_uw(part: Accelerator | None, technology: Technology, values: FactorValues) -> int:
    if part is None:
        return 0
    element = tables.pe_leakage_uw(part.precision, technology.node, technology.scaling)
    return round(part.elements * element * part.supply_ratio * _times("array_leakage", values))


def _scratchpad_static_uw(
    part: Accelerator | None, technology: Technology, values: FactorValues
) -> int:
    if part is None:
        return 0
    banks: Sequence[Bank] = (operand_bank(part), sums_bank(part))
    leakage_mw = sum(_sram(bank, technology).leakage_mw for bank in banks)
    return round(leakage_mw * part.supply_ratio * _times("sram_leakage", values) * _UW_PER_MW)


def _dram_static_uw(device: DramDevice | None, typical: int, values: FactorValues) -> int:
    """Return standby plus refresh of all channels; one aJ per ps is one uW."""
    if device is None:
        return 0
    interval_ps = device.timing.tREFI * device.period / 1000
    standby = device.energy.standby * values.get("dram_standby", typical)
    refresh = device.energy.refresh / interval_ps * values.get("dram_refresh", typical)
    return round(device.channels * (standby + refresh) / 1000)
