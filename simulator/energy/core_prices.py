"""What cores spend: cycles, vector arithmetic with its registers and loads, bytes through caches.

`energy_per_cycle` is that of scalar code: fetch, decode, integer units and its own accesses to L1.
Vector instructions come on top, and so does each byte that an operation reads or writes: it passes
between L2 and L1, and between L1 and a register.
"""

from simulator.activity import CPU_BYTES, CPU_CYCLES, CPU_VECTORS, CPU_WAITS, Action
from simulator.energy import tables
from simulator.energy.factors import Factors
from simulator.energy.overheads import at_node, overhead, register_pj_per_byte
from simulator.hardware.cpu import Cpu
from simulator.hardware.precision import PRECISION_BITS
from simulator.hardware.soc import Technology

_AJ_PER_PJ = 10**6
_LANE_BYTES = PRECISION_BITS["fp32"] // 8
_OPERANDS = 4  # three registers read and one written by a fused multiply-add
_L2, _LINE_BITS = 512 * 1024, 512  # guess: where a description has no cache; a line of 64 bytes


def core_aj(unit: str, cpu: Cpu, technology: Technology, times: Factors) -> dict[Action, int]:
    """Return the prices of a cluster's actions; `times` are factors on kinds of price."""
    supply = cpu.supply_ratio**2
    cycle = cpu.energy_per_cycle * supply * times("cpu_cycle")
    waits = cycle * overhead("wait").value * times("cpu_wait") if cpu.spin else 0
    each = {CPU_CYCLES: cycle, CPU_WAITS: waits, CPU_VECTORS: cpu.vector_energy,
            CPU_BYTES: cpu.cache_energy}  # fmt: skip
    if cpu.vector_energy is None:
        each[CPU_VECTORS] = vector_pj(cpu, technology) * _AJ_PER_PJ * supply * times("cpu_vector")
    if cpu.cache_energy is None:
        each[CPU_BYTES] = cached_byte_pj(cpu, technology) * _AJ_PER_PJ * supply * times("cpu_cache")
    return {Action(unit, action.what): round(aj or 0) for action, aj in each.items()}


def vector_pj(cpu: Cpu, technology: Technology) -> float:
    """Return the energy in pJ of one vector instruction of a product, beside that of its cycle:
    fp32 arithmetic in all lanes, its registers, and its share of loads.
    """
    node, scaling = technology.node, technology.scaling
    mac = tables.mac_pj("fp32", node, "fp32", scaling) * cpu.simd / _LANE_BYTES
    registers = _OPERANDS * cpu.simd * register_pj_per_byte(node, scaling)
    return mac + registers + overhead("loads_per_vector").value * at_node("load", node, scaling)


def cached_byte_pj(cpu: Cpu, technology: Technology) -> float:
    """Return the energy in pJ of a byte between last-level cache, L1 and a vector register."""
    node, scaling = technology.node, technology.scaling
    size = cpu.llc.size if cpu.llc and cpu.llc.size else _L2
    line = tables.sram(technology.sram_cell, node, size, _LINE_BITS, scaling)
    return line.read_pj * 8 / line.width_bits + at_node("load", node, scaling) / cpu.simd
