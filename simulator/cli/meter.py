"""Progress of long work, on stderr: a bar on a terminal, else a line every ten seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from simulator.si import time_left

if TYPE_CHECKING:
    from rich.console import Console

    from workloads.calibrate.watch import Report

_BETWEEN_LINES_S = 10.0


@contextmanager
def meter(verb: str) -> "Iterator[Report]":
    """Yield a callback that shows the progress of `verb`: a bar on a terminal, else lines."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield plain_lines(verb, sys.stderr, time.monotonic)
        return
    with _bar(console, verb) as report:
        yield report


def plain_lines(verb: str, to: TextIO, now: Callable[[], float]) -> "Report":
    """Return a callback that writes a line at the start, then every ten seconds by the
    clock `now`.
    """
    next_s = now()

    def report(done: int, total: int, what: str, left_s: float) -> None:
        nonlocal next_s
        if now() < next_s:
            return
        next_s = now() + _BETWEEN_LINES_S
        share = 100 * done // max(1, total)
        to.write(f"{verb}: {share} %, {what}, about {time_left(left_s)} left\n")
        to.flush()

    return report


@contextmanager
def _bar(console: "Console", verb: str) -> "Iterator[Report]":
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
        TextColumn("about {task.fields[left]} left"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(verb, left="?")

        def report(done: int, total: int, what: str, left_s: float) -> None:
            about, left = f"{verb}: {what}", time_left(left_s)
            bar.update(task, completed=done, total=total, description=about, left=left)

        yield report
