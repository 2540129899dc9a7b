"""Energy of one action at a process node: sourced tables, interpolated between their rows.

Interpolation is log-log, so a power law between two rows is exact. Arithmetic is anchored at 45 nm
(Horowitz, ISSCC 2014) and 7 nm (TPUv4i, ISCA 2021), and at 65 nm by the equations of Stillmaker and
Baas from 45 nm, at the nodes' own voltages. SRAM and wires come from CACTI 7 for 22 to 65 nm and
follow the trend of arithmetic below 22 nm. At 7 nm that trend gives 3.7 times the energy of the
scaling equations of Stillmaker and Baas (Integration 58, 2017) at 0.8 V. `scaling` "stillmaker"
takes these instead, starting from the values at 45 nm, for SRAM and wires from those at 22 nm.

A MAC is a multiplier plus the adder of its accumulator, from one source for integers and floats.
Synthesised integer processing elements (Bit Fusion, ISCA 2018), pipeline registers included, need
0.4 to 0.8 of that sum, so registers are not added again; only their leakage is read.
"""

import csv
import math
from bisect import bisect
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from simulator.memo import remember

TABLES = Path(__file__).resolve().parent / "tables"

Grid: TypeAlias = "Mapping[int, float | Grid]"

FLOATS = ("fp8_e4m3", "fp8_e5m2", "fp16", "bf16", "fp32")
SMALLEST_SRAM_NM = 22
ANCHORED = "anchored"
_STILLMAKER_V = 0.8  # one voltage for all nodes, so that none has to be chosen per node
# Guess: an MX element multiplies its mantissa and sign as the next integer does; the exponents
# that a block shares, its own, and their alignment, are not counted.
_MULTIPLIES_LIKE = {
    "mx4": "int4", "mx6": "int8", "mx9": "int8",
    "mxfp4": "int4", "mxfp6": "int8", "mxfp8": "int8",
}  # fmt: skip
# Guess, likewise: significands of 3 and 4 bits multiply as int4 does.
_SIGNIFICANDS_LIKE = {"fp8_e4m3": "int4", "fp8_e5m2": "int4"}

_INTEGERS = ("int2", "int4", "int8", "int16")  # multipliers that the tables have, narrowest first

# A precision that has a row at one node only scales between nodes as this one does.
_SCALES_LIKE = {"int2": "int8", "int4": "int8", "int16": "int8", "bf16": "fp16"}


class Sram(NamedTuple):
    """One SRAM bank: energy in pJ per access of `width_bits`, leakage in mW at 350 K."""

    width_bits: int
    read_pj: float
    write_pj: float
    leakage_mw: float


class Spread(NamedTuple):
    """Factors on a price: what it is taken as, and the least and most that its sources allow."""

    value: float
    low: float
    high: float
    how: str
    source: str
    confidence: str


def interpolate(grid: Grid, *point: int) -> float:
    """Return the value of `grid` at `point`, log-log in every coordinate, exact at its rows.

    Outside the rows of a coordinate, its first or last two rows are extended.
    """
    x, *rest = point
    if x in grid:
        return _at(grid[x], rest)
    low, high = _around(sorted(grid), x)
    weight = math.log(x / low) / math.log(high / low)
    a, b = _at(grid[low], rest), _at(grid[high], rest)
    return a * math.pow(b / a, weight)


def operation_pj(operation: str, precision: str, node_nm: int, scaling: str = ANCHORED) -> float:
    """Return the energy in pJ of one `operation`, "mul" or "add", at `node_nm`.

    A precision with a row at one node only is scaled from there: int2, int4 and int16 as int8,
    bf16 as fp16. Integers of other widths lie between their neighbours, log-log in bits.
    """
    precision = _SIGNIFICANDS_LIKE.get(precision, precision)
    if _is_between(precision):
        by_width = {
            int(name[3:]): operation_pj(operation, name, node_nm, scaling) for name in _INTEGERS
        }
        return interpolate(by_width, int(precision[3:]))
    if scaling != ANCHORED:
        return operation_pj(operation, precision, 45) * node_trend(node_nm, 45, scaling)
    rows = _arithmetic(operation, precision)
    if len(rows) > 1:
        return interpolate(rows, node_nm)
    ((anchor, value),) = rows.items()
    model = _arithmetic(operation, _SCALES_LIKE[precision])
    return value * interpolate(model, node_nm) / interpolate(model, anchor)


