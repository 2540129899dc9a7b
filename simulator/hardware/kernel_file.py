"""Tables of measured kernels as CSV: a header, a row for each kernel, comments after #."""

import csv
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic_core import ErrorDetails

from simulator.errors import InputError, join_names, shown
from simulator.files.forms import Hints, validate
from simulator.files.text import read_text
from simulator.hardware.measured import KernelTime, first_repeat

_COLUMNS = tuple(KernelTime.model_fields)
_NEEDED = tuple(name for name, info in KernelTime.model_fields.items() if info.is_required())
_WHOLE = ("stride", "batch", "m", "n", "k", "elements")


class _TableLine(NamedTuple):
    """Cells of a line, and where it stands: "file.csv: line 3"."""

    where: str
    cells: Sequence[str]


def read_kernels(path: Path) -> list[KernelTime]:
    """Return the kernels in a CSV file. Raises InputError naming file, line, value and fix."""
    lines = list(_lines(path))
    if not lines:
        raise InputError(f"{path}: no table: begin with a header, {', '.join(_COLUMNS)}")
    header, *rows = lines
    columns = [cell.strip() for cell in header.cells]
    _check_header(columns, header.where)
    kernels = [_kernel(columns, row) for row in rows]
    repeat = first_repeat(kernels)
    if repeat:
        earlier, later = (rows[position].where for position in repeat)
        line = earlier.rpartition(": ")[2]
        raise InputError(f"{later}: measures the same kernel as {line}: leave one out")
    return kernels


def _lines(path: Path) -> Iterator[_TableLine]:
    for number, text in enumerate(read_text(path).splitlines(), 1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        where = f"{path.name}: line {number}"
        try:
            (cells,) = csv.reader([text], strict=True)
        except csv.Error as error:
            raise InputError(f"{where}: no CSV ({error}): put text with commas in quotes") from None
        yield _TableLine(where, cells)


def _check_header(columns: Sequence[str], where: str) -> None:
    missing = next((name for name in _NEEDED if name not in columns), None)
    for name in columns:
        if name not in _COLUMNS:
            close = difflib.get_close_matches(name, _COLUMNS, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {join_names(_COLUMNS)}"
            raise InputError(f"{where}: unknown column {shown(name)}; {hint}")
        if columns.count(name) > 1:
            raise InputError(f"{where}: column {name} stands there twice: leave one out")
    if missing:
        raise InputError(f"{where}: no column {missing}: add it")


def _kernel(columns: Sequence[str], line: _TableLine) -> KernelTime:
    if len(line.cells) != len(columns):
        counts = f"{len(line.cells)} cells under {len(columns)} columns"
        raise InputError(f"{line.where}: {counts}: separate cells by commas, empty ones too")
    texts = zip(columns, (cell.strip() for cell in line.cells), strict=True)
    raw = {name: _value(name, text) for name, text in texts if text}
    return validate(KernelTime, raw, line.where, Hints(_no_fix, "fill its cell"))


def _value(name: str, text: str) -> str | int:
    return int(text) if name in _WHOLE and text.isdecimal() and len(text) < 20 else text


def _no_fix(_: ErrorDetails) -> str:
    return "remove it"
