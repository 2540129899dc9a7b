"""What is known about one number of a description: its range, its source, and how it came about."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["measured", "published", "chosen", "fitted", "guess"]
"""`chosen` is what a design is free to take, or what was taken so as not to matter."""

KINDS: tuple[Kind, ...] = get_args(Kind)
"""All of them."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A number of a SoC, in its inner unit, that may lie anywhere from `low` to `high`.

    `path` is its setting, such as "cpu.gemm_efficiency". Machines whose constants are equal share
    one uncertain number: what is true of the A53 in one of them is true of it in the other.
    """

    path: str
    value: int
    low: int
    high: int
    source: str = ""
    kind: Kind = "guess"

    def __post_init__(self) -> None:
        """Raise ValueError unless the value lies within its range."""
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.path}: {self.value} is not within {self.low} .. {self.high}")

    @property
    def is_uncertain(self) -> bool:
        """Whether its range holds more than one value."""
        return self.low < self.high

    def at(self, quantile: float) -> int:
        """Return the value below which the truth lies with this probability, from 0 to 1.

        `value` is the median; half of the probability is spread evenly over the logarithm on
        either side of it (over the number itself where that side reaches zero or below).
        """
        if quantile <= 0.5:
            return _between(self.low, self.value, 2 * quantile)
        return _between(self.value, self.high, 2 * quantile - 1)


def _between(low: int, high: int, share: float) -> int:
    if low <= 0:
        return round(low + (high - low) * share)
    return min(high, max(low, round(low * math.pow(high / low, share))))
