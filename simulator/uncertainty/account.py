"""What samples say of a run and of its verdict, as the key `uncertainty` of a result."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from simulator.hardware.constant import Constant
from simulator.results.constants import text_of
from simulator.results.documents import UncertaintyDocument
from simulator.results.intervals import level, share
from simulator.results.metrics import ENERGY, LATENCY
from simulator.results.samples import (
    Columns,
    Samples,
    intervals_of,
    ratios,
)
from simulator.uncertainty.draws import quantiles
from simulator.uncertainty.names import name_of
from simulator.uncertainty.sampling import is_price
from simulator.uncertainty.shares import Shares, shares

Row = dict[str, Any]
_LEAST_SHARE = 0.005  # told as "1 %"; less is noise of the fit


class Uncertain(NamedTuple):
    """A constant, and the machines that have it."""

    constant: Constant
    machines: tuple[str, ...]


def account(ours: Samples, theirs: Samples | None = None) -> UncertaintyDocument:
    """Return how sure a run is: `{low, median, high}` of every measure, and what decides it.

    With a baseline, which has to have drawn alike, also of the ratios, and how often the run is
    faster and takes less energy. Keys of phases begin with the phase, as in the table of a sweep.
    `decided_by` and `energy_decided_by` are shares of the variance of the logarithm of what
    `decided` and `energy_decided` name, empty where the fit behind them, whose R2 on left-out
    samples is `r2` and `energy_r2`, is too bad to tell.
    """
    compared = ratios(ours, theirs) if theirs else {}
    told: Row = {
        "samples": ours.count,
        "seed": ours.seed,
        "level": round(level(ours.count), 4),
        "infeasible": sum(ours.reasons.values()),
        "reasons": dict(ours.reasons),
    }
    told |= intervals_of({**ours.columns, **compared})
    told |= _probabilities(compared)
    known = _known([ours, *([theirs] if theirs else [])])
    for metric, start in ((LATENCY, ""), (ENERGY, "energy_")):
        key = metric.ratio.key if theirs and metric.ratio else metric.key
        column = compared.get(key) or ours.columns.get(key, ())
        able = [each for each in known if metric is ENERGY or not is_price(each.constant.path)]
        told |= _decided(start, key, able, ours, column)
    return cast(UncertaintyDocument, told)


def accounts(drawn: Sequence[Samples]) -> list[UncertaintyDocument]:
    """Return how sure each run is; the first one with the second, if there is one, as baseline."""
    ours, *others = drawn
    return [account(ours, *others), *map(account, others)]


def _probabilities(compared: Columns) -> Row:
    """Return how often offloading pays: faster, with less energy, both; of samples that run."""
    if not compared:
        return {}
    pairs = [
        (speed > 1, energy > 1)
        for speed, energy in zip(compared["speedup"], compared["energy_ratio"], strict=True)
        if not math.isnan(speed)
    ]
    return {
        "probability_faster": share([faster for faster, _ in pairs]),
        "probability_less_energy": share([frugal for _, frugal in pairs]),
        "probability_both": share([all(pair) for pair in pairs]),
    }


def _known(machines: Sequence[Samples]) -> list[Uncertain]:
    """Return the constants of all machines, equal ones once."""
    found: dict[Constant, tuple[str, ...]] = {}
    for each in machines:
        for constant in each.constants:
            found[constant] = (*found.get(constant, ()), each.hardware)
    return [Uncertain(*item) for item in found.items()]


def _decided(
    start: str, key: str, known: Sequence[Uncertain], drawn: Samples, column: Sequence[float]
) -> Row:
    """Return which constants decide one column, largest share first."""
    runs = [index for index, value in enumerate(column) if value > 0]
    machines = {each.constant: each for each in known}
    drawings = [quantiles(each, drawn.count, drawn.seed)[runs] for each in machines]
    found = (
        shares(list(machines), drawings, [column[index] for index in runs])
        if runs
        else Shares((), 0.0)
    )
    large = [each for each in found.shares if each.total >= _LEAST_SHARE and found.is_trusted]
    shown = [machines[each.constant] for each in large]
    told = [_share_row(machines[each.constant], shown, each.first, each.total) for each in large]
    return {f"{start}decided": key, f"{start}r2": round(found.r2, 4), f"{start}decided_by": told}


def _share_row(uncertain: Uncertain, shown: Sequence[Uncertain], first: float, total: float) -> Row:
    """Return a share; machines stand in its name where another one shown has the same setting."""
    constant, machines = uncertain
    alike = sum(each.constant.path == constant.path for each in shown)
    return {
        "setting": constant.path,
        "name": name_of(constant.path) + (f" ({', '.join(machines)})" if alike > 1 else ""),
        "machines": list(machines),
        "share": round(first, 4),
        "share_with_others": round(total, 4),
        "value": text_of(constant.path, constant.value),
        "low": text_of(constant.path, constant.low),
        "high": text_of(constant.path, constant.high),
        "kind": constant.kind,
        "source": constant.source,
    }
