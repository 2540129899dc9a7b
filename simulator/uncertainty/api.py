"""Uncertainty in one call, and the default number of samples."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.hardware import Hardware, load_hardware
from simulator.machine.soc import FIDELITIES
from simulator.replay import Recording, as_trace
from simulator.results.documents import UncertaintyDocument
from simulator.trace.trace import Trace
from simulator.uncertainty.account import account
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import draw

USUAL = 64
"""Default number of samples: three of them lie beyond either end of an interval."""
_MOST_OPERATIONS = 400_000  # a guess: about ten seconds on two cores


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


def usual_count(subjects: Sequence[Subject]) -> int:
    """Return the number of samples unless the user gives one: USUAL for a short comparison, else 0.

    Only a verdict has samples by default; neither a search for placements nor simulating each tile
    does, as these take too long.
    """
    if len(subjects) < 2 or any(each.fidelity != FIDELITIES[0] for each in subjects):
        return 0
    if any(each.hardware.runtime.placement != "rules" for each in subjects):
        return 0
    operations = USUAL * sum(each.operations for each in subjects)
    return USUAL if operations <= _MOST_OPERATIONS else 0


def check_count(samples: int | None) -> None:
    """Raise InputError for a single sample, which has no interval."""
    if samples == 1:
        raise InputError("--samples 1: one sample has no interval: ask for 64, or 0 for none")
