"""How accurate networks are, by a table that a user brings; its columns are axes of the sweep."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from simulator.errors import InputError, shown
from simulator.files.text import read_text
from simulator.results.metrics import ACCURACY, ERROR
from simulator.sweeps.condition import column_for
from simulator.views.design_space import Cell


class Accuracies(Protocol):
    """Something that knows how accurate the networks of points are before these run."""

    def of(self, texts: Mapping[str, str]) -> float | None:
        """Return the accuracy of the point with these choices, from 0 to 1; None if unknown."""


@dataclass(frozen=True)
class AccuracyTable:
    """Accuracies from 0 to 1 by the values of the axes `keys`, as text."""

    keys: tuple[str, ...]
    rows: Mapping[tuple[str, ...], float]

    def of(self, texts: Mapping[str, str]) -> float | None:
        """Return the accuracy of the point with these choices; None of one without a row."""
        return self.rows.get(tuple(_plain(texts[key]) for key in self.keys))


def accuracy_columns(accuracy: float | None) -> dict[str, Cell]:
    """Return the columns of a point's accuracy; its error is what objectives make least of."""
    error = None if accuracy is None else 1 - accuracy
    return {ACCURACY.key: accuracy, ERROR.key: error}


def read_accuracies(path: Path, knobs: Sequence[str]) -> AccuracyTable:
    """Return the table in a CSV file with a column `accuracy`, such as 0.97 or "97 %".

    The others are axes of the sweep among `knobs`, whose names may be shortened: depth, width.
    Raises InputError naming file, line and fix.
    """
    header, *lines = list(csv.reader(read_text(path).splitlines())) or [[]]
    names = [name.strip() for name in header]
    if ACCURACY.key not in names or len(set(names)) < len(names) or len(names) < 2:
        raise InputError(f"{path}: its first line must name accuracy and axes, such as width, once")
    at = names.index(ACCURACY.key)
    keys = tuple(_axis(path, name, knobs) for name in names if name != ACCURACY.key)
    rows: dict[tuple[str, ...], float] = {}
    for number, cells in enumerate(lines, start=2):
        if not any(cells):
            continue
        where = f"{path}, line {number}"
        if len(cells) != len(names):
            raise InputError(f"{where}: it has {len(cells)} cells: give {len(names)}")
        key = tuple(_plain(cell) for place, cell in enumerate(cells) if place != at)
        if key in rows:
            raise InputError(f"{where}: {', '.join(key)} is there twice: leave one out")
        rows[key] = _share(where, cells[at].strip())
    return AccuracyTable(keys, rows)


def _axis(path: Path, name: str, knobs: Sequence[str]) -> str:
    try:
        return column_for(name, knobs)
    except InputError:
        raise InputError(
            f"{path}: column {shown(name)} is no axis of this sweep: leave it out, or name one of "
            f"{', '.join(knobs)}"
        ) from None


def _share(where: str, text: str) -> float:
    try:
        value = float(Decimal(text[:-1]) / 100 if text.endswith("%") else Decimal(text))
    except ArithmeticError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"{where}: accuracy {shown(text)}: write it as 0.97 or 97 %")
    return value


def _plain(text: str) -> str:
    """Return the text of a value in the one form that whole numbers have."""
    text = text.strip()
    return str(int(text)) if text.isdecimal() else text
