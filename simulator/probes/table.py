"""The CSV files that probes read and write."""

import csv
import io
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.files.text import read_text
from simulator.files.writing import write_text


def read_rows(path: Path, what: str) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV with their line numbers; `what` they are goes into messages.

    Raises InputError when the file cannot be read, has no rows, or one with missing cells.
    """
    reader = csv.DictReader(read_text(path).splitlines(), skipinitialspace=True)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error:
        raise InputError(f"{path}: line {reader.line_num}: is no row of a table") from None
    for line, row in rows:
        if None in row or None in row.values():
            raise InputError(f"{path}: line {line}: has not as many cells as the header")
    if not rows:
        raise InputError(f"{path}: no {what} below the header")
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of equal columns as CSV, in one piece."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
