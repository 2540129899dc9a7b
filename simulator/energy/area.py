"""Silicon area of the blocks of a SoC in mm2, with the source of each figure.

An integer element is a synthesised one with its pipeline registers (Bit Fusion, 45 nm). A float one
is a multiplier, an fp32 adder and registers for two operands and a sum (Aladdin's library, 40 nm);
fp16 and bf16 are a guess: smaller than fp32 as their MAC needs less energy. An element of several
formats is as large as the largest needs, which leaves out what switches between them. Logic shrinks
as Stillmaker and Baas (Integration 58, 2017) have it. SRAM is that of CACTI 7 down to 22 nm; below
it shrinks like logic, an optimistic guess. Cores, DMA engine, interconnect, DRAM controller and
pads have no source and are left out: the sum is not a die area.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from simulator.energy import tables
from simulator.energy.banks import Bank, banks_of
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.hardware.precision import PRECISION_BITS
from simulator.hardware.soc import Hardware, Technology
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.hardware.vector import Vector
from simulator.memo import remember

_UM2_PER_MM2 = 10**6
_BLOCKS = {ACCELERATOR: ("array", "scratchpad")}  # names of its array and its memory
_LINE_BITS = 512  # guess: a cache is read by the line of 64 bytes
# Guess: other compilers and cells than CACTI's; the rows that it was checked with have no area.
_SRAM_RANGE = (0.7, 1.5)


class Figure(NamedTuple):
    """One sourced value at its node; `low` and `high` are factors that bound it."""

    value: float
    low: float
    high: float
    node_nm: int
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Area:
    """Area of one component in mm2, and its range by the sources."""

    component: str
    mm2: float
    low_mm2: float
    high_mm2: float
    source: str
    confidence: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def areas(hardware: Hardware) -> tuple[Area, ...]:
    """Return the area of each array and its scratchpad and of each CPU's last-level cache, as far
    as `hardware` has them. Other units have no area of a source.
    """
    technology = hardware.technology
    blocks: list[Area] = []
    for name, part in hardware.units.items():
        if isinstance(part, Accelerator):
            array, memory = _BLOCKS.get(name, (name, f"{name}_scratchpad"))
            blocks.append(_array(array, part, technology))
            blocks.append(_memory(memory, banks_of(part), technology))
            if part.vector:
                unit = "vector" if name == ACCELERATOR else f"{name}_vector"
                blocks.append(_lanes(unit, part.vector, technology))
    for name, part in hardware.units.items():
        if isinstance(part, Cpu) and part.llc and part.llc.size:
            cache = "llc" if name == HOST else f"{name}_llc"
            blocks.append(_memory(cache, [Bank(part.llc.size, _LINE_BITS)], technology))
    return tuple(blocks)


def element_um2(precision: str, node_nm: int) -> Figure:
    """Return the area of one processing element with its registers, in um2."""
    precision = tables.multiplies_like(precision)
    if precision not in tables.FLOATS:
        element = figure("element", precision)
        return _at_node(element, element.value, node_nm)
    parts = [figure(quantity, "fp32") for quantity in ("multiplier", "adder")]
    smaller = tables.mac_pj(precision, 45) / tables.mac_pj("fp32", 45)
    logic = sum(part.value for part in parts) * smaller
    bits = 2 * PRECISION_BITS[precision] + PRECISION_BITS["fp32"]
    registers = bits * figure("register", "bit").value
    element = _at_node(parts[0], logic + registers, node_nm)
    return element if precision == "fp32" else element._replace(confidence="guess")


@remember("figures of area", most=64)
def figure(quantity: str, precision: str) -> Figure:
    """Return the area in um2 of an "element", "multiplier", "adder" or "register" bit."""
    rows = [row for row in tables.read_rows("area") if row["quantity"] == quantity]
    row = next(row for row in rows if row["precision"] == precision)
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    return Figure(value, low, high, int(row["node_nm"]), row["source"], row["confidence"])


@remember("trends of area", most=64)
def area_trend(node_nm: int, base_nm: int) -> float:
    """Return the area of logic at `node_nm` relative to `base_nm` (Stillmaker and Baas, 2017)."""
    rows = {int(row["node_nm"]): float(row["value"]) for row in tables.scaling_rows("area")}
    return tables.interpolate(rows, node_nm) / tables.interpolate(rows, base_nm)


def sram_mm2(cell: str, node_nm: int, bank: Bank) -> float:
    """Return the area in mm2 of one bank; below 22 nm it shrinks like logic."""
    smallest = tables.SMALLEST_SRAM_NM
    mm2 = tables.sram_mm2(cell, max(node_nm, smallest), *bank)
    return mm2 * area_trend(min(node_nm, smallest), smallest)


def _value(each: Figure) -> float:
    return each.value


def _at_node(row: Figure, value: float, node_nm: int) -> Figure:
    return row._replace(value=value * area_trend(node_nm, row.node_nm), node_nm=node_nm)


def _array(component: str, part: Accelerator, technology: Technology) -> Area:
    formats = (part.precision, *part.precisions)
    element = max((element_um2(each, technology.node) for each in formats), key=_value)
    mm2 = part.elements * element.value / _UM2_PER_MM2
    return Area(
        component, mm2, mm2 * element.low, mm2 * element.high, element.source, element.confidence
    )


def _lanes(component: str, part: Vector, technology: Technology) -> Area:
    """Return the area of a vector unit: lanes like fp32 elements, which leaves out its control and
    registers, and its memory.
    """
    element = element_um2("fp32", technology.node)
    logic = part.lanes * part.pipes * element.value / _UM2_PER_MM2
    low, high, sram = logic * element.low, logic * element.high, 0.0
    if part.memory:
        bank = Bank(part.memory, part.lanes * PRECISION_BITS["fp32"])
        sram = sram_mm2(technology.sram_cell, technology.node, bank)
    low, high = low + sram * _SRAM_RANGE[0], high + sram * _SRAM_RANGE[1]
    return Area(component, logic + sram, low, high, element.source, "guess")


def _memory(component: str, banks: Iterable[Bank], technology: Technology) -> Area:
    cell, node = technology.sram_cell, technology.node
    mm2 = sum(sram_mm2(cell, node, bank) for bank in banks)
    low, high = _SRAM_RANGE
    source, confidence = tables.sram_source(cell)
    if node < tables.SMALLEST_SRAM_NM:
        confidence = "guess"
    return Area(component, mm2, mm2 * low, mm2 * high, source, confidence)
