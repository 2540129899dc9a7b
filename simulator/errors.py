"""The two ways in which a request fails: bad input, and a machine that cannot do it."""

from dataclasses import dataclass


class InputError(Exception):
    """Something the user gave is wrong; the message is one sentence naming file, value and fix."""


@dataclass
class Infeasible(Exception):
    """The machine cannot run the work: `constraint` needs `demand` but has `bound` (same unit)."""

    constraint: str
    demand: int
    bound: int
    reason: str

    def __str__(self) -> str:
        """Return the reason as one sentence."""
        return self.reason
