"""One number of a description: value, range, source, kind."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from simulator.units import QUANTITIES

ConstantKind = Literal["measured", "published", "chosen", "fitted", "guess"]
"""How a number came about; `chosen`: the design is free to take it, or it does not matter."""

KINDS: tuple[ConstantKind, ...] = get_args(ConstantKind)
"""All of them."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A number of a SoC, in its inner unit, that may lie anywhere from `low` to `high`.

    `path` is its setting, such as "cpu.gemm_efficiency", `unit` its inner unit, such as "ps", ""
    for a plain number, None until a SoC has it. Machines with equal constants share one
    uncertain number, as the same A53 is in both.
    """

    path: str
    value: int
    low: int
    high: int
    source: str = ""
    kind: ConstantKind = "guess"
    unit: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Raise ValueError unless the value lies within its range."""
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.path}: {self.value} is not within {self.low} .. {self.high}")

    def text(self, value: int) -> str:
        """Return a number in its inner unit as a description would have it: "10 us"."""
        return QUANTITIES[self.unit].text(value) if self.unit else str(value)

    @property
    def is_uncertain(self) -> bool:
        """Whether its range holds more than one value."""
        return self.low < self.high

    def at(self, quantile: float) -> int:
        """Return the value below which the truth lies with this probability, from 0 to 1.

        `value` is the median. On either side half of the probability is uniform in the logarithm,
        or in the number itself where the range reaches zero or below.
        """
        if quantile <= 0.5:
            return _between(self.low, self.value, 2 * quantile)
        return _between(self.value, self.high, 2 * quantile - 1)


def _between(low: int, high: int, share: float) -> int:
    if low <= 0:
        return round(low + (high - low) * share)
    return min(high, max(low, round(low * math.pow(high / low, share))))
