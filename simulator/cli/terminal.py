"""What the terminal shows beside plain lines: tables, and progress where someone watches."""

from typing import Any


def progress(items: Any, total: int, what: str) -> Any:
    """Iterate over `items` with a progress bar on stderr, once it has taken a while."""
    import time

    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    with Progress(console=console, transient=True, auto_refresh=True) as bar:
        task = bar.add_task(what, total=total, visible=False)
        start = time.monotonic()
        for item in items:
            yield item
            bar.update(task, advance=1, visible=time.monotonic() - start > 1)


def print_table(table: Any) -> None:
    """Print a rich table, or anything else that rich prints, at least 150 characters wide."""
    from rich.console import Console

    console = Console(highlight=False)
    wide = console.width if console.is_terminal else 200
    Console(highlight=False, width=max(wide, 150)).print(table)
