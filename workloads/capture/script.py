"""Runs a user's training script, unchanged, while it is recorded."""

import os
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from simulator.errors import InputError
from simulator.trace.trace import Trace
from workloads.capture.session import Recording, capture
from workloads.capture.stand_ins import NeedsContents


class ScriptFailed(InputError):
    """The user's script raised; `trace` holds the steps it had completed, or is None."""

    def __init__(self, message: str, trace: Trace | None) -> None:
        """Report `message`, one sentence, and keep the trace."""
        super().__init__(message)
        self.trace = trace


def capture_script(
    path: str | os.PathLike[str],
    argv: Sequence[str] = (),
    *,
    steps: int = 2,
    time: bool = False,
    fake: bool = False,
) -> Trace:
    """Run the script at `path` as `python path *argv` would, and return the trace of its training,
    with the time of each op if `time` is asked for.

    With `fake` its networks compute shapes and no numbers, while what it does with its data is
    done as ever; see `capture`.

    Raises InputError if there is no such script, if it steps no optimizer, or if with `fake` its
    course depends on numbers; and ScriptFailed if the script raises or exits with an error.
    """
    script = Path(path)
    if not script.is_file():
        raise InputError(f"no script at {script}: check the path")
    recording = capture(steps=steps, name=script.stem, time=time, fake=fake)
    failure = _run(script, argv, recording)
    if failure is not None:
        raise ScriptFailed(failure, _kept(recording))
    if not recording.stepped:
        raise InputError(
            f"{script} finished without an optimizer step: capture needs a script that trains"
        )
    return recording.trace


def _run(script: Path, argv: Sequence[str], recording: Recording) -> str | None:
    """Run the script and return what went wrong, if anything did."""
    try:
        with _as_main(script, argv), recording:
            runpy.run_path(str(script), run_name="__main__")
            recording.wait()
    except SystemExit as end:
        if end.code not in (None, 0):
            return f"{script} ended with exit status {end.code}"
    except KeyboardInterrupt:
        return f"{script} was interrupted"
    except NeedsContents:
        raise
    except Exception as error:
        return f"{script} failed {_place(script, error)}: {_one_line(error)}"
    return None


@contextmanager
def _as_main(script: Path, argv: Sequence[str]) -> Iterator[None]:
    arguments, first = sys.argv, sys.path[0]
    sys.argv = [str(script), *argv]
    sys.path[0] = str(script.resolve().parent)
    try:
        yield
    finally:
        sys.argv = arguments
        sys.path[0] = first


def _place(script: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"at line {error.lineno} of {error.filename}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).resolve() == script.resolve()]
    return f"at line {own[-1].lineno}" if own else "before its first line"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _kept(recording: Recording) -> Trace | None:
    try:
        return recording.trace
    except InputError:
        return None
