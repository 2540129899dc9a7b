"""The key `uncertainty` of a result: intervals of a run and its verdict, and what decides them."""

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
from simulator.uncertainty.shares import VarianceShares, shares

Row = dict[str, Any]
_LEAST_SHARE = 0.005  # shown as "1 %"; less is noise of the fit


class UncertainConstant(NamedTuple):
    """A constant, and the machines that have it."""

    constant: Constant
    machines: tuple[str, ...]


def account(ours: Samples, theirs: Samples | None = None) -> UncertaintyDocument:
    """Return how sure a run is: `{low, median, high}` of every measure, and what decides it.

    With a baseline, which must have the same number of samples and the same seed, also of the
    ratios, and the probabilities that the run is faster and takes less energy. Keys of phases start
    with the phase, as in the table of a sweep. `decided_by` and `energy_decided_by` are shares of
    the variance of the logarithm of the measure in `decided` and `energy_decided`. `r2` and
    `energy_r2` are the R2 of the fit on left-out samples; the shares are empty if it is too low.
    """
    compared = ratios(ours, theirs) if theirs else {}
    document: Row = {
        "samples": ours.count,
        "seed": ours.seed,
        "level": round(level(ours.count), 4),
        "infeasible": sum(ours.reasons.values()),
        "reasons": dict(ours.reasons),
    }
    document |= intervals_of({**ours.columns, **compared})
    document |= _probabilities(compared)
    constants = _by_machine([ours, *([theirs] if theirs else [])])
    for metric, start in ((LATENCY, ""), (ENERGY, "energy_")):
        key = metric.ratio.key if theirs and metric.ratio else metric.key
        column = compared.get(key) or ours.columns.get(key, ())
        able = [each for each in constants if metric is ENERGY or not is_price(each.constant.path)]
        document |= _decisive(start, key, able, ours, column)
    return cast(UncertaintyDocument, document)


def accounts(samples: Sequence[Samples]) -> list[UncertaintyDocument]:
    """Return the uncertainty of each run; the second one is the baseline of the first."""
    ours, *others = samples
    return [account(ours, *others), *map(account, others)]


def _probabilities(compared: Columns) -> Row:
    """Return the probabilities that offloading pays: in time, in energy, in both; of feasible
    samples.
    """
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


def _by_machine(machines: Sequence[Samples]) -> list[UncertainConstant]:
    """Return the constants of all machines, equal ones once."""
    hardware_of: dict[Constant, tuple[str, ...]] = {}
    for each in machines:
        for constant in each.constants:
            hardware_of[constant] = (*hardware_of.get(constant, ()), each.hardware)
    return [UncertainConstant(*item) for item in hardware_of.items()]


def _decisive(
    start: str,
    key: str,
    constants: Sequence[UncertainConstant],
    samples: Samples,
    column: Sequence[float],
) -> Row:
    """Return the constants that decide one column, largest share first."""
    runs = [index for index, value in enumerate(column) if value > 0]
    machines = {each.constant: each for each in constants}
    drawings = [quantiles(each, samples.count, samples.seed)[runs] for each in machines]
    fit = (
        shares(list(machines), drawings, [column[index] for index in runs])
        if runs
        else VarianceShares((), 0.0)
    )
    large = [each for each in fit.shares if each.total >= _LEAST_SHARE and fit.is_trusted]
    others = [machines[each.constant] for each in large]
    rows = [_share_row(machines[each.constant], others, each.first, each.total) for each in large]
    return {f"{start}decided": key, f"{start}r2": round(fit.r2, 4), f"{start}decided_by": rows}


def _share_row(
    uncertain: UncertainConstant, others: Sequence[UncertainConstant], first: float, total: float
) -> Row:
    """Return a share; its name states the machine if another of these has the same setting."""
    constant, machines = uncertain
    alike = sum(each.constant.path == constant.path for each in others)
    return {
        "setting": constant.path,
        "name": name_of(constant.path) + (f" ({', '.join(machines)})" if alike > 1 else ""),
        "machines": list(machines),
        "share": round(first, 4),
        "share_with_others": round(total, 4),
        "value": text_of(constant, constant.value),
        "low": text_of(constant, constant.low),
        "high": text_of(constant, constant.high),
        "kind": constant.kind,
        "source": constant.source,
    }
