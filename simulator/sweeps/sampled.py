"""Points that were sampled: the columns of their rows, and how surely one of them is the best."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simulator.results.intervals import interval
from simulator.results.samples import MEASURES, Samples

if TYPE_CHECKING:
    import polars

Row = dict[str, Any]
SAMPLES = "samples"
"""The column that holds the samples of a point as JSON; no table for people shows it."""
_PERCENTILES = ("p05", "p50", "p95")


def sampled_columns(drawn: Samples) -> Row:
    """Return the percentiles of latency and energy, such as latency_p95_s, and all their samples.

    Not `energy_low_j`: that is the energy where all prices are at their least at once.
    """
    row: Row = {}
    kept: dict[str, list[float | None]] = {}
    for measure in MEASURES:
        column = drawn.columns.get(measure, (math.nan,) * drawn.count)
        stem, _, unit = measure.rpartition("_")
        if not all(map(math.isnan, column)):
            ends = zip(_PERCENTILES, interval(column), strict=True)
            row |= {f"{stem}_{name}_{unit}": value for name, value in ends}
        kept[measure] = [None if math.isnan(value) else value for value in column]
    return row | {SAMPLES: json.dumps(kept, separators=(",", ":"))}


def stays_best(candidates: "polars.DataFrame", measure: str) -> float | None:
    """Return in which share of the samples the first candidate has the least of a measure.

    The same constants were drawn for all of them, so that they compare sample by sample. None
    where the measure was not sampled, or a point as often as the others.
    """
    if SAMPLES not in candidates.columns or measure not in MEASURES:
        return None
    texts = candidates[SAMPLES].to_list()
    if None in texts:
        return None
    columns = [json.loads(text)[measure] for text in texts]
    if len({len(column) for column in columns}) > 1:
        return None
    wins: list[bool] = [
        ours is not None and ours <= _least(theirs) for ours, *theirs in zip(*columns, strict=True)
    ]
    return sum(wins) / len(wins)


def _least(values: Sequence[float | None]) -> float:
    return min((value for value in values if value is not None), default=math.inf)
