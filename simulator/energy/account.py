"""What actions and time cost within one boundary: exact sums, by component or in all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from simulator.activity import Action, Counts, DramStates
from simulator.energy.boundary import REGULATORS

StatePower = tuple[int, int]
"""What a component draws beside its static power, in uW: in standby, and while it is clocked."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Attojoules per action, microwatts that each component draws all the time, and what it draws
    beside in states of the memory. Regulators lose `loss` permille of all of it.
    """

    dynamic_aj: Mapping[Action, int]
    static_uw: Mapping[str, int]
    state_uw: Mapping[str, StatePower] = field(default_factory=dict)
    loss: int = 0


@dataclass(frozen=True)
class Account:
    """Costs of the components within a boundary.

    `dynamic_aj` has every action, with what regulators lose of it where the boundary takes them in,
    at 0 where its component lies outside; `own_aj` has it without the loss. So every sum is an
    exact integer.
    """

    own_aj: Mapping[Action, int]
    dynamic_aj: Mapping[Action, int]
    static_uw: Mapping[str, int]
    state_uw: Mapping[str, StatePower]
    component: Mapping[Action, str]

    @cached_property
    def whole_static_uw(self) -> int:
        """Static power of all components."""
        return sum(self.static_uw.values())

    @cached_property
    def whole_state_uw(self) -> StatePower:
        """What all components draw beside in the states of the memory."""
        powers = [*self.state_uw.values()]
        return sum(standby for standby, _ in powers), sum(clocked for _, clocked in powers)

    def dynamic_aj_of(self, counts: Counts) -> int:
        """Return the energy of `counts` in attojoules, over all components."""
        price = self.dynamic_aj
        return sum([amount * price[action] for action, amount in counts.items()])

    def states_aj(self, states: DramStates) -> int:
        """Return what the states of the memory cost."""
        return _state_aj(self.whole_state_uw, states)

    def energy_aj(self, counts: Counts, duration_ps: int, states: DramStates) -> int:
        """Return what `counts` cost within `duration_ps`, over all components."""
        fixed = self.whole_static_uw * duration_ps + self.states_aj(states)
        return self.dynamic_aj_of(counts) + fixed

    def by_component_aj(
        self, counts: Counts, duration_ps: int, states: DramStates
    ) -> dict[str, int]:
        """Return what `energy_aj` does by component."""
        sums = {name: power * duration_ps for name, power in self.static_uw.items()}
        for name, power in self.state_uw.items():
            sums[name] += _state_aj(power, states)
        lost = 0
        for action, amount in counts.items():
            own = self.own_aj[action]
            if own:
                sums[self.component[action]] += amount * own
                lost += amount * (self.dynamic_aj[action] - own)
        if lost:
            sums[REGULATORS] += lost
        return sums


def _state_aj(power: StatePower, states: DramStates) -> int:
    return power[0] * states.standby_ps + power[1] * states.clocked_ps
