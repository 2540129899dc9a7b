"""What every counted action of one SoC costs, and the static power of its components.

Where a unit has operating points, an action costs energy as the square of the supply voltage, and
leakage draws power in proportion to it, at a constant current: alpha C V^2 f and V I (Weste and
Harris, CMOS VLSI Design, 4th edition, chapter 5, recalled). That the current falls with the
voltage too is left out: slow points leak less than this.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from simulator import extensions
from simulator.activity import (
    ARRAY_CYCLES,
    ARRAY_MACS,
    DRAM_READ_BYTES,
    DRAM_WRITE_BYTES,
    DSP_BYTES,
    DSP_MACS,
    DSP_PS,
    KERNEL_TIME,
    VECTOR_OPS,
    Action,
    Counts,
    DramStates,
)
from simulator.energy.account import Account, Costs
from simulator.energy.array_prices import array_aj, array_uw, scratchpad_uw, vector_uw
from simulator.energy.boundary import (
    BOARD,
    CONTROLLER,
    REGULATORS,
    SERIAL,
    USUAL,
    Boundary,
    boundary_of,
    takes_in,
)
from simulator.energy.core_prices import core_aj
from simulator.energy.factors import (
    PREFIX,
    Factor,
    Factors,
    at_end,
    factors,
    power_factor,
)
from simulator.energy.memory_prices import (
    interconnect_aj,
    interface_uw,
    memory_aj,
    memory_uw,
)
from simulator.energy.overheads import loss_permille, serial_static_mw
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import DramDevice
from simulator.hardware.dsp import VectorMachine
from simulator.hardware.soc import Hardware, Technology
from simulator.hardware.unit import ACCELERATOR, GROUP, HOST, BoardUnit, MeasuredUnit
from simulator.memo import remember

COMPONENTS = ("array", "scratchpad", "cpu", "interconnect", CONTROLLER, "dram")
"""What a SoC of a CPU and an accelerator spends energy on; further units are components, too."""

_UW_PER_MW = 10**3
VECTOR = "vector"
OWN_COMPONENTS = (*COMPONENTS, VECTOR, SERIAL, BOARD, REGULATORS)
"""With vector unit and serial links, which not every SoC has, and what only a board has."""


@dataclass(frozen=True)
class Prices:
    """Prices of one SoC; every amount of energy that follows from them is an exact integer.

    `dynamic_aj` has every action of the SoC, at 0 where another one carries the cost. `component`
    names who spends each action. `low` and `high` are the least and the most that the sources of
    each price leave possible. `board_uw` is the measured power of the whole board, if there is one:
    not a part of the sum. Sums are those within `boundary`, whose prices `within` has.
    """

    costs: Costs
    component: Mapping[Action, str]
    low: Costs
    high: Costs
    board_uw: int | None = None
    boundary: Boundary = USUAL

    @property
    def dynamic_aj(self) -> Mapping[Action, int]:
        """The price of every action, wherever it is spent."""
        return self.costs.dynamic_aj

    @property
    def static_uw(self) -> Mapping[str, int]:
        """The static power of every component."""
        return self.costs.static_uw

    def at(self, boundary: Boundary) -> "Prices":
        """Return these prices for sums within another boundary."""
        return replace(self, boundary=boundary)

    @cached_property
    def within(self) -> Account:
        """What is spent within the boundary."""
        return self.account(self.costs, self.boundary)

    @cached_property
    def ends(self) -> tuple[Account, Account]:
        """What is spent at the low and the high ends of all prices at once."""
        return self.account(self.low, self.boundary), self.account(self.high, self.boundary)

    @cached_property
    def by_boundary(self) -> Mapping[Boundary, Account]:
        """What is spent within each boundary."""
        own = self.boundary
        return {e: self.within if e is own else self.account(self.costs, e) for e in Boundary}

    def account(self, costs: Costs, boundary: Boundary) -> Account:
        """Return what of `costs` is spent within `boundary`."""
        of = self._boundaries
        inside = {name for name in costs.static_uw if takes_in(boundary, of[name])}
        spent = {
            action: aj if self.component[action] in inside else 0
            for action, aj in costs.dynamic_aj.items()
        }
        static = {name: power for name, power in costs.static_uw.items() if name in inside}
        states = {name: power for name, power in costs.state_uw.items() if name in inside}
        if boundary is not Boundary.BOARD:
            return Account(spent, spent, static, states, self.component)
        lost = partial(_lost, loss=costs.loss)
        static[REGULATORS] = lost(sum(static.values()))
        states[REGULATORS] = (
            lost(sum([standby for standby, _ in states.values()])),
            lost(sum([clocked for _, clocked in states.values()])),
        )
        whole = {action: aj + lost(aj) for action, aj in spent.items()}
        return Account(spent, whole, static, states, self.component)

    @cached_property
    def _boundaries(self) -> Mapping[str, Boundary]:
        """The narrowest boundary that takes in each component."""
        return {name: boundary_of(name, self.component) for name in self.costs.static_uw}

    @property
    def whole_static_uw(self) -> int:
        """Static power of all components within the boundary."""
        return self.within.whole_static_uw

    def dynamic_aj_of(self, counts: Counts) -> int:
        """Return the energy of `counts` in attojoules, over all components within the boundary."""
        return self.within.dynamic_aj_of(counts)

    def states_aj(self, states: DramStates) -> int:
        """Return what the states of the memory cost within the boundary."""
        return self.within.states_aj(states)

    @property
    def by_key(self) -> dict[str, Action]:
        """The actions by their names in files."""
        return {action.key: action for action in self.dynamic_aj}

    @property
    def digest(self) -> str:
        """SHA-256 of all prices and their ranges, whatever the boundary."""
        ends = (("", self.costs), ("low", self.low), ("high", self.high))
        plain = {name: _plain(costs) for name, costs in ends}
        spent = {action.key: component for action, component in self.component.items()}
        whole = {"costs": plain, "component": spent, "board_uw": self.board_uw}
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _lost(amount: int, loss: int) -> int:
    """Return what regulators lose of an amount, to the nearest whole unit."""
    return (2 * amount * loss + 1000) // 2000


def _plain(costs: Costs) -> list[object]:
    dynamic = {action.key: aj for action, aj in costs.dynamic_aj.items()}
    return [dynamic, dict(costs.static_uw), dict(costs.state_uw), costs.loss]


def prices(hardware: Hardware, boundary: Boundary = USUAL) -> Prices:
    """Return the prices of `hardware` at its node, SRAM cell and DRAM factor.

    Without an accelerator array and scratchpad cost nothing; the DRAM `ideal` is free.
    """
    value, low, high = _tabled(tuple(factors(hardware)))
    costs = _costs(hardware, value), _costs(hardware, low), _costs(hardware, high)
    return _prices(hardware, costs, boundary)


@remember("factors of tables", most=64)
def _tabled(kinds: tuple[Factor, ...]) -> tuple[Factors, Factors, Factors]:
    """Return factors of these kinds: their values, and the ends of their ranges."""
    usual = {factor.name: float(factor.value) for factor in kinds}
    low, high = (Factors({**usual, **at_end(kinds, end)}) for end in ("low", "high"))
    return Factors(usual), low, high


def prices_at(hardware: Hardware, draws: Mapping[str, int], boundary: Boundary = USUAL) -> Prices:
    """Return the prices of `hardware` with factors in permille, by paths of `price_constants`.

    What is absent is as the tables say; of what `hardware` does not have, a factor changes nothing.
    The ends of the ranges are the prices themselves.
    """
    usual = {factor.name: factor.value for factor in factors(hardware)}
    values = {path.removeprefix(PREFIX): value for path, value in draws.items()}
    costs = _costs(hardware, Factors({**usual, **values}))
    return _prices(hardware, (costs, costs, costs), boundary)


def _prices(hardware: Hardware, costs: tuple[Costs, Costs, Costs], boundary: Boundary) -> Prices:
    value, low, high = costs
    component = {action: _component_of(action) for action in value.dynamic_aj}
    return Prices(value, component, low, high, hardware.technology.board_power, boundary)


def _component_of(action: Action) -> str:
    """Return who spends an action: of the accelerator its memories apart, of the memory's bytes the
    chip's side, else the unit.
    """
    if action in (DRAM_READ_BYTES, DRAM_WRITE_BYTES):
        return CONTROLLER
    if action.unit != ACCELERATOR:
        return action.unit
    of_array = {ARRAY_MACS: "array", ARRAY_CYCLES: "array", VECTOR_OPS: VECTOR}
    return of_array.get(action.what, "scratchpad")


def _costs(hardware: Hardware, times: Factors) -> Costs:
    """Return the prices, with factors on each kind."""
    cpu, array, technology = hardware.cpu, hardware.accelerator, hardware.technology
    cores = _of_cores(HOST, cpu, technology, times)
    memory = _of_memory(hardware.dram.device, technology, times)
    own = _of_array(array, technology, times) if array else Costs({}, {})
    dynamic = {**own.dynamic_aj, **cores.dynamic_aj, **memory.dynamic_aj}
    static_uw = {**dict.fromkeys(COMPONENTS, 0), **cores.static_uw}
    if technology.serial:
        static_uw[SERIAL] = round(
            serial_static_mw(technology.serial) * times("serial") * _UW_PER_MW
        )
    static_uw |= {**own.static_uw, **memory.static_uw}
    for name, unit in (hardware.further or {}).items():
        costs = _costs_of(name, unit, technology, times)
        dynamic |= costs.dynamic_aj
        static_uw |= costs.static_uw
    static_uw |= {BOARD: round(technology.board_static * times("board_static"))}
    return Costs(dynamic, static_uw, memory.state_uw, round(loss_permille() * times("regulators")))


# The parts of a SoC are few in a sweep, their combinations many. Guesses: each at three ends of its
# factors.
@remember("prices of cores", most=64)
def _of_cores(name: str, cpu: Cpu, technology: Technology, times: Factors) -> Costs:
    static_uw = round(cpu.static_power * cpu.supply_ratio * times("cpu_static"))
    return Costs(core_aj(name, cpu, technology, times), {name: static_uw})


@remember("prices of memories", most=64)
def _of_memory(device: DramDevice | None, technology: Technology, times: Factors) -> Costs:
    """Return what the memory spends, and all on the way to it."""
    dynamic = interconnect_aj(technology, times) | memory_aj(device, technology, times)
    floor_uw, states = memory_uw(device, times)
    state_uw = {"dram": states, CONTROLLER: interface_uw(device, times)}
    return Costs(dynamic, {"dram": floor_uw}, state_uw)


@remember("prices of arrays", most=256)
def _of_array(array: Accelerator, technology: Technology, times: Factors) -> Costs:
    """Return what the first array spends, its memories and its vector unit apart."""
    static_uw = {
        "array": array_uw(array, technology, times),
        "scratchpad": scratchpad_uw(array, technology, times),
    }
    if array.vector:
        static_uw[VECTOR] = vector_uw(array, technology, times)
    return Costs(array_aj(ACCELERATOR, array, technology, times), static_uw)


def _costs_of(name: str, unit: BoardUnit, technology: Technology, times: Factors) -> Costs:
    """Return the prices of a further unit: of a CPU, an array, measured kernels, a DSP, or a kind
    that a package adds.
    """
    if isinstance(unit, Cpu):
        return _of_cores(name, unit, technology, times)
    if isinstance(unit, Accelerator):
        static_uw = array_uw(unit, technology, times)
        static_uw += scratchpad_uw(unit, technology, times)
        static_uw += vector_uw(unit, technology, times)
        return Costs(array_aj(name, unit, technology, times), {name: static_uw})
    if isinstance(unit, MeasuredUnit):
        busy, static = (
            round(power * times(power_factor(name, setting)))
            for setting, power in (
                ("busy_power", unit.busy_power),
                ("static_power", unit.static_power),
            )
        )
        # A microwatt for a picosecond is an attojoule.
        return Costs({Action(name, KERNEL_TIME): busy}, {name: static})
    if isinstance(unit, VectorMachine):
        return _of_dsp(name, unit, times)
    backend = extensions.load(GROUP, unit.kind)
    assert backend is not None, "its description was found by its kind"
    costs: Costs = backend.costs(name, unit, technology)
    return costs


def _of_dsp(name: str, part: VectorMachine, times: Factors) -> Costs:
    """Return the prices of a DSP's actions; one uW is one aJ per ps."""
    each = {DSP_MACS: part.energy_per_mac, DSP_BYTES: part.energy_per_byte,
            DSP_PS: part.active_power}  # fmt: skip
    factor = times("dsp_action")
    dynamic = {Action(name, what): round(aj * factor) for what, aj in each.items()}
    return Costs(dynamic, {name: part.static_power})
