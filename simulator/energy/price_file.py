"""A table of prices as a file: those of a run, and others to cost it with."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from simulator.activity import (
    ARRAY_CYCLES,
    ARRAY_MACS,
    ARRAY_MEMORIES,
    CPU_BYTES,
    CPU_CYCLES,
    CPU_VECTORS,
    CPU_WAITS,
    DRAM_ACTIVATES,
    DRAM_READ_BURSTS,
    DRAM_READ_BYTES,
    DRAM_WRITE_BURSTS,
    DRAM_WRITE_BYTES,
    INTERCONNECT_BYTES,
    VECTOR_OPS,
    Action,
)
from simulator.energy.account import Costs, StatePower
from simulator.energy.boundary import REGULATORS, Boundary
from simulator.energy.prices import OWN_COMPONENTS, Prices
from simulator.errors import InputError, join_names, shown
from simulator.files.text import is_file
from simulator.hardware.load import load_part
from simulator.hardware.part import Part
from simulator.hardware.precision import ARRAY_FORMATS
from simulator.hardware.unit import ACCELERATOR
from simulator.units import ENERGY, POWER, RATIO, Attojoules, Microwatts, Permille

_HEAD = """# What an action costs, what a component draws, and the ends of their ranges.
# Every line is optional: what is absent stays as the run had it, and a range that is absent
# keeps its ratio to the price. Energies are per MAC, byte, core cycle, activation or burst.
"""

_ABOUT = {
    Action(ACCELERATOR, ARRAY_MACS): "executed, in the array's own format",
    Action(ACCELERATOR, ARRAY_CYCLES): "clock and control, one element, one cycle",
    **{Action(ACCELERATOR, what): "" for what in ARRAY_MEMORIES},
    Action(ACCELERATOR, VECTOR_OPS): "one lane of the vector unit",
    CPU_CYCLES: "one core, one cycle",
    CPU_WAITS: "one core that spins, one cycle",
    CPU_VECTORS: "one vector instruction of a product, beside its cycle",
    CPU_BYTES: "read or written by an operation, through the caches",
    INTERCONNECT_BYTES: "",
    DRAM_READ_BYTES: "controller and the chip's interface",
    DRAM_WRITE_BYTES: "controller and the chip's interface",
    DRAM_ACTIVATES: "with precharge",
    DRAM_READ_BURSTS: "core and bus",
    DRAM_WRITE_BURSTS: "core and bus",
    **{Action(ACCELERATOR, ARRAY_MACS, name): "" for name in ARRAY_FORMATS},
}
STANDARD_ACTIONS = tuple(_ABOUT)
"""The actions of CPU, accelerator, interconnect and DRAM, in every format of an array."""

_COMPONENTS = tuple(name for name in OWN_COMPONENTS if name != REGULATORS)

_STANDARD = {action.key for action in _ABOUT}

if TYPE_CHECKING:
    Dynamic = Part
else:
    Dynamic = create_model(
        "Dynamic",
        __base__=Part,
        __doc__="Energy of one action, by its key.",
        **{
            action.key: (Attojoules | None, Field(ge=0, default=None, description=about))
            for action, about in _ABOUT.items()
        },
    )


class Static(Part):
    """Power that a component draws all the time."""

    array: Microwatts | None = Field(ge=0, default=None)
    scratchpad: Microwatts | None = Field(ge=0, default=None)
    cpu: Microwatts | None = Field(ge=0, default=None)
    interconnect: Microwatts | None = Field(ge=0, default=None)
    controller: Microwatts | None = Field(ge=0, default=None)
    dram: Microwatts | None = Field(ge=0, default=None, description="in self-refresh")
    vector: Microwatts | None = Field(ge=0, default=None, description="lanes, where there are any")
    serial: Microwatts | None = Field(ge=0, default=None, description="links, where there are any")
    board: Microwatts | None = Field(ge=0, default=None, description="beside chip and memory")


class State(Part):
    """Power that a component draws beside, in a state of the memory."""

    controller: Microwatts | None = Field(ge=0, default=None)
    dram: Microwatts | None = Field(ge=0, default=None)


class UnitCosts(Part):
    """Prices of a unit beside CPU and accelerator: its actions by name, its static power."""

    dynamic: dict[str, Attojoules] = Field(default_factory=dict)
    static: Microwatts | None = Field(ge=0, default=None)


class CostTable(Part):
    """Prices of actions and power of components; each one is optional."""

    dynamic: Dynamic = Field(default_factory=Dynamic)
    static: Static = Field(default_factory=Static)
    standby: State = Field(default_factory=State)
    clocked: State = Field(default_factory=State)
    loss: Permille | None = Field(
        ge=0, le=100_000, default=None, description="of regulators, of what they deliver"
    )
    units: dict[str, UnitCosts] = Field(default_factory=dict)

    @property
    def dynamic_aj(self) -> dict[str, int]:
        """The prices that the table has, by the key of their action."""
        own = {name: getattr(self.dynamic, name) for name in type(self.dynamic).model_fields}
        further = {
            f"{unit}.{what}": price
            for unit, costs in self.units.items()
            for what, price in costs.dynamic.items()
        }
        return {key: price for key, price in (own | further).items() if price is not None}

    @property
    def static_uw(self) -> dict[str, int]:
        """The powers that the table has, by component."""
        own = {name: getattr(self.static, name) for name in _COMPONENTS}
        further = {unit: costs.static for unit, costs in self.units.items()}
        return {name: power for name, power in (own | further).items() if power is not None}

    def state_uw(self, name: str, before: StatePower) -> StatePower:
        """Return what the component of this name draws in standby and clocked, `before` where the
        table does not say.
        """
        own = [getattr(state, name, None) for state in (self.standby, self.clocked)]
        standby, clocked = (
            old if new is None else new for new, old in zip(own, before, strict=True)
        )
        return standby, clocked


class EnergyTable(CostTable):
    """Prices with the ends of their ranges, and the power of the whole board."""

    low: CostTable = Field(default_factory=CostTable)
    high: CostTable = Field(default_factory=CostTable)
    board: Microwatts | None = Field(gt=0, default=None, description="measured, another account")


def read_table(path: Path) -> EnergyTable:
    """Return the table in a YAML file. Raises InputError for whatever is wrong with it."""
    if not is_file(path):
        raise InputError(f"no energy table at {path}: edit a copy of the energy.yaml of a run")
    return load_part(EnergyTable, path, "the energy.yaml of a run")


def table_text(prices: Prices) -> str:
    """Return all of `prices` as YAML; read and laid over any others it gives them again."""
    lines = [_HEAD, *_section(prices.costs, "")]
    for name, costs in (("low", prices.low), ("high", prices.high)):
        lines += [f"{name}:\n", *_section(costs, "  ")]
    if prices.board_uw:
        lines.append(f"board: {POWER.text(prices.board_uw)}\n")
    return "".join(lines)


def with_table(prices: Prices, table: EnergyTable) -> Prices:
    """Return `prices` with those of `table` in their place.

    Raises InputError for a unit or an action of one that the SoC does not have.
    """
    _check_units(prices, (table, table.low, table.high))
    after = _replaced(prices.costs, table)
    low, high = (
        _replaced(_in_ratio(end, prices.costs, after), changes)
        for end, changes in ((prices.low, table.low), (prices.high, table.high))
    )
    board_uw = prices.board_uw if table.board is None else table.board
    return replace(prices, costs=after, low=low, high=high, board_uw=board_uw)


def plain_prices(prices: Prices) -> dict[str, Any]:
    """Return all of `prices` as plain numbers, for JSON."""
    return {
        "actions": [[*action, prices.component[action]] for action in prices.dynamic_aj],
        **_plain_costs(prices.costs),
        "low": _plain_costs(prices.low),
        "high": _plain_costs(prices.high),
        "board_uw": prices.board_uw,
        "boundary": prices.boundary.value,
    }


def read_plain_prices(plain: Mapping[str, Any]) -> Prices:
    """Return the prices from what `plain_prices` returned, also after a round trip through JSON."""
    component = {Action(*action): component for *action, component in plain["actions"]}
    value, low, high = (
        _read_costs(tuple(component), costs) for costs in (plain, plain["low"], plain["high"])
    )
    return Prices(value, component, low, high, plain["board_uw"], Boundary(plain["boundary"]))


def _read_costs(actions: tuple[Action, ...], plain: Mapping[str, Any]) -> Costs:
    return Costs(
        dict(zip(actions, plain["dynamic_aj"], strict=True)),
        dict(plain["static_uw"]),
        {name: (standby, clocked) for name, (standby, clocked) in plain["state_uw"].items()},
        plain["loss"],
    )


def _plain_costs(costs: Costs) -> dict[str, Any]:
    return {
        "dynamic_aj": [*costs.dynamic_aj.values()],
        "static_uw": dict(costs.static_uw),
        "state_uw": {name: [*power] for name, power in costs.state_uw.items()},
        "loss": costs.loss,
    }


def _section(costs: Costs, indent: str) -> list[str]:
    dynamic = [(action, ENERGY.text(price)) for action, price in costs.dynamic_aj.items()]
    static = [(name, POWER.text(power)) for name, power in costs.static_uw.items()]
    further = [name for name, _ in static if name not in OWN_COMPONENTS]
    lines = [
        f"{indent}dynamic:\n",
        *(f"{indent}  {a.key}: {text}\n" for a, text in dynamic if a.key in _STANDARD),
        f"{indent}static:\n",
        *(f"{indent}  {name}: {text}\n" for name, text in static if name in OWN_COMPONENTS),
    ]
    for which, state in enumerate(("standby", "clocked")):
        lines.append(f"{indent}{state}:\n")
        powers = [(name, POWER.text(power[which])) for name, power in costs.state_uw.items()]
        lines += [f"{indent}  {name}: {text}\n" for name, text in powers]
    lines.append(f"{indent}loss: {RATIO.text(costs.loss)}\n")
    lines += [f"{indent}units:\n"] if further else []
    for unit in further:
        own = {a.key.partition(".")[2]: text for a, text in dynamic if a.unit == unit}
        lines += [f"{indent}  {unit}:\n", f"{indent}    dynamic:\n"]
        lines += [f"{indent}      {what}: {text}\n" for what, text in own.items()]
        lines.append(f"{indent}    static: {dict(static)[unit]}\n")
    return lines


def _check_units(prices: Prices, tables: Iterable[CostTable]) -> None:
    actions = prices.by_key
    for table in tables:
        for unit, costs in table.units.items():
            if unit not in prices.static_uw or unit in OWN_COMPONENTS:
                raise InputError(f"energy table: units.{unit}: this run has no such unit")
            for what in costs.dynamic:
                if f"{unit}.{what}" not in actions:
                    own = [key.partition(".")[2] for key in actions if key.startswith(f"{unit}.")]
                    raise InputError(
                        f"energy table: units.{unit}.dynamic: no action {shown(what)}; "
                        f"known: {join_names(own)}"
                    )


def _replaced(costs: Costs, table: CostTable) -> Costs:
    """Return `costs` with the prices of `table`; those of what the SoC lacks price nothing."""
    prices, powers = table.dynamic_aj, table.static_uw
    dynamic = {action: prices.get(action.key, price) for action, price in costs.dynamic_aj.items()}
    static = {name: powers.get(name, power) for name, power in costs.static_uw.items()}
    states = {name: table.state_uw(name, power) for name, power in costs.state_uw.items()}
    return Costs(dynamic, static, states, costs.loss if table.loss is None else table.loss)


def _in_ratio(end: Costs, before: Costs, after: Costs) -> Costs:
    """Return an end of the range that lies to the new price as it did to the old one."""
    dynamic = {
        action: _scaled(price, before.dynamic_aj[action], after.dynamic_aj[action])
        for action, price in end.dynamic_aj.items()
    }
    static = {
        name: _scaled(power, before.static_uw[name], after.static_uw[name])
        for name, power in end.static_uw.items()
    }
    states = {
        name: _scaled_states(power, before.state_uw[name], after.state_uw[name])
        for name, power in end.state_uw.items()
    }
    return Costs(dynamic, static, states, _scaled(end.loss, before.loss, after.loss))


def _scaled_states(end: StatePower, before: StatePower, after: StatePower) -> StatePower:
    standby, clocked = map(_scaled, end, before, after)
    return standby, clocked


def _scaled(end: int, before: int, after: int) -> int:
    return after if not before else (2 * end * after + before) // (2 * before)
