"""The sums of some tasks at the prices of a machine: what every metric is computed from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from simulator.activity import DRAM_ACTIVATES, Counts, DramStates
from simulator.energy.prices import OWN_COMPONENTS, Prices
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.results.tally import Tally, UnitTally
from simulator.units import AJ_PER_J, PS_PER_S

OWN_UNITS = (HOST, ACCELERATOR)
"""The units whose metrics have rows of their own."""


@dataclass(frozen=True)
class Priced:
    """A tally at `prices`; `macs_per_s` is the peak rate of the array, 0 without one.

    Dynamic energy follows the counts, static energy the attributed time. Rates are over the time
    in which the tasks were active, so that they never exceed the machine's.
    """

    tally: Tally
    prices: Prices
    macs_per_s: int = 0

    @property
    def latency_s(self) -> float:
        """The time attributed to the tasks."""
        return self.tally.latency_ps / PS_PER_S

    @property
    def tokens(self) -> int | None:
        """The tokens that a language model took in or generated, None if there are none."""
        return self.tally.tokens or None

    @property
    def tokens_per_s(self) -> float | None:
        """Its tokens over its time."""
        return self.tokens / self.latency_s if self.tokens and self.tally.latency_ps else None

    @property
    def energy_per_token_j(self) -> float | None:
        """Its energy over its tokens."""
        return self.energy_j / self.tokens if self.tokens else None

    @property
    def counts(self) -> Counts:
        """How often each action happened."""
        return self.tally.counts

    @cached_property
    def units(self) -> Mapping[str, UnitTally]:
        """The sums of every unit by name, also of one that ran nothing."""
        further = (name for name in self.prices.static_uw if name not in OWN_COMPONENTS)
        idle = {name: UnitTally() for name in (*OWN_UNITS, *further)}
        return idle | self.tally.units

    @cached_property
    def energy_by_component_aj(self) -> Mapping[str, int]:
        """Dynamic and static energy."""
        return self.prices.within.by_component_aj(*self._spent)

    @property
    def energy_by_component_j(self) -> Mapping[str, float]:
        """The energy of each component."""
        return {name: aj / AJ_PER_J for name, aj in self.energy_by_component_aj.items()}

    @property
    def energy_aj(self) -> int:
        """The energy of all components."""
        return sum(self.energy_by_component_aj.values())

    @property
    def energy_j(self) -> float:
        """The energy of all components."""
        return self.energy_aj / AJ_PER_J

    @property
    def energy_low_j(self) -> float:
        """The energy with all prices at the low end of their ranges at once."""
        return self.prices.ends[0].energy_aj(*self._spent) / AJ_PER_J

    @property
    def energy_high_j(self) -> float:
        """The energy with all prices at the high end of their ranges at once."""
        return self.prices.ends[1].energy_aj(*self._spent) / AJ_PER_J

    @property
    def energy_by_boundary_j(self) -> Mapping[str, float]:
        """The energy within each boundary, the chosen one among them."""
        accounts = self.prices.by_boundary.items()
        return {each: account.energy_aj(*self._spent) / AJ_PER_J for each, account in accounts}

    @property
    def board_energy_j(self) -> float | None:
        """The energy at the measured power of the whole board; None without a measurement."""
        board_uw = self.prices.board_uw
        return board_uw * self.tally.latency_ps / AJ_PER_J if board_uw else None

    @property
    def average_power_w(self) -> float:
        """The mean power while the tasks were active."""
        account, active_ps = self.prices.within, self.tally.active_ps
        spent_aj = account.energy_aj(self.counts, active_ps, self.tally.states)
        return _ratio(spent_aj, active_ps) / 10**6

    @property
    def bandwidth(self) -> float:
        """The DRAM traffic of all masters, in bytes per second."""
        return self._per_s(self.counts.dram_bytes)

    @property
    def bandwidth_by_master(self) -> Mapping[str, float]:
        """The DRAM traffic of each unit, in bytes per second."""
        return {name: self._per_s(unit.dram_bytes) for name, unit in self.units.items()}

    @property
    def row_hit_rate(self) -> float:
        """The share of DRAM bursts that needed no activation."""
        bursts = self.counts.dram_bursts
        return max(0.0, _ratio(bursts - self.counts[DRAM_ACTIVATES], bursts))

    @property
    def contention_s(self) -> float:
        """What the tasks took longer than each of them would have alone."""
        return self.tally.contention_ps / PS_PER_S

    @property
    def busy_s(self) -> Mapping[str, float]:
        """The time in which each unit ran tasks."""
        return {name: unit.busy_ps / PS_PER_S for name, unit in self.units.items()}

    @property
    def further_busy_s(self) -> Mapping[str, float]:
        """The time in which each unit beside CPU and accelerator ran tasks."""
        return {name: s for name, s in self.busy_s.items() if name not in OWN_UNITS}

    @property
    def peak_power_w(self) -> float:
        """The highest power while a task ran."""
        return self.tally.peak_uw / 10**6

    def array_share(self, time_ps: int) -> float:
        """Return the share of the MACs that the array can do in `time_ps` that were done."""
        return _ratio(self.units[ACCELERATOR].macs * PS_PER_S, self.macs_per_s * time_ps)

    @property
    def _spent(self) -> tuple[Counts, int, DramStates]:
        return self.counts, self.tally.latency_ps, self.tally.states

    def _per_s(self, size: int) -> float:
        return _ratio(size * PS_PER_S, self.tally.active_ps)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0
