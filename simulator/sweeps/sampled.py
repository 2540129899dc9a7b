"""Sampled points: the columns of their rows, and how often one of them is the best."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.results.intervals import interval
from simulator.results.metrics import PERCENTILES, SAMPLED, using
from simulator.results.samples import Samples
from simulator.views.design_space import Cell

if TYPE_CHECKING:
    import polars

SAMPLES = "samples"
"""The column that holds the samples of a point as JSON; no table for people shows it."""


def sampled_columns(samples: Samples) -> dict[str, Cell]:
    """Return the percentiles of sampled metrics, such as latency_p95_s, and all `samples`.

    Not `energy_low_j`: that is the energy where all prices are at their least at once.
    """
    row: dict[str, Cell] = {}
    values: dict[str, list[float | None]] = {}
    for each in using(SAMPLED):
        column = samples.columns.get(each.key, (math.nan,) * samples.count)
        if not all(map(math.isnan, column)):
            ends = zip(PERCENTILES, interval(column), strict=True)
            row |= {each.between(name): value for name, value in ends}
        values[each.key] = [None if math.isnan(value) else value for value in column]
    return row | {SAMPLES: json.dumps(values, separators=(",", ":"))}


def stays_best(candidates: "polars.DataFrame", objective: str) -> float | None:
    """Return in which share of the samples the first candidate has the least of an objective.

    The same constants were drawn for all of them, so that they compare sample by sample. None
    where the objective was not sampled, or a point as often as the others.
    """
    if SAMPLES not in candidates.columns:
        return None
    texts = candidates[SAMPLES].to_list()
    if None in texts:
        return None
    columns = [json.loads(text).get(objective, ()) for text in texts]
    if len({len(column) for column in columns}) > 1 or not columns[0]:
        return None
    wins: list[bool] = [
        ours is not None and ours <= _least(theirs) for ours, *theirs in zip(*columns, strict=True)
    ]
    return sum(wins) / len(wins)


def _least(values: Sequence[float | None]) -> float:
    return min((value for value in values if value is not None), default=math.inf)
