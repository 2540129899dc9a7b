"""Standard output and error of a process that may have been started without them."""

import io
import os
import sys
import threading
from typing import Any, TextIO


class OutputFault(OSError):
    """Standard output takes no more text."""


def prepare() -> None:
    """Let the faults of standard output be told apart, also where it was closed from the start.

    A closed one is filled, or the first file that is opened would take its place and its text.
    """
    for number, way in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, way)
    sys.stdout = standard_output(1)
    if sys.stderr is None:
        sys.stderr = nowhere()
    sys.unraisablehook = _unraisable


def standard_output(number: int) -> TextIO:
    """Return the stream of a file descriptor whose faults are OutputFault."""
    raw = _Output(number, "wb", closefd=False)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=raw.isatty()
    )


def nowhere() -> TextIO:
    """Return a stream that drops its text."""
    return open(os.devnull, "w", encoding="utf-8")


class _Output(io.FileIO):
    def write(self, data: Any) -> int:
        """Write bytes; raises OutputFault."""
        try:
            return super().write(data)
        except OSError as error:
            raise OutputFault(error.errno, error.strerror) from None


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """Raise an interrupt again, shortly after, that Python dropped in a callback of its own."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        import _thread

        threading.Timer(0.02, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(lost)
