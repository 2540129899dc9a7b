"""How a request fails: bad input, a machine that cannot do it, a user who stops it."""

from dataclasses import dataclass


class InputError(Exception):
    """Something the user gave is wrong; the message is one sentence naming file, value and fix."""


class Stopped(KeyboardInterrupt):
    """The user stopped long work; the message says what of it is kept."""


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
