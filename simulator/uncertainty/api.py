"""Uncertainty in one call."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simulator.hardware import Hardware, load_hardware
from simulator.replay import Recording, as_trace
from simulator.results.documents import UncertaintyDocument
from simulator.trace.trace import Trace
from simulator.uncertainty.account import account
from simulator.uncertainty.counts import USUAL, check_count
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import draw


def intervals(
    hardware: Hardware | str | Path,
    trace: Trace | Recording | str | Path,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    *,
    baseline: Hardware | str | Path | None = None,
    samples: int = USUAL,
    seed: int = 0,
) -> UncertaintyDocument:
    """Return the uncertainty of a run and, with a `baseline`, of its verdict: `{low, median, high}`
    by key.

    Arguments are those of `simulate`; `overrides` apply to `hardware` alone.
    `simulator.uncertainty.account.account` describes the keys. Raises InputError for bad input.
    """
    check_count(samples)
    run = as_trace(trace)
    machines = [load_hardware(hardware, overrides)]
    machines += [load_hardware(baseline)] if baseline is not None else []
    return account(*draw([Subject(each, run) for each in machines], samples, seed))