@remember("energy of MACs", most=256)
def mac_pj(
    precision: str, node_nm: int, accumulator: str = "int32", scaling: str = ANCHORED
) -> float:
    """Return the energy in pJ of a multiply and its accumulation.

    Floats accumulate in fp32 whatever `accumulator` says; integers in int32 or fp32.
    """
    adder = "fp32" if precision in FLOATS else accumulator
    if precision in _MULTIPLIES_LIKE:  # the dot product is summed as integers
        precision, adder = _MULTIPLIES_LIKE[precision], "int32"
    operations = (("mul", precision), ("add", adder))
    return sum(operation_pj(*operation, node_nm, scaling) for operation in operations)


def multiplies_like(precision: str) -> str:
    """Return the precision whose multiplier stands for that of `precision`.

    Of an integer between two that the tables have, the wider one's.
    """
    if _is_between(precision):
        return next(name for name in _INTEGERS if int(name[3:]) >= int(precision[3:]))
    return _MULTIPLIES_LIKE.get(precision, precision)


def _is_between(precision: str) -> bool:
    integer = precision.startswith("int") and precision != "int32"
    return integer and precision not in _INTEGERS


@remember("leakage of elements", most=256)
def pe_leakage_uw(precision: str, node_nm: int, scaling: str = ANCHORED) -> float:
    """Return the leakage in uW of one processing element.

    Integers: Bit Fusion synthesis (ISCA 2018), 45 nm. Guesses: a float leaks as much more than an
    int16 element as its MAC costs more, and leakage follows the trend of dynamic energy.
    """
    precision = multiplies_like(precision)
    base = "int16" if precision in FLOATS else precision
    trend = node_trend(node_nm, 45, scaling)
    larger = mac_pj(precision, 45) / mac_pj(base, 45)
    return interpolate(_arithmetic("leakage", base), 45) * larger * trend


def node_trend(node_nm: int, base_nm: int, scaling: str = ANCHORED) -> float:
    """Return the energy at `node_nm` relative to `base_nm`: that of an int8 multiplier.

    With scaling "stillmaker" that of Stillmaker and Baas, both nodes at 0.8 V.
    """
    rows = _arithmetic("mul", "int8") if scaling == ANCHORED else _stillmaker()
    return interpolate(rows, node_nm) / interpolate(rows, base_nm)


@remember("prices of SRAM", most=4096)
def sram(
    cell: str, node_nm: int, size_bytes: int, width_bits: int, scaling: str = ANCHORED
) -> Sram:
    """Return one bank of `size_bytes` read and written `width_bits` at a time, from CACTI 7.

    The width is clipped to what the table has: 32 to 512 bits, 64 to 128 for cell "itrs-lstp".
    Between rows the median error is about 5 % per access and 2 % in leakage. Cell "itrs-lop" leaks
    15 times more at 22 nm than at 45 nm, an artefact of CACTI's technology file.
    """
    width = _sram_width(cell, width_bits)
    point = (node_nm, width, size_bytes)
    read, write, leakage = (
        _down_to(_sram(cell, name), *point, scaling=scaling) for name in Sram._fields[1:]
    )
    return Sram(width, read, write, leakage)


@remember("spreads of prices", most=256)
def spread(action: str, precision: str = "") -> Spread:
    """Return the range of one kind of price; that of a MAC depends on its precision."""
    precision = spread_precision(precision)
    rows = [row for row in read_rows("spread") if row["action"] == action]
    row = next(row for row in rows if row["precision"] == precision)
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    return Spread(value, low, high, row["how"], row["source"], row["confidence"])


