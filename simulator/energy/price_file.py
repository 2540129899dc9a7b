"""A table of prices as a file: those of a run, and others to cost it with."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field

from simulator.activity import MACS_IN, Counts
from simulator.energy.prices import COMPONENT, COMPONENTS, Costs, Prices
from simulator.errors import InputError
from simulator.files.text import is_file
from simulator.hardware.load import load_part
from simulator.hardware.part import Part
from simulator.units import ENERGY, POWER, Attojoules, Microwatts

_HEAD = """# What an action costs, what a component draws, and the ends of their ranges.
# Every line is optional: what is absent stays as the run had it, and a range that is absent
# keeps its ratio to the price. Energies are per MAC, byte, core cycle, activation or burst.
"""


class Dynamic(Part):
    """Energy of one action, by the name of its count."""

    macs: Attojoules | None = Field(ge=0, default=None, description="useful ones, CPU and array")
    macs_issued: Attojoules | None = Field(ge=0, default=None, description="executed, both units")
    array_macs: Attojoules | None = Field(ge=0, default=None, description="useful, of the array")
    array_macs_issued: Attojoules | None = Field(ge=0, default=None, description="executed, array")
    scratchpad_read_bytes: Attojoules | None = Field(ge=0, default=None)
    scratchpad_write_bytes: Attojoules | None = Field(ge=0, default=None)
    accumulator_read_bytes: Attojoules | None = Field(ge=0, default=None)
    accumulator_write_bytes: Attojoules | None = Field(ge=0, default=None)
    cpu_cycles: Attojoules | None = Field(ge=0, default=None, description="one core, one cycle")
    interconnect_bytes: Attojoules | None = Field(ge=0, default=None)
    dram_read_bytes: Attojoules | None = Field(ge=0, default=None)
    dram_write_bytes: Attojoules | None = Field(ge=0, default=None)
    dram_activates: Attojoules | None = Field(ge=0, default=None, description="with precharge")
    dram_read_bursts: Attojoules | None = Field(ge=0, default=None, description="core and bus")
    dram_write_bursts: Attojoules | None = Field(ge=0, default=None, description="core and bus")
    array_macs_in_int2: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int3: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int4: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int5: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int6: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int7: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int8: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int9: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int10: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int11: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int12: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int13: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int14: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int15: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_int16: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_mx4: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_mx6: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_mx9: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_fp16: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_bf16: Attojoules | None = Field(ge=0, default=None)
    array_macs_in_fp32: Attojoules | None = Field(ge=0, default=None)


class Static(Part):
    """Power that a component draws all the time."""

    array: Microwatts | None = Field(ge=0, default=None)
    scratchpad: Microwatts | None = Field(ge=0, default=None)
    cpu: Microwatts | None = Field(ge=0, default=None)
    interconnect: Microwatts | None = Field(ge=0, default=None)
    dram: Microwatts | None = Field(ge=0, default=None, description="standby and refresh")


class CostTable(Part):
    """Prices of actions and power of components; each one is optional."""

    dynamic: Dynamic = Dynamic()
    static: Static = Static()


class EnergyTable(CostTable):
    """Prices with the ends of their ranges, and the power of the whole board."""

    low: CostTable = CostTable()
    high: CostTable = CostTable()
    board: Microwatts | None = Field(gt=0, default=None, description="measured, another account")


def read_table(path: Path) -> EnergyTable:
    """Return the table in a YAML file. Raises InputError for whatever is wrong with it."""
    if not is_file(path):
        raise InputError(f"no energy table at {path}: edit a copy of the energy.yaml of a run")
    return load_part(EnergyTable, path, "the energy.yaml of a run")


def table_text(prices: Prices) -> str:
    """Return all of `prices` as YAML: `with_table` of it makes any prices equal to these."""
    lines = [_HEAD, *_section(Costs(prices.dynamic_aj, prices.static_uw), "")]
    for name, costs in (("low", prices.low), ("high", prices.high)):
        lines += [f"{name}:\n", *_section(costs, "  ")]
    if prices.board_uw:
        lines.append(f"board: {POWER.text(prices.board_uw)}\n")
    return "".join(lines)


def with_table(prices: Prices, table: EnergyTable) -> Prices:
    """Return `prices` with those that `table` has in their place."""
    before = Costs(prices.dynamic_aj, prices.static_uw)
    after = _replaced(before, table)
    low, high = (
        _replaced(_in_ratio(end, before, after), changes)
        for end, changes in ((prices.low, table.low), (prices.high, table.high))
    )
    board_uw = prices.board_uw if table.board is None else table.board
    return Prices(after.dynamic_aj, COMPONENT, after.static_uw, low, high, board_uw)


def free() -> Prices:
    """Return prices that are all zero, the base of a whole table."""
    nothing = Costs(Counts(), (0,) * len(COMPONENTS))
    return Prices(nothing.dynamic_aj, COMPONENT, nothing.static_uw, nothing, nothing)


def plain_prices(prices: Prices) -> dict[str, Any]:
    """Return all of `prices` as plain numbers, for JSON."""
    return asdict(prices)


def read_plain_prices(plain: dict[str, Any]) -> Prices:
    """Return the prices of a `plain_prices`, also after a round trip through JSON."""
    low, high = (_read_plain_costs(plain[end]) for end in ("low", "high"))
    value = _read_plain_costs(plain)
    return Prices(
        value.dynamic_aj, tuple(plain["component"]), value.static_uw, low, high, plain["board_uw"]
    )


def _read_plain_costs(plain: dict[str, Any]) -> Costs:
    return Costs(Counts(*plain["dynamic_aj"]), tuple(plain["static_uw"]))


def _section(costs: Costs, indent: str) -> list[str]:
    prices = zip(Counts._fields, costs.dynamic_aj, strict=True)
    dynamic = [(n, ENERGY.text(aj)) for n, aj in prices if aj or not n.startswith(MACS_IN)]
    static = zip(COMPONENTS, map(POWER.text, costs.static_uw), strict=True)
    return [
        f"{indent}dynamic:\n",
        *(f"{indent}  {name}: {text}\n" for name, text in dynamic),
        f"{indent}static:\n",
        *(f"{indent}  {name}: {text}\n" for name, text in static),
    ]


def _replaced(costs: Costs, table: CostTable) -> Costs:
    dynamic = [
        _price(table.dynamic, name, price)
        for name, price in zip(Counts._fields, costs.dynamic_aj, strict=True)
    ]
    static = [
        _price(table.static, name, power)
        for name, power in zip(COMPONENTS, costs.static_uw, strict=True)
    ]
    return Costs(Counts(*dynamic), tuple(static))


def _price(part: Part, name: str, otherwise: int) -> int:
    value: Any = getattr(part, name)
    return otherwise if value is None else int(value)


def _in_ratio(end: Costs, before: Costs, after: Costs) -> Costs:
    """Return an end of the range, scaled as the price is: its ratio to the price stays."""
    dynamic = map(_scaled, end.dynamic_aj, before.dynamic_aj, after.dynamic_aj)
    static = map(_scaled, end.static_uw, before.static_uw, after.static_uw)
    return Costs(Counts(*dynamic), tuple(static))


def _scaled(end: int, before: int, after: int) -> int:
    return after if not before else (2 * end * after + before) // (2 * before)
