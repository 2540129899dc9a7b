"""A swept design space as plain rows: its axes, their labels, and the best point of each cell."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

from simulator.hardware.settings import quantity_of
from simulator.results import metrics
from simulator.results.metric_row import Column
from simulator.results.metrics import column_of
from simulator.scenario.settings import quantity_in
from simulator.si import digits, si
from simulator.units import Quantity

Cell = str | int | float | bool | None
PointRow = Mapping[str, Cell]
"""A point of a sweep: knobs and names, and its metrics where it ran."""
Key = TypeVar("Key", bound=Hashable)

TIMES = "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}"
ROWS, COLS = "accelerator.rows", "accelerator.cols"

_ABBREVIATIONS = {"cpu", "dma", "dram", "llc"}


@dataclass(frozen=True)
class KnobAxis:
    """One direction of a space: a knob, or several that always have equal values.

    `values` are those that occur, numbers in ascending order, text as it first came.
    """

    knobs: tuple[str, ...]
    label: str
    values: tuple[Any, ...]

    def of(self, row: PointRow) -> Any:
        """Return where `row` lies on this axis."""
        return row[self.knobs[0]]

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(_is_number(value) for value in self.values)

    def text(self, value: Any) -> str:
        """Return `value` in the unit of the setting, such as "64 KiB"."""
        quantity = knob_quantity(self.knobs[0])
        if quantity and isinstance(value, int) and not isinstance(value, bool):
            return quantity.text(value)
        if value is None:
            return "none"
        return digits(value) if isinstance(value, float) else str(value)

    def phrase(self, value: Any) -> str:
        """Return `value` so that it speaks for itself: "64 KiB scratchpad", "ws", "rows 16"."""
        text = self.text(value)
        if not _is_number(value):
            return text
        if knob_quantity(self.knobs[0]):
            return f"{text} {self.label}"
        return f"{self.label} {text}"


@dataclass(frozen=True)
class Measure:
    """A column of a sweep as figures show it: what grows with the epochs counts per epoch."""

    key: str

    @cached_property
    def column(self) -> Column:
        """What the column holds."""
        return column_of(self.key)

    @property
    def unit(self) -> str:
        """The unit, "" for plain numbers."""
        return self.column.unit

    @property
    def name(self) -> str:
        """What is measured, without its unit: "energy", "wgrad latency", "area"."""
        return self.column.label

    def label(self, rows: Sequence[PointRow]) -> str:
        """Return what an axis says of `rows`, without the unit: "energy per epoch".

        Scenarios have no epochs.
        """
        counts = self.column.per_epoch and any(row.get("epochs") for row in rows)
        return f"{self.name} per epoch" if counts else self.name

    def of(self, row: PointRow) -> float | None:
        """Return the value of `row`, None where it has none."""
        column = self.column
        value = column.get(row)
        if value is None or not column.per_epoch:
            return value
        per_epoch: float = value / epochs_of(row) ** column.per_epoch
        return per_epoch

    def text(self, row: PointRow) -> str:
        """Return the value of `row` with its unit, such as "1.12 mJ"; a dash where it has none."""
        value = self.of(row)
        return "-" if value is None else si(value, self.unit)


def knob_quantity(knob: str) -> Quantity | None:
    """Return the dimension of a setting of a SoC or a scenario; None for plain numbers, texts."""
    return quantity_of(knob) or quantity_in(knob)


def epochs_of(row: PointRow) -> int:
    """Return the epochs of a point's run, 1 where it does not say."""
    return cast(int, row.get("epochs") or 1)


ENERGY, LATENCY = Measure(metrics.ENERGY.key), Measure(metrics.LATENCY.key)


