"""Output on a terminal besides plain lines: tables and progress bars."""

from typing import Any

from simulator.errors import escaped


def progress(items: Any, total: int, what: str) -> Any:
    """Iterate over `items`, with a progress bar on stderr after a second."""
    import time

    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True, auto_refresh=True) as bar:
        task = bar.add_task(what, total=total, visible=False)
        start = time.monotonic()
        for item in items:
            yield item
            bar.update(task, advance=1, visible=time.monotonic() - start > 1)


NARROW, WIDE = 80, 200
"""Columns of a table where the output is no terminal, and with --wide."""


def table_width(*, wide: bool) -> int:
    """Return how many characters a table may take: those of the terminal, else 80."""
    from rich.console import Console

    if wide:
        return WIDE
    console = Console()
    return console.width if console.is_terminal else NARROW


def print_sentence(text: str) -> None:
    """Print a text in lines as wide as the terminal."""
    import textwrap

    print(textwrap.fill(escaped(text.replace("\N{NO-BREAK SPACE}", " ")), table_width(wide=False)))


def print_table(table: Any, width: int | None = None) -> None:
    """Print a rich table, or any renderable, `width` characters wide, else as wide as a terminal.

    Names of layers are printed literally: no markup, no control characters.
    """
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        """Escapes control characters."""

        def render(self, *arguments: Any, **options: Any) -> Any:
            """Yield the segments of a renderable."""
            for text, style, control in super().render(*arguments, **options):
                lines = text if control else "\n".join(map(escaped, text.split("\n")))
                yield Segment(lines, style, control)

    width = width or table_width(wide=False)
    Plain(highlight=False, markup=False, emoji=False, width=width).print(table)
