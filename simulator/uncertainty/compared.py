"""Predicted against measured, with the interval that the ranges of a machine leave."""

from collections.abc import Iterable
from typing import Any, cast

from simulator.comparison import ComparedRow, Comparison, compare
from simulator.hardware import Hardware
from simulator.results.intervals import interval, level
from simulator.trace.trace import Trace
from simulator.uncertainty.api import USUAL
from simulator.uncertainty.draws import drawn
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import Progress, is_price, uncertain


def compare_surely(
    hardware: Hardware,
    trace: Trace,
    samples: int = USUAL,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Return what `simulator.comparison.compare` does, and how sure each prediction is.

    Rows of the step, phases and kinds gain `predicted_low_s` and `predicted_high_s`, the ends of
    the interval of so many samples; the document `samples` and `level`. A machine of which all is
    known, or no samples, adds nothing. Raises InputError for a trace without times.
    """
    document = compare(hardware, trace)
    subject = Subject(hardware, trace)
    unsure = [each for each in uncertain(subject) if not is_price(each.path)]
    if not samples or not unsure:
        return document
    values: Iterable[Any] = drawn(unsure, samples, seed)
    if progress is not None:
        values = progress(values, samples, f"drawing {samples} samples")
    found = [_predicted(compare(subject.at(each), trace)) for each in values]
    for name, row in _rows(document):
        sure = interval([each[name] for each in found])
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