@dataclass(frozen=True)
class SweepTable:
    """The points of a sweep, a row each, and the knobs that it swept.

    A row has its knobs by dotted path in plain numbers or text, `trace`, `method`, `baseline`
    (empty for a point of the space), `feasible`, and where it is feasible its measures, such as
    `latency_s` and `energy_j` of a run of `epochs` epochs. `objectives` are columns to minimise.
    Points beyond `constraints` have no row.
    """

    rows: Sequence[PointRow]
    knobs: Sequence[str]
    objectives: tuple[str, ...] = metrics.OBJECTIVES
    constraints: tuple[str, ...] = ()

    @cached_property
    def points(self) -> list[PointRow]:
        """The rows of the space, infeasible ones too."""
        return [row for row in self.rows if not row.get("baseline")]

    @cached_property
    def feasible(self) -> list[PointRow]:
        """The points that run."""
        return [row for row in self.points if _runs(row)]

    @property
    def reasons(self) -> list[str]:
        """Why points do not run, one for each of them."""
        return [str(row.get("reason") or "") for row in self.points if not _runs(row)]

    @cached_property
    def baselines(self) -> dict[str, PointRow]:
        """The named designs outside the space that run."""
        return {
            str(row["baseline"]): row for row in self.rows if row.get("baseline") and _runs(row)
        }

    @cached_property
    def axes(self) -> list[KnobAxis]:
        """The knobs that take more than one value; equal ones are one axis."""
        columns: dict[tuple[Any, ...], list[str]] = {}
        for knob in self.knobs:
            values = tuple(row.get(knob) for row in self.points)
            if len(set(values)) > 1:
                columns.setdefault(values, []).append(knob)
        return [
            KnobAxis(
                tuple(knobs), " = ".join(label_of(knob, self.knobs) for knob in knobs), _ordered(v)
            )
            for v, knobs in columns.items()
        ]

    def by_trace(self) -> dict[str, "SweepTable"]:
        """Return a table per workload: no design is chosen by training something else."""
        traces = dict.fromkeys(str(row.get("trace", "")) for row in self.points)
        knobs = [knob for knob in self.knobs if knob != "trace"]
        return {
            trace: SweepTable(
                [row for row in self.rows if row.get("trace", "") == trace],
                knobs,
                self.objectives,
                self.constraints,
            )
            for trace in traces
        }


def label_of(knob: str, among: Iterable[str] = ()) -> str:
    """Return a dotted path as people say it: "rows", "CPU clock", "DRAM preset".

    The accelerator's own settings go by their last part unless another of `among` ends in it too.
    """
    *parents, leaf = knob.split(".")
    endings = Counter(other.rpartition(".")[2] for other in among)
    own = parents == ["accelerator"] and endings[leaf] < 2
    words = [leaf] if own else [*parents[-1:], leaf]
    return " ".join(_spoken(word.replace("_", " ")) for word in words)


def best_by(
    rows: Iterable[PointRow], key: Callable[[PointRow], Key], measure: Measure
) -> dict[Key, PointRow]:
    """Return the row with the least `measure` for each key, the first of equals."""
    best: dict[Key, tuple[float, PointRow]] = {}
    for row in rows:
        value = measure.of(row)
        if value is None:
            continue
        place = key(row)
        if place not in best or value < best[place][0]:
            best[place] = value, row
    return {place: row for place, (_, row) in best.items()}


def named(row: PointRow, axes: Sequence[KnobAxis]) -> str:
    """Return the values of `row` on `axes`, rows and columns as "32 × 16"."""
    by_knob = {axis.knobs: axis for axis in axes}
    shaped = {(ROWS,), (COLS,)} <= by_knob.keys()
    parts = [f"{row[ROWS]}{TIMES}{row[COLS]}"] if shaped else []
    rest = [axis for axis in axes if not (shaped and axis.knobs in ((ROWS,), (COLS,)))]
    for axis in rest:
        square = set(axis.knobs) == {ROWS, COLS}
        value = axis.of(row)
        parts.append(f"{value}{TIMES}{value}" if square else axis.phrase(value))
    return ", ".join(parts)


def _runs(row: PointRow) -> bool:
    return bool(row["feasible"]) and LATENCY.of(row) is not None


def _spoken(word: str) -> str:
    return word.upper() if word in _ABBREVIATIONS else word


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ordered(values: Iterable[Any]) -> tuple[Any, ...]:
    distinct = list(dict.fromkeys(values))
    if all(_is_number(value) for value in distinct):
        return tuple(sorted(distinct))
    return tuple(distinct)
