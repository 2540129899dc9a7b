"""What a comparison says on a terminal: phases, op kinds and the whole step, with errors."""

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulator.si import percent, si, si_range

Row = dict[str, Any]


def comparison_report(document: Row) -> Group:
    """Return the table of predicted and measured times."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "count", "measured", "predicted", "error"):
        table.add_column(column, justify="right" if column else "left")
    for key, rows in (("phase", document["phases"]), ("kind", document["kinds"])):
        for row in rows:
            table.add_row(row[key], *_cells(row), end_section=row is rows[-1])
    table.add_row("whole step", *_cells(document["step"]), style="bold")
    head = Text(f"{document['trace']} on {document['hardware']}: predicted against measured")
    notes = [_note(document["step"]), *_sureness(document)]
    return Group(head, table, Text(" ".join(notes), style="dim"))


def _sureness(document: Row) -> list[str]:
    if "samples" not in document:
        return []
    held = percent(document["level"], 1, 0)
    return [
        f"Brackets hold {held} of {document['samples']} samples over the ranges of the machine."
    ]


def _cells(row: Row) -> tuple[str, str, str, str]:
    measured, predicted = si(row["measured_s"], "s"), si(row["predicted_s"], "s")
    if "predicted_low_s" in row:
        ends = row["predicted_low_s"], row["predicted_high_s"]
        predicted = si_range(row["predicted_s"], *ends, "s")
    error = "-" if row["error"] is None else f"{100 * row['error']:+.1f} %"
    return str(row["count"]), measured, predicted, error


def _note(step: Row) -> str:
    if step["measured_is"] == "step":
        return "The whole step was measured where it ran unrecorded; ops where they were recorded."
    return "No step ran unrecorded: the whole is the sum of its ops. Train for more steps."
