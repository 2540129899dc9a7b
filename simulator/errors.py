"""How a request fails: bad input, a machine that cannot do it, a user who stops it."""

import json
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


def shown(value: object, width: int = 40) -> str:
    """Return `value` for a sentence: in printable characters, on one line, at most `width` long.

    Text is quoted, all else as JSON has it.
    """
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value, default=repr)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= width else f"{text[: width - 3]}..."
