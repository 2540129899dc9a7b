"""Samples of a run: its cost with each uncertain constant somewhere in its range."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from simulator.energy.factors import PREFIX, price_constants
from simulator.energy.prices import Prices, prices_at
from simulator.hardware.constant import Constant
from simulator.results.metrics import SAMPLED, using
from simulator.results.priced import Priced
from simulator.results.samples import Samples
from simulator.results.tally import Tally
from simulator.uncertainty.draws import draw_values
from simulator.uncertainty.replays import (
    Amounts,
    Answer,
    ConstantValues,
    ReplayTask,
    Subject,
    answers,
)

ProgressBar = Callable[[Iterable[Any], int, str], Iterable[Any]]

# Prices: they change neither times nor placement, unless placement is searched
# (`runtime.placement`).
_PRICES = (PREFIX, "cpu.energy_per_cycle", "cpu.static_power", "cpu.voltage", "technology.")


def draw(
    subjects: Sequence[Subject],
    count: int,
    seed: int = 0,
    progress: ProgressBar | None = None,
    most_processes: int | None = None,
) -> list[Samples]:
    """Return `count` samples of each subject's run; constants that the subjects share move
    together.

    Equal arguments give equal samples, whatever the processes. Samples that differ only in prices
    share a replay. `progress` wraps the loop over replays, which run in at most `most_processes`,
    by default one per core.
    """
    draws = [draw_values(uncertain(each), count, seed) for each in subjects]
    needed = [
        [(which, _timing(subject, values)) for values in draws[which]]
        for which, subject in enumerate(subjects)
    ]
    tasks = {_key(task): task for row in needed for task in row}
    results: Iterable[Answer] = answers(subjects, list(tasks.values()), most_processes)
    if progress is not None:
        results = progress(results, len(tasks), f"drawing {count} samples")
    answer_of = dict(zip(tasks, results, strict=True))
    return [
        _samples_of(subject, seed, draws[which], [answer_of[_key(task)] for task in needed[which]])
        for which, subject in enumerate(subjects)
    ]


def is_price(path: str) -> bool:
    """Return whether a constant is a price, rather than a property that is priced."""
    return path.startswith(_PRICES)


def uncertain(subject: Subject) -> tuple[Constant, ...]:
    """Return the constants of a machine that have a range, then its uncertain price factors."""
    constants = (*subject.hardware.constants, *price_constants(subject.hardware, subject.boundary))
    return tuple(each for each in constants if each.is_uncertain)


def _settings(values: ConstantValues) -> dict[str, int]:
    """Return the `values` that are settings of the machine, without price factors."""
    return {path: value for path, value in values.items() if not path.startswith(PREFIX)}


def _timing(subject: Subject, values: ConstantValues) -> dict[str, int]:
    """Return the `values` that a replay depends on."""
    settings = _settings(values)
    if subject.hardware.runtime.placement != "rules":
        return settings
    return {path: value for path, value in settings.items() if not is_price(path)}


def _prices(subject: Subject, values: ConstantValues) -> Prices:
    factors = {path: value for path, value in values.items() if path.startswith(PREFIX)}
    return prices_at(subject.at(_settings(values)), factors, subject.boundary)


def _key(task: ReplayTask) -> tuple[int, tuple[tuple[str, int], ...]]:
    which, values = task
    return which, tuple(values.items())


def _samples_of(
    subject: Subject, seed: int, draws: Sequence[ConstantValues], answers_: Sequence[Answer]
) -> Samples:
    rows = [
        {} if isinstance(answer, str) else _measures(answer, _prices(subject, values))
        for values, answer in zip(draws, answers_, strict=True)
    ]
    keys = dict.fromkeys(key for row in rows for key in row)
    constants = uncertain(subject)
    return Samples(
        subject.hardware.name,
        seed,
        constants,
        {each.path: tuple(values[each.path] for values in draws) for each in constants},
        {key: tuple(row.get(key, math.nan) for row in rows) for key in keys},
        len(draws),
        dict(Counter(answer for answer in answers_ if isinstance(answer, str))),
    )


def _measures(amounts: Amounts, prices: Prices) -> dict[str, float]:
    return dict(_each_measure(amounts, prices))


def _each_measure(amounts: Amounts, prices: Prices) -> Iterator[tuple[str, float]]:
    for name, (latency_ps, counts, states) in amounts.items():
        start = f"{name}_" if name else ""
        part = Priced(Tally(latency_ps=latency_ps, counts=counts, states=states), prices)
        for each in using(SAMPLED):
            yield f"{start}{each.key}", each.compute(part) or 0.0