def spread_precision(precision: str) -> str:
    """Return the precision whose range that of `precision` is; all floats share one."""
    return "float" if precision in FLOATS else multiplies_like(precision)


@remember("areas of SRAM", most=4096)
def sram_mm2(cell: str, node_nm: int, size_bytes: int, width_bits: int) -> float:
    """Return the area in mm2 of one bank, from CACTI 7 (22 to 65 nm)."""
    return interpolate(_sram(cell, "area_mm2"), node_nm, _sram_width(cell, width_bits), size_bytes)


@remember("sources of SRAM", most=8)
def sram_source(cell: str) -> tuple[str, str]:
    """Return source and confidence of the rows of `cell`."""
    row = next(row for row in read_rows("sram") if row["cell"] == cell)
    return row["source"], row["confidence"]


@remember("prices of wires", most=64)
def wire_pj_per_bit_mm(node_nm: int, scaling: str = ANCHORED) -> float:
    """Return the energy in pJ of one toggling bit on one mm of repeated global wire, CACTI 7."""
    return _down_to(_wire(), node_nm, scaling=scaling)


@remember("length of the interconnect", most=1)
def interconnect_mm() -> float:
    """Return the wire length in mm between a master and the memory controller, a guess."""
    return next(float(row["value"]) for row in read_rows("wire") if row["quantity"] == "length")


def _down_to(grid: Grid, node_nm: int, *rest: int, scaling: str) -> float:
    smallest = min(grid)
    value = interpolate(grid, max(node_nm, smallest), *rest)
    return value * node_trend(min(node_nm, smallest), smallest, scaling)


def _at(cell: "float | Grid", rest: list[int]) -> float:
    return interpolate(cell, *rest) if isinstance(cell, Mapping) else cell


def _around(keys: list[int], x: int) -> tuple[int, int]:
    index = min(max(bisect(keys, x), 1), len(keys) - 1)
    return keys[index - 1], keys[index]


@remember("energy tables", most=8)
def read_rows(table: str) -> list[dict[str, str]]:
    """Return the rows of one of the tables, as text."""
    with (TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@remember("energy of arithmetic", most=64)
def _arithmetic(operation: str, precision: str) -> dict[int, float]:
    return {
        int(row["node_nm"]): float(row["value"])
        for row in read_rows("arithmetic")
        if (row["operation"], row["precision"]) == (operation, precision)
    }


@remember("energy of SRAM", most=16)
def _sram(cell: str, quantity: str) -> Grid:
    grid: dict[int, dict[int, dict[int, float]]] = {}
    for row in read_rows("sram"):
        if row["cell"] == cell:
            widths = grid.setdefault(int(row["node_nm"]), {})
            sizes = widths.setdefault(int(row["width_bits"]), {})
            sizes[int(row["size_bytes"])] = float(row[quantity])
    return grid


def _sram_width(cell: str, width_bits: int) -> int:
    widths = _sram_widths(cell)
    return min(max(width_bits, widths[0]), widths[-1])


@remember("widths of SRAM", most=8)
def _sram_widths(cell: str) -> list[int]:
    return sorted({int(row["width_bits"]) for row in read_rows("sram") if row["cell"] == cell})


def scaling_rows(quantity: str) -> list[dict[str, str]]:
    """Return the rows of Stillmaker and Baas for "area", or for a coefficient of the energy."""
    return [row for row in read_rows("scaling") if row["quantity"] == quantity]


@remember("scaling of Stillmaker", most=1)
def _stillmaker() -> dict[int, float]:
    """Return relative energies by node: a V^2 + b V + c."""
    energies: dict[int, float] = {}
    for power, name in enumerate(("energy_c", "energy_b", "energy_a")):
        for row in scaling_rows(name):
            node = int(row["node_nm"])
            energies[node] = energies.get(node, 0.0) + float(row["value"]) * _STILLMAKER_V**power
    return energies


@remember("energy of wires", most=1)
def _wire() -> dict[int, float]:
    rows = [row for row in read_rows("wire") if row["quantity"] == "energy"]
    return {int(row["node_nm"]): float(row["value"]) for row in rows}
