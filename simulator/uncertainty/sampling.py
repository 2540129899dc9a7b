"""Drawing samples of a run: what it costs when every uncertain constant lies in its range."""

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
from simulator.uncertainty.draws import drawn
from simulator.uncertainty.replays import Amounts, Answer, Subject, Task, Values, answers

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]

# What prices what is counted and changes neither how long it takes nor where it runs,
# unless placement is searched for (`runtime.placement`).
_PRICES = (PREFIX, "cpu.energy_per_cycle", "cpu.static_power", "cpu.voltage", "technology.")


def draw(
    subjects: Sequence[Subject],
    count: int,
    seed: int = 0,
    progress: Progress | None = None,
    most_processes: int | None = None,
) -> list[Samples]:
    """Return `count` samples of the runs of `subjects`; constants that these share move together.

    Equal arguments give equal samples, whatever the processes. Samples that differ in prices
    alone share one replay. `progress` wraps the loop over replays, for which there are
    `most_processes`, or all cores.
    """
    draws = [drawn(uncertain(each), count, seed) for each in subjects]
    needed = [
        [(which, _timing(subject, values)) for values in draws[which]]
        for which, subject in enumerate(subjects)
    ]
    tasks = {_key(task): task for row in needed for task in row}
    found: Iterable[Answer] = answers(subjects, list(tasks.values()), most_processes)
    if progress is not None:
        found = progress(found, len(tasks), f"drawing {count} samples")
    known = dict(zip(tasks, found, strict=True))
    return [
        _collected(subject, seed, draws[which], [known[_key(task)] for task in needed[which]])
        for which, subject in enumerate(subjects)
    ]


def is_price(path: str) -> bool:
    """Return whether a constant says what things cost, and not what there is of them."""
    return path.startswith(_PRICES)


def uncertain(subject: Subject) -> tuple[Constant, ...]:
    """Return the constants of a machine that are not known exactly, factors of prices last."""
    known = (*subject.hardware.constants, *price_constants(subject.hardware))
    return tuple(each for each in known if each.is_uncertain)


def _settings(values: Values) -> dict[str, int]:
    """Return those of `values` that are settings of the machine, and no factors of prices."""
    return {path: value for path, value in values.items() if not path.startswith(PREFIX)}


def _timing(subject: Subject, values: Values) -> dict[str, int]:
    """Return those of `values` that a replay can depend on."""
    settings = _settings(values)
    if subject.hardware.runtime.placement != "rules":
        return settings
    return {path: value for path, value in settings.items() if not is_price(path)}


def _prices(subject: Subject, values: Values) -> Prices:
    factors = {path: value for path, value in values.items() if path.startswith(PREFIX)}
    return prices_at(subject.at(_settings(values)), factors)


def _key(task: Task) -> tuple[int, tuple[tuple[str, int], ...]]:
    which, values = task
    return which, tuple(values.items())


def _collected(
    subject: Subject, seed: int, draws: Sequence[Values], found: Sequence[Answer]
) -> Samples:
    rows = [
        {} if isinstance(answer, str) else _measures(answer, _prices(subject, values))
        for values, answer in zip(draws, found, strict=True)
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
        dict(Counter(answer for answer in found if isinstance(answer, str))),
    )


def _measures(amounts: Amounts, paid: Prices) -> dict[str, float]:
    return dict(_each_measure(amounts, paid))


def _each_measure(amounts: Amounts, paid: Prices) -> Iterator[tuple[str, float]]:
    for name, (latency_ps, counts) in amounts.items():
        start = f"{name}_" if name else ""
        part = Priced(Tally(latency_ps=latency_ps, counts=counts), paid)
        for each in using(SAMPLED):
            yield f"{start}{each.key}", each.compute(part) or 0.0
