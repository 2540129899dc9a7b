"""Predicted against measured times, with intervals from the ranges of the machine's constants."""

from collections.abc import Iterable
from typing import Any

from simulator.comparison import compare
from simulator.hardware import Hardware
from simulator.results.intervals import interval, level
from simulator.trace.trace import Trace
from simulator.uncertainty.api import USUAL
from simulator.uncertainty.draws import draw_values
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import ProgressBar, is_price, uncertain

Row = dict[str, Any]
_TABLES = {"phases": "phase", "kinds": "kind"}


def compare_with_intervals(
    hardware: Hardware,
    trace: Trace,
    samples: int = USUAL,
    seed: int = 0,
    progress: ProgressBar | None = None,
) -> Row:
    """Return what `simulator.comparison.compare` returns, with an interval for each prediction.

    The rows `step`, `phases` and `kinds` gain `predicted_low_s` and `predicted_high_s`, the
    document `samples`, `seed` and `level`. Without samples, or if no constant is uncertain, nothing
    is added. Raises InputError for a trace without measured times.
    """
    document = compare(hardware, trace)
    subject = Subject(hardware, trace)
    unsure = [each for each in uncertain(subject) if not is_price(each.path)]
    if not samples or not unsure:
        return document
    values: Iterable[Any] = draw_values(unsure, samples, seed)
    if progress is not None:
        values = progress(values, samples, f"drawing {samples} samples")
    predictions = [_predicted(compare(subject.at(each), trace)) for each in values]
    for name, row in _rows(document):
        sure = interval([each[name] for each in predictions])
        row |= {"predicted_low_s": sure.low, "predicted_high_s": sure.high}
    return document | {"samples": samples, "seed": seed, "level": round(level(samples), 4)}


def _rows(document: Row) -> list[tuple[str, Row]]:
    """Return the rows that get an interval, by a unique name."""
    tables = [
        (f"{table} {row[key]}", row) for table, key in _TABLES.items() for row in document[table]
    ]
    return [("step", document["step"]), *tables]


def _predicted(document: Row) -> dict[str, float]:
    return {name: row["predicted_s"] for name, row in _rows(document)}
