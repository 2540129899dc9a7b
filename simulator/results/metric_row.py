"""The form of a row in the table of metrics: columns, metrics and breakdowns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, Flag, auto
from functools import cached_property
from typing import NamedTuple, cast

from simulator.results.priced import OWN_UNITS, Priced

CostRow = Mapping[str, object]
"""What a part of a run costs: a value for the key of each metric, beside the names of the part."""

_UNITS = {
    "s": "s", "ps": "ps", "j": "J", "aj": "aJ", "js": "J s", "w": "W", "mm2": "mm2", "bytes": "B",
    "bytes_per_s": "B/s", "per_s": "/s", "degc": "degC",
}  # fmt: skip


class MetricKind(Enum):
    """How the values of the parts of a run make that of the whole."""

    ADDITIVE = auto()  # their sum
    RATIO = auto()  # computed anew from sums
    PEAK = auto()  # the largest of them


class MetricUse(Flag):
    """Where a metric appears, beside every row of a result."""

    NOWHERE = 0
    OBJECTIVE = auto()  # less is better: a sweep can minimise it
    PHASES = auto()  # a sweep has a column for each phase
    TRAINING = auto()  # and one for all phases but eval
    LEADING = auto()  # among the first columns of a sweep
    SAMPLED = auto()  # has an interval where a run was sampled
    REQUIRED = auto()  # in every result of this schema; others are newer, or not of every machine


@dataclass(frozen=True)
class Column:
    """A number of a run, by a key that ends in its unit.

    `per_epoch` is the power of the number of epochs that it grows with, 0 where it does not grow.
    `alias` is a shorter name in conditions.
    """

    key: str
    label: str
    per_epoch: int
    alias: str = field(default="", kw_only=True)

    @cached_property
    def suffix(self) -> str:
        """The end of the key that tells the unit, such as "_bytes_per_s"; "" for plain numbers."""
        ends = [f"_{end}" for end in _UNITS if self.key.endswith(f"_{end}")]
        return max(ends, key=len, default="")

    @property
    def unit(self) -> str:
        """The unit as people write it, "" for plain numbers."""
        return _UNITS.get(self.suffix[1:], "")

    def between(self, word: str) -> str:
        """Return the key with `word` before its unit: latency_p95_s."""
        return f"{self.key.removesuffix(self.suffix)}_{word}{self.suffix}"

    def get(self, row: CostRow) -> float | None:
        """Return the value in `row`, None where it has none."""
        return cast(float | None, row.get(self.key))

    def of(self, row: CostRow) -> float:
        """Return the value in `row`, 0 where it has none."""
        return self.get(row) or 0.0


class Ratio(NamedTuple):
    """A metric of a baseline over that of the run, as a verdict has it."""

    key: str
    label: str


@dataclass(frozen=True)
class Metric(Column):
    """A number that every part of a run has; `compute` returns it, None on some machines."""

    kind: MetricKind
    compute: Callable[[Priced], float | None]
    uses: MetricUse
    ratio: Ratio | None = None

    @cached_property
    def is_text(self) -> bool:
        """Whether tables hold it as text: exact energies go beyond 64 bits."""
        return self.unit == "aJ"

    @property
    def is_whole(self) -> bool:
        """Whether all its values are whole numbers."""
        return self.kind is MetricKind.ADDITIVE and self.unit in ("", "ps", "aJ", "B")


@dataclass(frozen=True)
class Breakdown:
    """Numbers of a run by name, an object in a result; `column` has a gap for the name."""

    key: str
    column: str
    label: str
    per_epoch: int

    def columns(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the values by their columns in a sweep: {"energy_dram_j": 0.25}."""
        return {self.column.format(name): value for name, value in values.items()}

    def name_in(self, column: str) -> str:
        """Return the name in a column, "" where it is none of these."""
        start, end = self.column.split("{}")
        fits = column.startswith(start) and column.endswith(end)
        return column[len(start) : len(column) - len(end)] if fits else ""

    def of(self, row: CostRow) -> Mapping[str, float]:
        """Return the values in `row` by name; empty where it has none."""
        return cast(Mapping[str, float], row.get(self.key) or {})


@dataclass(frozen=True)
class CostBreakdown(Breakdown):
    """A metric that every part of a run has, by what takes part in it."""

    compute: Callable[[Priced], Mapping[str, float]]
    uses: MetricUse


@dataclass(frozen=True)
class UnitBreakdown(CostBreakdown):
    """A metric of each unit beside CPU and accelerator, a key of the result for each."""

    def of(self, row: CostRow) -> Mapping[str, float]:
        """Return the values in `row` by name of the unit."""
        names = {key: self.name_in(key) for key in row}
        further = {key: name for key, name in names.items() if name and name not in OWN_UNITS}
        return {name: cast(float, row[key]) for key, name in further.items()}
