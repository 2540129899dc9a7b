"""A grid of designs: axes of settings, and the combinations of them that meet conditions."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError, shown
from simulator.sweeps.axis import Axis, is_label
from simulator.sweeps.condition import holding

if TYPE_CHECKING:
    import polars

LARGEST_GRID = 1_000_000


@dataclass(frozen=True)
class Point:
    """One design: the settings that make its hardware, and which training runs on it.

    `labels` are among "trace", "method", "batch" and "model.depth"; `baseline` names a SoC
    outside of the space.
    """

    settings: Mapping[str, str]
    labels: Mapping[str, str]
    baseline: str = ""


class Grid(ABC):
    """Every combination of the choices of `axes` that meets all `conditions`."""

    axes: tuple[Axis, ...]
    conditions: tuple[str, ...]

    @property
    def knobs(self) -> tuple[str, ...]:
        """The columns that tell points apart."""
        return tuple(key for axis in self.axes for key in axis.keys)

    @property
    def size(self) -> int:
        """How many combinations there are, before conditions."""
        return prod(len(axis.choices) for axis in self.axes)

    def point(self, number: int) -> Point:
        """Return combination `number`, from 0; the last axis varies fastest."""
        return self.at(self.indices(number))

    def indices(self, number: int) -> tuple[int, ...]:
        """Return which choice of every axis combination `number` has."""
        indices = []
        for axis in reversed(self.axes):
            number, index = divmod(number, len(axis.choices))
            indices.append(index)
        return tuple(reversed(indices))

    def number(self, indices: Sequence[int]) -> int:
        """Return the combination with these choices."""
        number = 0
        for axis, index in zip(self.axes, indices, strict=True):
            number = number * len(axis.choices) + index
        return number

    def at(self, indices: Sequence[int]) -> Point:
        """Return the combination with these choices, one index per axis."""
        texts: dict[str, str] = {}
        for axis, index in zip(self.axes, indices, strict=True):
            texts.update(zip(axis.keys, axis.choices[index], strict=True))
        labels = {key: texts.pop(key) for key in [*texts] if is_label(key)}
        return Point(texts, labels)

    @cached_property
    def values(self) -> tuple[tuple[tuple[Any, ...], ...], ...]:
        """The plain value of every key in every choice of every axis: 65536 for "64 KiB".

        Raises InputError for a value that is wrong whatever the other axes say.
        """
        plain = tuple(
            tuple(self._plain(which, index) for index in range(len(axis.choices)))
            for which, axis in enumerate(self.axes)
        )
        for axis, values in zip(self.axes, plain, strict=True):
            _check_different(axis, values)
        return plain

    def table(self, numbers: Sequence[int]) -> "polars.DataFrame":
        """Return the plain values of the knobs of these combinations, a row for each."""
        import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

        chosen = list(zip(*map(self.indices, numbers), strict=True)) or [()] * len(self.axes)
        columns = {}
        for axis, values, indices in zip(self.axes, self.values, chosen, strict=True):
            for position, key in enumerate(axis.keys):
                columns[key] = [values[index][position] for index in indices]
        return pl.DataFrame(columns, strict=False) if columns else pl.DataFrame({"number": numbers})

    def allowed(self) -> list[int]:
        """Return the combinations that meet all conditions, in order.

        Raises InputError for a grid too large to list, and naming conditions that contradict.
        """
        if self.size > LARGEST_GRID:
            raise InputError(
                f"the grid has {self.size:,} points: name fewer values, or look for the best "
                "with --search 200"
            )
        left = self.meeting(range(self.size))
        if not left:
            raise self.empty()
        return left

    def meeting(self, numbers: Sequence[int]) -> list[int]:
        """Return those of these combinations that meet all conditions."""
        return self._meeting(numbers, self.conditions)

    @property
    def fixed(self) -> Mapping[str, Any]:
        """What conditions may name beside the axes."""
        return {}

    def fits(self, _number: int) -> bool:
        """Return whether a combination can run at all, as far as is known before."""
        return True

    def _meeting(self, numbers: Sequence[int], conditions: Sequence[str]) -> list[int]:
        return chosen(numbers, holding(self.table(numbers), conditions, self.fixed))

    @abstractmethod
    def _plain(self, which: int, index: int) -> tuple[Any, ...]:
        """Return the plain values of one choice of one axis. Raises InputError for a wrong one."""

    def empty(self) -> InputError:
        """Return which conditions no point meets together, as few of them as are enough.

        In a space too large to list, a search has only tried many points.
        """
        for count in (1, 2) if self.size <= LARGEST_GRID else ():
            for texts in combinations(self.conditions, count):
                if not self._meeting(range(self.size), texts):
                    return _none_meets("no point of the space", texts)
        points = "no point of the space" if self.size <= LARGEST_GRID else "no point tried"
        return _none_meets(points, self.conditions)


def _none_meets(points: str, texts: Sequence[str]) -> InputError:
    conditions = " and ".join(shown(text, 80) for text in texts)
    if len(texts) == 1:
        return InputError(f"{points} meets {conditions}: change it, or the values")
    if len(texts) == 2:
        return InputError(f"{points} meets both {conditions}")
    return InputError(f"{points} meets {conditions} together")


def chosen(numbers: Sequence[int], mask: Iterable[bool]) -> list[int]:
    """Return those of `numbers` for which `mask` holds."""
    return [number for number, holds in zip(numbers, mask, strict=True) if holds]


def _check_different(axis: Axis, values: Sequence[tuple[Any, ...]]) -> None:
    """Raise InputError where an axis writes one value in two ways, "64 KiB" and "65536 B"."""
    texts: dict[tuple[Any, ...], str] = {}
    for choice, plain in zip(axis.choices, values, strict=True):
        text = " ".join(choice)
        if plain in texts:
            raise InputError(f"axis {axis.name}: {texts[plain]} and {text} are the same value")
        texts[plain] = text
