"""A table of numbers that fits a width, or is written as CSV, Markdown or LaTeX."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

_BETWEEN = 3  # characters that a column takes beside its text: padding, and the box's line

TOTAL = "total"
"""The name of the row of a whole run."""


class SheetCell(NamedTuple):
    """A value as people read it and, in its plain unit, as programs do; None: there is none."""

    text: str
    value: float | str | None
    interval: str = ""

    @property
    def whole(self) -> str:
        """The text with its interval, if it has one."""
        return f"{self.text}{self.interval}"


class Heading(NamedTuple):
    """What a column is called in print, and in CSV; those with the highest `spare` go first where
    a width does not suffice, those of 0 never.
    """

    text: str
    key: str
    spare: int = 0


@dataclass(frozen=True)
class Sheet:
    """Rows of cells under headings, the first of each a name."""

    headings: Sequence[Heading]
    rows: Sequence[Sequence[SheetCell]]

    def fitted(self, width: int) -> Group:
        """Return the table with as many columns as fit `width`, and which are left out."""
        left_out: list[int] = []
        while self._width(left_out) > width and (number := self._to_spare(left_out)) is not None:
            left_out.append(number)
        hidden = [self.headings[number].text for number in sorted(left_out)]
        sure = any(cell.interval for row in self.rows for cell in row)
        drops_intervals = sure and self._width(left_out) > width
        table = self._table(left_out, intervals=not drops_intervals)
        hidden += ["intervals"] if drops_intervals else []
        note = [Text(f"--wide also shows {', '.join(hidden)}.", style="dim")] if hidden else []
        return Group(table, *note)

    def _width(self, left_out: Sequence[int]) -> int:
        """Return the width of the table, as rich would measure it in ten times the time."""
        widths = [each for n, each in enumerate(self._widths) if n not in left_out]
        return sum(widths) + _BETWEEN * len(widths) - 1

    @cached_property
    def _widths(self) -> list[int]:
        """The widths of the columns, intervals included."""
        columns = zip(*(_texts(row) for row in self.rows), strict=True)
        texts = list(columns) or [()] * len(self.headings)
        return [
            max(map(cell_len, (heading.text, *column)))
            for heading, column in zip(self.headings, texts, strict=True)
        ]

    def _to_spare(self, left_out: Sequence[int]) -> int | None:
        """Return the next column to leave out: of the sparest the last; None if none is left."""
        numbers = [n for n, h in enumerate(self.headings) if h.spare and n not in left_out]
        return max(numbers, key=lambda n: (self.headings[n].spare, n), default=None)

    def _table(self, left_out: Sequence[int], *, intervals: bool = True) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        numbers = [n for n in range(len(self.headings)) if n not in left_out]
        for number in numbers:
            text = self.headings[number].text
            if number:
                table.add_column(text, justify="right")
            else:
                table.add_column(text, no_wrap=True)
        for index, row in enumerate(self.rows):
            style = "bold" if row[0].text == TOTAL else ""
            ends = index + 2 == len(self.rows) and self.rows[-1][0].text == TOTAL
            texts = (row[n].whole if intervals else row[n].text for n in numbers)
            table.add_row(*texts, style=style, end_section=ends)
        return table


def as_csv(sheet: Sheet) -> str:
    """Return all columns as CSV, values in plain units, which the names of columns end in."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading.key for heading in sheet.headings)
    writer.writerows(_plain(row) for row in sheet.rows)
    return text.getvalue()


def _plain(row: Iterable[SheetCell]) -> list[float | str]:
    return ["" if cell.value is None else cell.value for cell in row]


def as_markdown(sheet: Sheet) -> str:
    """Return all columns as a table of Markdown."""
    ruler = ["---", *("---:" for _ in sheet.headings[1:])]
    rows = [[heading.text for heading in sheet.headings], ruler, *map(_texts, sheet.rows)]
    return "".join("| " + " | ".join(map(_escaped_bar, row)) + " |\n" for row in rows)


def as_latex(sheet: Sheet) -> str:
    """Return all columns as a tabular of LaTeX, with the rules of the package booktabs."""
    head = _latex_row([heading.text for heading in sheet.headings])
    body = "".join(_latex_row(_texts(row)) for row in sheet.rows)
    columns = "l" + "r" * (len(sheet.headings) - 1)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\\midrule\n{body}\\bottomrule\n"
        "\\end{tabular}\n"
    )


def _texts(row: Iterable[SheetCell]) -> list[str]:
    return [cell.whole for cell in row]


def _escaped_bar(text: str) -> str:
    return text.replace("|", "\\|")


def _latex_row(texts: Iterable[str]) -> str:
    return " & ".join(text.translate(_LATEX) for text in texts) + " \\\\\n"


_LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
    }
)

FORMATS: Mapping[str, Callable[[Sheet], str]] = {
    "csv": as_csv,
    "md": as_markdown,
    "latex": as_latex,
}
"""The ways to write a sheet for other programs, by name."""
