"""What arrays spend: MACs, clock and control of their elements, their memories and vector units."""

from itertools import chain

from simulator.activity import (
    ARRAY_CYCLES,
    ARRAY_MACS,
    SCRATCHPAD_READS,
    SCRATCHPAD_WRITES,
    SUM_READS,
    SUM_WRITES,
    VECTOR_OPS,
    Action,
)
from simulator.energy import tables
from simulator.energy.banks import Bank, operand_bank, sums_bank
from simulator.energy.factors import Factors, mac_factor
from simulator.energy.overheads import (
    clock_pj,
    overhead,
    register_bits,
    register_pj_per_byte,
)
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.precision import accumulator_of
from simulator.hardware.soc import Technology

_AJ_PER_PJ = 10**6
_UW_PER_MW = 10**3
_OPERAND_BYTES = 4


def array_aj(
    unit: str, part: Accelerator, technology: Technology, times: Factors
) -> dict[Action, int]:
    """Return the prices of the actions of an array; `times` are factors on kinds of price."""
    node, scaling, supply = technology.node, technology.scaling, part.supply_ratio**2
    macs = {
        Action(unit, ARRAY_MACS, "" if each == part.precision else each): tables.mac_pj(
            each, node, accumulator_of(each), scaling
        )
        * times(mac_factor(each))
        * supply
        for each in (part.precision, *part.precisions)
    }
    spread = times("sram_access") * supply
    accesses = _access_pj_per_byte(part, technology).items()
    each_pj = {Action(unit, what): value * spread for what, value in accesses}
    clocked = element_cycle_pj(part, technology, times) * (1 - _gated_share(times))
    each_pj[Action(unit, ARRAY_CYCLES)] = clocked * supply
    priced = {action: round(pj * _AJ_PER_PJ) for action, pj in chain(macs.items(), each_pj.items())}
    return priced | _vector_aj(unit, part, technology, times)


def element_cycle_pj(part: Accelerator, technology: Technology, times: Factors) -> float:
    """Return the energy in pJ of clocking one element for a cycle, with its share of control."""
    bits = register_bits(part.precision, part.dot_width)
    control = overhead("control").value * times("control")
    return clock_pj(bits, technology.node, technology.scaling) * times("clock") * (1 + control)


def array_uw(part: Accelerator, technology: Technology, times: Factors) -> int:
    """Return what the elements draw all the time: leakage, and the clock before its gates."""
    element = tables.pe_leakage_uw(part.precision, technology.node, technology.scaling)
    leakage = part.elements * element * part.supply_ratio * times("array_leakage")
    # 1 pJ at 1 MHz is 1 uW.
    clock = part.elements * element_cycle_pj(part, technology, times) * part.clock / 10**6
    return round(leakage + clock * _gated_share(times) * part.supply_ratio**2)


def scratchpad_uw(part: Accelerator, technology: Technology, times: Factors) -> int:
    """Return the leakage of an array's memories."""
    banks = (operand_bank(part), sums_bank(part))
    leakage_mw = sum(_sram(bank, technology).leakage_mw for bank in banks)
    return round(leakage_mw * part.supply_ratio * times("sram_leakage") * _UW_PER_MW)


def vector_uw(part: Accelerator, technology: Technology, times: Factors) -> int:
    """Return the leakage of an array's vector unit, 0 without one."""
    vector = part.vector
    if vector is None:
        return 0
    if vector.static_power is not None:
        return round(vector.static_power * part.supply_ratio)
    element = tables.pe_leakage_uw("fp32", technology.node, technology.scaling)
    lanes = vector.lanes * vector.pipes
    return round(lanes * element * part.supply_ratio * times("array_leakage"))


def _gated_share(times: Factors) -> float:
    return min(1.0, overhead("gated").value * times("gated"))


def _access_pj_per_byte(part: Accelerator, technology: Technology) -> dict[str, float]:
    operands, sums = (_sram(bank, technology) for bank in (operand_bank(part), sums_bank(part)))
    return {
        SCRATCHPAD_READS: _per_byte_pj(operands.read_pj, operands.width_bits),
        SCRATCHPAD_WRITES: _per_byte_pj(operands.write_pj, operands.width_bits),
        SUM_READS: _per_byte_pj(sums.read_pj, sums.width_bits),
        SUM_WRITES: _per_byte_pj(sums.write_pj, sums.width_bits),
    }


def _vector_aj(
    unit: str, part: Accelerator, technology: Technology, times: Factors
) -> dict[Action, int]:
    """Return the price of an operation of a lane: by default that of fp32 arithmetic, the mean of
    an addition and a multiplication, and of its operands in registers, as far from the tables as
    its MAC.
    """
    if part.vector is None:
        return {}
    aj: float | None = part.vector.energy
    if aj is None:
        pj = tables.mac_pj("fp32", technology.node, "fp32", technology.scaling) / 2
        byte = register_pj_per_byte(technology.node, technology.scaling)
        pj += (part.vector.operands or 0) * _OPERAND_BYTES * byte
        aj = pj * _AJ_PER_PJ * times(mac_factor("fp32"))
    return {Action(unit, VECTOR_OPS): round(aj * part.supply_ratio**2)}


def _sram(bank: Bank, technology: Technology) -> tables.Sram:
    return tables.sram(technology.sram_cell, technology.node, *bank, technology.scaling)


def _per_byte_pj(access_pj: float, width_bits: int) -> float:
    return access_pj * 8 / width_bits
