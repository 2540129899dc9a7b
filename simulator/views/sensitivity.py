"""How much each knob of a design space matters: what changes when it alone moves."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log
from typing import Any

from simulator.views.design_space import PointRow


@dataclass(frozen=True)
class MainEffect:
    """The main effect of a knob on a measure.

    `means` are the geometric means of the measure at each value of the knob, over the same
    `settings` of all other knobs.
    """

    knob: str
    means: Mapping[Any, float]
    settings: int

    @property
    def best(self) -> Any:
        """The value of the knob with the least mean, the first of equals."""
        return min(self.means, key=lambda value: self.means[value])

    @property
    def worst(self) -> Any:
        """The value of the knob with the largest mean."""
        return max(self.means, key=lambda value: self.means[value])

    @property
    def ratio(self) -> float:
        """The largest mean over the least, 1 when the knob changes nothing."""
        return self.means[self.worst] / self.means[self.best]


def main_effect(
    rows: Sequence[PointRow],
    knob: str,
    others: Sequence[str],
    measure: Callable[[PointRow], float | None],
) -> MainEffect | None:
    """Return the main effect of `knob` on `measure`, or None where nothing can be compared.

    Like is compared with like: only settings of the `others` count at which every value of the
    knob is measured, leaving out values of it that are measured nowhere, and a measure that is
    not positive. Where rows repeat a point the last counts. None when fewer than two values
    remain, or when no setting has them all, as in a sample of a large space.
    """
    return _main_effect(_measured(rows, [knob, *others], measure), 0, knob)


def main_effects(
    rows: Sequence[PointRow], knobs: Sequence[str], measure: Callable[[PointRow], float | None]
) -> list[MainEffect]:
    """Return the main effects of all `knobs` that can be compared, the largest ratio first."""
    points = _measured(rows, knobs, measure)
    compared = (_main_effect(points, place, knob) for place, knob in enumerate(knobs))
    effects = [effect for effect in compared if effect is not None]
    return sorted(effects, key=lambda effect: -effect.ratio)


_SettingsPoint = tuple[tuple[Hashable, ...], float]
"""The settings of a point, and its measure."""


def _measured(
    rows: Sequence[PointRow], knobs: Sequence[str], measure: Callable[[PointRow], float | None]
) -> list[_SettingsPoint]:
    values = ((row, measure(row)) for row in rows)
    return [
        (tuple([row[knob] for knob in knobs]), value)
        for row, value in values
        if value is not None and value > 0
    ]


def _main_effect(points: Sequence[_SettingsPoint], place: int, knob: str) -> MainEffect | None:
    """Return the main effect of the knob whose value is at `place` of the settings."""
    blocks: dict[tuple[Hashable, ...], dict[Any, float]] = {}
    values: dict[Any, None] = {}
    for settings, value in points:
        at = settings[place]
        values.setdefault(at)
        blocks.setdefault(settings[:place] + settings[place + 1 :], {})[at] = value
    complete = [block for block in blocks.values() if len(block) == len(values)]
    if len(values) < 2 or not complete:
        return None
    means = {value: _geometric([block[value] for block in complete]) for value in values}
    return MainEffect(knob, means, len(complete))


def _geometric(numbers: Sequence[float]) -> float:
    return exp(fsum(map(log, numbers)) / len(numbers))
