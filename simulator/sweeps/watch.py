"""What people see of a sweep while it runs: how far, how fast, how long still, the best so far."""

import sys
import time
from typing import Any, Protocol

from simulator.si import digits, si, time_left
from simulator.sweeps.job import Row
from simulator.views.design_space import Axis, label_of, named

_SECONDS = {"terminal": 0.2, "notebook": 1.0, "lines": 30.0}


class Watcher(Protocol):
    """Is told how a sweep goes."""

    def begin(self, total: int) -> None:
        """So many points are asked for."""

    def found(self, row: Row | None = None) -> None:
        """One more point is there: from an earlier run, or with its row."""

    def say(self, sentence: str) -> None:
        """Something that the user should know happened."""

    def end(self) -> None:
        """No more come."""


class Silent:
    """Says nothing."""

    def begin(self, total: int) -> None:
        """Do nothing."""

    def found(self, row: Row | None = None) -> None:
        """Do nothing."""

    def say(self, sentence: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class Display:
    """Shows a line that changes: in a terminal, in a notebook, or now and then in a log."""

    def __init__(self, objective: str = "latency_s") -> None:
        """Show the best point in `objective`, a column that is small where it is good."""
        self._objective = objective
        self._place = _place()
        self._total = self._kept = self._new = 0
        self._best: Row | None = None
        self._begun = self._shown = time.monotonic()
        self._handle: Any = None

    def begin(self, total: int) -> None:
        """Start the clock."""
        self._total = total
        self._begun = self._shown = time.monotonic()

    def found(self, row: Row | None = None) -> None:
        """Count a point, and show the line if the last one is old."""
        if row is None:
            self._kept += 1
        else:
            self._new += 1
            self._note(row)
        now = time.monotonic()
        if now - self._shown >= _SECONDS[self._place]:
            self._shown = now
            self._show(self.line(now - self._begun))

    def say(self, sentence: str) -> None:
        """Print a sentence that stays."""
        print(f"trainsoc: {sentence}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Wipe the line."""
        if self._place == "terminal":
            self._show("")
        elif self._place == "notebook" and self._handle is not None:
            self._show(self.line(time.monotonic() - self._begun))

    def line(self, seconds: float) -> str:
        """Return what is known `seconds` after the start, as one line."""
        done = self._kept + self._new
        parts = [f"{done:,} of {self._total:,} points"]
        if self._kept:
            parts.append(f"{self._kept:,} of them kept from before")
        if self._new and seconds > 0:
            rate = self._new / seconds
            parts.append(f"{digits(rate)} / s, {time_left((self._total - done) / rate)} left")
        if self._best is not None:
            unit = self._objective.rpartition("_")[2]
            name = self._objective.removesuffix(f"_{unit}")
            parts.append(f"least {name} {si(self._best[self._objective], unit)} at {self._where()}")
        return "; ".join(parts)

    def _note(self, row: Row) -> None:
        value = row.get(self._objective)
        if not row["feasible"] or row.get("baseline") or value is None:
            return
        if self._best is None or value < self._best[self._objective]:
            self._best = row

    def _where(self) -> str:
        row = self._best or {}
        axes = [Axis((key,), label_of(key), ()) for key in row if "." in key]
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
