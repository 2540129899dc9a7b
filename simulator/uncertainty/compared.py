"""Predicted against measured times, with intervals from the ranges of the machine's constants."""

from collections.abc import Iterable
from typing import Any, cast

from simulator.comparison import ComparedRow, Comparison, compare
from simulator.hardware import Hardware
from simulator.results.intervals import interval, level
from simulator.trace.trace import Trace
from simulator.uncertainty.counts import USUAL
from simulator.uncertainty.draws import draw_values
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import ProgressBar, is_price, uncertain


def compare_with_intervals(
    hardware: Hardware,
    trace: Trace,
    samples: int = USUAL,
    seed: int = 0,
    progress: ProgressBar | None = None,
) -> Comparison:
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
        row["predicted_low_s"], row["predicted_high_s"] = sure.low, sure.high
    sampled = {"samples": samples, "seed": seed, "level": round(level(samples), 4)}
    return cast(Comparison, {**document, **sampled})


def _rows(document: Comparison) -> list[tuple[str, ComparedRow]]:
    """Return the rows that have an interval, by a name of their own."""
    phases = [(f"phase {row['phase']}", row) for row in document["phases"]]
    kinds = [(f"kind {row['kind']}", row) for row in document["kinds"]]
    return [("step", document["step"]), *phases, *kinds]


def _predicted(document: Comparison) -> dict[str, float]:
    return {name: row["predicted_s"] for name, row in _rows(document)}
