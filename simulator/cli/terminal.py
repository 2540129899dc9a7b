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


def print_table(table: Any) -> None:
    """Print a rich table, or any renderable, at least 150 characters wide.

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

    console = Console(highlight=False)
    wide = console.width if console.is_terminal else 200
    Plain(highlight=False, markup=False, emoji=False, width=max(wide, 150)).print(table)
