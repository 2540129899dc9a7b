"""A row of the tables of errors: what was fitted on one part of it predicts the other.

Errors are in percent where they are told, else relative.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.pins import Figures, Pins, figures_of
from tests.validation import Pair, mape

Part = Callable[[int, Pair], bool]
Pairs = tuple[Pair, ...]


@dataclass(frozen=True)
class Row:
    """A row of a table: what was compared, what was fitted on it, what that predicts elsewhere.

    `refitted` returns the same rows as every candidate for what was fitted predicts them; `parts`
    are the ways to part the rows, by name; `apart` returns those that had no part in the only fit
    that there is. A `slow` row takes many seconds, a `torch` one needs it.
    """

    machine: str
    what: str
    pairs: Callable[[], Pairs]
    fitted: str = "nothing"
    refitted: Callable[[], Iterable[Pairs]] | None = None
    parts: tuple[tuple[str, Part], ...] = ()
    others: str = "-"
    slow: bool = False
    torch: bool = False
    apart: Callable[[Pairs], Pairs] | None = None

    @property
    def name(self) -> str:
        """What tells the row apart."""
        return f"{self.machine}: {self.what}"

    def figures(self) -> Figures:
        """Return the errors that cost no refit."""
        return figures_of(self.pairs())

    @property
    def is_fitted(self) -> bool:
        """Whether there is an error on rows held out."""
        return self.refitted is not None or self.apart is not None

    def held_out(self) -> dict[str, list[float]]:
        """Return the mean errors in percent on rows that had no part in a fit: of each part when
        the other was fitted, by each way to part them.
        """
        if self.apart is not None:
            rest = self.apart(self.pairs())
            return {f"the {len(rest)} others": [100 * mape(rest)]}
        if self.refitted is None:
            return {}
        candidates = list(self.refitted())
        ends = {name: left_out(candidates, part) for name, part in self.parts}
        return {name: [100 * error for error in pair] for name, pair in ends.items()}

    def cells(self, errors: Pins) -> list[str]:
        """Return the row of the table with these `errors`."""
        held_out = "; ".join(
            f"{name} {', '.join(f'{error:.1f}' for error in each)} %"
            for name, each in errors["held_out"].items()
        )
        figures = Figures(**errors["figures"]).cells()
        nothing = "-" if self.fitted == "nothing" else "all"
        return [self.machine, self.what, *figures, self.fitted, held_out or nothing, self.others]


def left_out(candidates: Sequence[Pairs], part: Part) -> tuple[float, float]:
    """Return the mean errors on the rows outside of a part, and inside of it, under the candidate
    whose mean error is least on the others.
    """
    errors = np.array([[abs(pair.error) for pair in pairs] for pairs in candidates])
    inside = np.array([part(i, pair) for i, pair in enumerate(candidates[0])])
    ends = []
    for fitted in (inside, ~inside):
        best = errors[:, fitted].mean(axis=1).argmin()
        ends.append(float(errors[best, ~fitted].mean()))
    return ends[0], ends[1]


def along(base: Pairs, other: Pairs, factors: Iterable[float]) -> Iterable[Pairs]:
    """Yield rows under a constant that is added once: at so many times the way to `other`."""
    for factor in factors:
        yield tuple(
            a._replace(predicted=a.predicted + factor * (b.predicted - a.predicted))
            for a, b in zip(base, other, strict=True)
        )
