"""Standard output and error, also of a process that was started without them."""

import io
import os
import sys
import threading
from typing import Any, TextIO


class OutputFault(OSError):
    """Standard output cannot be written."""


def prepare() -> None:
    """Replace standard output by a stream that raises OutputFault; open closed descriptors.

    Otherwise the first file that is opened would get the descriptor of a closed stream, and its
    text.
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
    """Return a stream to a file descriptor that raises OutputFault."""
    raw = _Output(number, "wb", closefd=False)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=raw.isatty()
    )


def nowhere() -> TextIO:
    """Return a stream that discards its text."""
    return open(os.devnull, "w", encoding="utf-8")


class _Output(io.FileIO):
    def write(self, data: Any) -> int:
        """Write bytes; raises OutputFault."""
        try:
            return super().write(data)
        except OSError as error:
            raise OutputFault(error.errno, error.strerror) from None


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Raise an interrupt again that Python dropped in one of its callbacks, shortly after."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        import _thread

        threading.Timer(0.02, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)
