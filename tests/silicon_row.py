"""One figure of a chip, measured and predicted, and what all comparisons with silicon share."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from simulator.activity import Counts, DramStates
from simulator.energy import Prices
from simulator.energy.account import Account
from simulator.energy.overheads import overhead
from simulator.energy.tables import node_trend

REFERENCE = Path(__file__).parent / "reference"
ENERGY = REFERENCE / "energy"
SECOND = 10**12
AWAKE, ASLEEP = DramStates(SECOND, SECOND), DramStates()

_CORE_PJ, _CORE_NODE = 12.5, 22
"""A cycle of RI5CY, a 32-bit core of four stages, in 22 nm at 0.8 V: Zaruba and Benini, TVLSI 2019
(recalled). Vega (arXiv:2110.09101) takes the same with the memories of its cluster: 615 GOPS/W in
int8 on eight cores, at 4.3 operations per core and cycle and 0.6 V (the last two recalled).
"""
CORE_LOW, CORE_HIGH = 0.6, 1.6  # guess


class SiliconRow(NamedTuple):
    """One figure of a chip; `low` and `high` are at the ends of all prices, `goal` is the largest
    error that is good enough.
    """

    chip: str
    what: str
    unit: str
    measured: float
    predicted: float
    low: float
    high: float
    goal: float
    why: str = ""

    @property
    def error(self) -> float:
        """The relative error of the prediction."""
        return self.predicted / self.measured - 1


def core_pj(node_nm: int) -> float:
    """Return the energy of a cycle of a small core at a node, at the voltage of its tables."""
    return _CORE_PJ * node_trend(node_nm, _CORE_NODE)


def three(priced: Prices, of: Callable[[Account], float]) -> tuple[float, float, float]:
    """Return a figure at the prices, and at both ends of their ranges."""
    low, high = priced.ends
    return of(priced.within), of(low), of(high)


def watts(account: Account, counts: Counts, states: DramStates) -> float:
    """Return the power of what happens in each second."""
    return account.energy_aj(counts, SECOND, states) / 1e18


def regulated(power: float) -> float:
    """Return what a regulator takes in for what it delivers."""
    return power / overhead("regulator").value


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of `tests/reference/energy`."""
    with (ENERGY / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
