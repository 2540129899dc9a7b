"""How many samples a run has."""

from collections.abc import Sequence

from simulator.errors import InputError
from simulator.machine.soc import FIDELITIES
from simulator.uncertainty.replays import Subject

USUAL = 64
"""Default number of samples: three of them lie beyond either end of an interval."""
_MOST_OPERATIONS = 400_000  # a guess: about ten seconds on two cores


def usual_count(subjects: Sequence[Subject]) -> int:
    """Return the number of samples unless the user gives one: USUAL for a short comparison, else 0.

    Only a verdict has samples by default; neither a search for placements nor simulating each tile
    does, as these take too long.
    """
    if len(subjects) < 2 or any(each.fidelity != FIDELITIES[0] for each in subjects):
        return 0
    if any(each.hardware.runtime.placement != "rules" for each in subjects):
        return 0
    operations = USUAL * sum(each.operations for each in subjects)
    return USUAL if operations <= _MOST_OPERATIONS else 0


def check_count(samples: int | None) -> None:
    """Raise InputError for a single sample, which has no interval."""
    if samples == 1:
        raise InputError("--samples 1: one sample has no interval: ask for 64, or 0 for none")
