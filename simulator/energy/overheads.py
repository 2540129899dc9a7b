"""What chips and boards spend beside arithmetic and memories: clocks, control, routers, interfaces,
supplies. Generic figures by process node; nothing here belongs to one chip.
"""

from typing import NamedTuple

from simulator.energy import tables
from simulator.hardware.dram import DramDevice
from simulator.hardware.precision import PRECISION_BITS, accumulator_of
from simulator.memo import remember

_PHYS = {"LPDDR": "phy_lp", "HBM": "phy_stacked"}  # by the start of a protocol; all others: DDR's


class Overhead(NamedTuple):
    """One sourced figure; `node_nm` 0 where it does not scale."""

    value: float
    node_nm: int
    source: str


@remember("overheads", most=64)
def overhead(quantity: str) -> Overhead:
    """Return a row of the table of overheads."""
    row = next(row for row in tables.read_rows("overheads") if row["quantity"] == quantity)
    return Overhead(float(row["value"]), int(row["node_nm"] or 0), row["source"])


def at_node(quantity: str, node_nm: int, scaling: str = tables.ANCHORED) -> float:
    """Return an energy of the table at a node, by the trend of arithmetic."""
    row = overhead(quantity)
    return row.value * tables.node_trend(node_nm, row.node_nm, scaling)


def register_bits(precision: str, dot_width: int = 1) -> float:
    """Return the register bits of a processing element: two operands, and its share of a sum."""
    sums = PRECISION_BITS[accumulator_of(precision)]
    return 2 * PRECISION_BITS[precision] + sums / dot_width


def clock_pj(bits: float, node_nm: int, scaling: str = tables.ANCHORED) -> float:
    """Return the energy in pJ of clocking so many register bits for a cycle."""
    return bits * at_node("clock", node_nm, scaling)


def register_pj_per_byte(node_nm: int, scaling: str = tables.ANCHORED) -> float:
    """Return the energy in pJ of a byte read from a register file, or written to it."""
    return overhead("register_file").value * tables.mac_pj("int16", node_nm, "int32", scaling) / 2


def phy_of(device: DramDevice) -> str:
    """Return the kind of interface that a memory has, as the table calls it."""
    starts = (kind for start, kind in _PHYS.items() if device.protocol.startswith(start))
    return next(starts, "phy_ddr")


def phy_pj_per_byte(device: DramDevice) -> float:
    """Return the energy in pJ of a byte at the chip's side of the memory's interface."""
    return 8 * overhead(phy_of(device)).value


def phy_static_mw(device: DramDevice) -> float:
    """Return the power in mW of the chip's side of the interface, all channels."""
    return device.channels * overhead(f"{phy_of(device)}_static").value


def serial_static_mw(bits_per_s: int) -> float:
    """Return the power in mW of serial links that are ready for so many bits per second, both ways:
    transmitters, receivers and clock recovery, which idle symbols keep busy.
    """
    return bits_per_s * overhead("serial").value / 10**9  # 1 pJ at 1 GHz is 1 mW


def loss_permille() -> float:
    """Return what regulators and adapter lose, in permille of what they deliver."""
    efficiency = overhead("regulator").value * overhead("adapter").value
    return 1000 * (1 / efficiency - 1)
