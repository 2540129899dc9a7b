"""Errors that are published: pinned in a file, compared with, and shown in docs/trust.md.

`tests/reference/accuracy.json` is the one place where they stand, in percent.
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.reference import FOLDER
from tests.validation import Pair, bias, mape

FILE = FOLDER / "accuracy.json"
README = Path(__file__).parents[1] / "README.md"
TRUST = README.parent / "docs" / "trust.md"
PAGE = README.parent / "simulator" / "views" / "page" / "assets" / "validation.csv"
"""The rows that the report page shows, with their figures."""
RELATIVE = 0.02
"""How far an error may move from the pinned one, relative to it."""
LEAST = 0.01
"""How far it may move in any case, in percentage points. An error of 0 stays 0."""

Pins = dict[str, Any]
_INNERMOST = re.compile(r"[\[{][^][{}]+[\]}]")


class Figures(NamedTuple):
    """How many rows there are, their mean error without and with its sign, and the largest one."""

    rows: int
    mean: float
    bias: float
    worst: float

    def differing(self, pinned: "Figures") -> list[str]:
        """Return which figures are not those `pinned`.

        Signed errors cancel: the bias may move by as much as the mean.
        """
        scales = {"mean": pinned.mean, "bias": pinned.mean, "worst": pinned.worst}
        names = [
            name
            for name, scale in scales.items()
            if not is_near(getattr(self, name), getattr(pinned, name), scale)
        ]
        return names if self.rows == pinned.rows else ["rows", *names]

    def cells(self) -> list[str]:
        """Return the figures as a table shows them."""
        if not self.worst:
            return [str(self.rows), "0", "0", "0"]
        signed = f"{self.bias:+.0f} %".replace("+0 %", "0 %").replace("-0 %", "0 %")
        return [str(self.rows), f"{self.mean:.1f} %", signed, f"{self.worst:.0f} %"]


def figures_of(pairs: Sequence[Pair]) -> Figures:
    """Return the errors of rows."""
    worst = max(abs(pair.error) for pair in pairs)
    return Figures(len(pairs), 100 * mape(pairs), 100 * bias(pairs), 100 * worst)


def is_near(error: float, pinned: float, scale: float | None = None) -> bool:
    """Tell whether an error is the pinned one, or moved little beside the size of `scale`."""
    size = abs(pinned if scale is None else scale)
    return abs(error - pinned) <= (max(RELATIVE * size, LEAST) if size else 0)


def read() -> Pins:
    """Return what is pinned."""
    pins: Pins = json.loads(FILE.read_text())
    return pins


def write(pins: Pins) -> None:
    """Pin errors, those of the same rows on one line, so that a diff shows what moved."""
    text = json.dumps(_rounded(pins), indent=1)
    FILE.write_text(_INNERMOST.sub(lambda match: " ".join(match[0].split()), text) + "\n")


def page_rows(pins: Pins) -> list[dict[str, str]]:
    """Return the rows of the report page with the figures that are pinned."""
    with PAGE.open(encoding="utf-8", newline="") as lines:
        return [
            row | _page_figures(pins["rows"][row["name"]]["figures"])
            for row in csv.DictReader(lines)
        ]


def _page_figures(figures: Mapping[str, float]) -> dict[str, str]:
    errors = {key: f"{figures[key]:.1f}" for key in ("mean", "bias", "worst")}
    return {"rows": str(figures["rows"]), **errors}


def write_page_rows(pins: Pins) -> None:
    """Write the pinned figures into the rows of the report page."""
    rows = page_rows(pins)
    with PAGE.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows)]


def with_tables(text: str, tables: Mapping[str, Sequence[str]]) -> str:
    """Return `text` with each table, by the title before it, in the place of the one there."""
    for title, lines in tables.items():
        before, _, after = text.partition(title)
        table = re.compile(r"(?:^\|.*\n)+", re.MULTILINE).search(after)
        assert table, f"{TRUST} has no table behind {title!r}"
        new = "".join(f"{line}\n" for line in lines)
        text = before + title + after[: table.start()] + new + after[table.end() :]
    return text
