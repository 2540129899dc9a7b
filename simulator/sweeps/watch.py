"""Progress of a sweep on screen: points done, rate, time left, the best point so far."""

import sys
import time
from typing import Any, Protocol

from simulator.results.metrics import LATENCY, column_of
from simulator.si import digits, si, time_left
from simulator.views.design_space import KnobAxis, PointRow, label_of, named

_SECONDS = {"terminal": 0.2, "notebook": 1.0, "lines": 30.0}


class Watcher(Protocol):
    """An observer of a sweep."""

    def begin(self, total: int) -> None:
        """The sweep has `total` points."""

    def finished(self, row: PointRow | None = None) -> None:
        """One more point is done: in an earlier run, or now, with its row."""

    def say(self, sentence: str) -> None:
        """The user should know this."""

    def end(self) -> None:
        """The sweep has ended."""


class Silent:
    """Says nothing."""

    def begin(self, total: int) -> None:
        """Do nothing."""

    def finished(self, row: PointRow | None = None) -> None:
        """Do nothing."""

    def say(self, sentence: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class Display:
    """Shows a line that changes: in a terminal, in a notebook, or now and then in a log."""

    def __init__(self, objective: str = LATENCY.key) -> None:
        """Show the best point in `objective`, a column to minimise."""
        self._objective = column_of(objective)
        self._place = _place()
        self._total = self._old = self._new = 0
        self._best: PointRow | None = None
        self._start_time = self._shown = time.monotonic()
        self._handle: Any = None

    def begin(self, total: int) -> None:
        """Start the clock."""
        self._total = total
        self._start_time = self._shown = time.monotonic()

    def finished(self, row: PointRow | None = None) -> None:
        """Count a point, and show the line if the last one is old."""
        if row is None:
            self._old += 1
        else:
            self._new += 1
            self._note(row)
        now = time.monotonic()
        if now - self._shown >= _SECONDS[self._place]:
            self._shown = now
            self._show(self.line(now - self._start_time))

    def say(self, sentence: str) -> None:
        """Print a sentence that stays."""
        print(f"trainsoc: {sentence}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Wipe the line."""
        if self._place == "terminal":
            self._show("")
        elif self._place == "notebook" and self._handle is not None:
            self._show(self.line(time.monotonic() - self._start_time))

    def line(self, seconds: float) -> str:
        """Return the progress `seconds` after the start, as one line."""
        done = self._old + self._new
        parts = [f"{done:,} of {self._total:,} points"]
        if self._old:
            parts.append(f"{self._old:,} of them kept from before")
        if self._new and seconds > 0:
            rate = self._new / seconds
            parts.append(f"{digits(rate)} / s, {time_left((self._total - done) / rate)} left")
        if self._best is not None:
            least = si(self._objective.of(self._best), self._objective.unit)
            parts.append(f"least {self._objective.label} {least} at {self._where()}")
        return "; ".join(parts)

    def _note(self, row: PointRow) -> None:
        value = self._objective.get(row)
        if not row["feasible"] or row.get("baseline") or value is None:
            return
        if self._best is None or value < self._objective.of(self._best):
            self._best = row

    def _where(self) -> str:
        row = self._best or {}
        axes = [KnobAxis((key,), label_of(key), ()) for key in row if "." in key]
        return named(row, axes) or str(row.get("trace", ""))

    def _show(self, text: str) -> None:
        if self._place == "terminal":
            width = _width()
            sys.stderr.write("\r\x1b[K" + text[: width - 1])
            sys.stderr.flush()
        elif self._place == "lines":
            print(text, file=sys.stderr, flush=True)
        else:
            self._in_notebook(text)

    def _in_notebook(self, text: str) -> None:
        from IPython.display import display  # noqa: PLC0415 - there where a notebook is

        shown = {"text/plain": text}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)


def _place() -> str:
    """Return where output goes."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        return "notebook"
    return "terminal" if sys.stderr.isatty() else "lines"


def _width() -> int:
    import shutil  # noqa: PLC0415 - for a terminal alone

    return shutil.get_terminal_size((100, 24)).columns
