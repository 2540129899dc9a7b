"""A small table as HTML, which notebooks show in place of a one-line representation."""

from collections.abc import Iterable, Sequence
from html import escape

MOST = 50
"""Rows that a notebook shows; a line below says how many more there are."""


def html_table(headline: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a headline and a table of texts, all of them escaped; without `columns` no head."""
    lines = list(rows)
    head = f"<thead>{_row('th', columns)}</thead>" if columns else ""
    body = "".join(_row("td", line) for line in lines[:MOST])
    more = f"<p>and {len(lines) - MOST} more</p>" if len(lines) > MOST else ""
    return f"<p><b>{escape(headline)}</b></p><table>{head}<tbody>{body}</tbody></table>{more}"


def _row(tag: str, cells: Iterable[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
