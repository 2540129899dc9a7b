"""Runs a user's training script, unchanged, and records it."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

from simulator.errors import InputError
from simulator.trace.trace import Trace
from trainsoc.border import ROOT, Border
from workloads.capture.endings import Guard, Outcome
from workloads.capture.program import Exits, NoModule, PythonProgram, as_main
from workloads.capture.session import Recording, capture
from workloads.capture.stand_ins import NeedsContents


class ScriptFailed(InputError):
    """The user's script raised; `trace` holds the steps completed before, or is None."""

    def __init__(self, message: str, trace: Trace | None) -> None:
        """Report `message`, one sentence, and keep the trace."""
        super().__init__(message)
        self.trace = trace


def capture_script(
    path: str | os.PathLike[str],
    argv: Sequence[str] = (),
    *,
    steps: int | None = None,
    time: bool = False,
    fake: bool = False,
    module: bool = False,
) -> Trace:
    """Run the script at `path` as `python path *argv` would; return the trace of its training,
    or of its evaluation steps if it trains nothing.

    `time` adds the duration of each op. With `module`, `path` is a module's name, run as by `python
    -m`. With `fake` its networks compute shapes and no numbers, while its data stay real; see
    `capture`.

    Raises InputError if there is no such script, if it runs no network, or if with `fake` its
    course depends on numbers; ScriptFailed if it raises or exits with an error.
    """
    program = PythonProgram(os.fspath(path), tuple(argv), module)
    recording = capture(steps=steps, name=program.name, time=time, fake=fake)
    outcome = run_script(program, recording)
    if outcome.failure is not None:
        raise ScriptFailed(outcome.failure, outcome.trace)
    if outcome.trace is None or not (outcome.trained or outcome.evaluated):
        raise InputError(idle(program))
    return outcome.trace


def idle(program: PythonProgram, *, processes: bool = False) -> str:
    """Return the message that `program` ran nothing to record."""
    fix = "capture needs a script that trains a network or runs one"
    if processes:
        fix = "if one of the processes that it ran trains, capture that one's script or module (-m)"
    return f"{program.target} finished without an optimizer step or a call of a network: {fix}"


def run_script(
    program: PythonProgram, recording: Recording, keep: Callable[[Outcome], None] | None = None
) -> Outcome:
    """Run `program` to its end, as Python would in a process of its own, and record it.

    With `keep` the process is the program's: its atexit handlers run, and `keep` gets the outcome
    once, however the process ends (except by SIGKILL and the like); signals cannot interrupt it.
    """
    guard = Guard(program.target, recording, keep)
    exits = Exits()
    with guard.watching():
        with as_main(program), _modules(program), exits.collecting() if keep else nullcontext():
            error = _record(program, recording, guard, exits)
            status, failure = _ending(program, error)
        if guard.copied:
            _end_copy(error, status)
        outcome = Outcome(recording.cut(), status, failure)
        if keep:
            keep(outcome)
    return outcome


@contextmanager
def _modules(program: PythonProgram) -> Iterator[None]:
    own = not program.module and Path(program.target).resolve().is_relative_to(ROOT / "workloads")
    with nullcontext() if own else Border().apart(program.folder):
        yield


def _record(
    program: PythonProgram, recording: Recording, guard: Guard, exits: Exits
) -> BaseException | None:
    """Return what the program raised; a step that was open then is incomplete."""
    error: BaseException | None = None
    try:
        with recording:
            try:
                error = _run(program, recording, exits)
            except KeyboardInterrupt as interrupt:
                error = interrupt
            finally:
                guard.ended = True
            guard.end()
            if error is not None and not isinstance(error, SystemExit):
                raise error
    except BaseException as raised:
        if raised is not error or isinstance(error, NeedsContents | NoModule):
            raise
    return error


def _run(program: PythonProgram, recording: Recording, exits: Exits) -> BaseException | None:
    """Run the program, then what Python runs before a process ends."""
    error = _raised(program.run)
    if not isinstance(error, KeyboardInterrupt):
        error = _raised(recording.wait) or error
    exits.run()
    return error


def _raised(call: Callable[[], None]) -> BaseException | None:
    try:
        call()
    except BaseException as error:
        return error
    return None


def _ending(program: PythonProgram, error: BaseException | None) -> tuple[int, str | None]:
    """Return the exit status, and the failure if there was one."""
    name = program.target
    if error is None:
        return 0, None
    if isinstance(error, SystemExit):
        status = _status(error)
        return status, f"{name} ended with exit status {error.code}" if status else None
    if isinstance(error, KeyboardInterrupt):
        return 130, f"{name} was interrupted"
    if sys.excepthook is not sys.__excepthook__:
        _raised(lambda: sys.excepthook(type(error), error, error.__traceback__))
    return 2, f"{name} failed {_place(error)}: {_one_line(error)}{program.hint(error)}"


def _end_copy(error: BaseException | None, status: int) -> NoReturn:
    """End a fork of the process that reached the end of the script, as Python would."""
    if error is not None and not isinstance(error, SystemExit):
        traceback.print_exception(error)
        status = 1
    sys.exit(status)


def _status(end: SystemExit) -> int:
    """Return the exit status as a shell sees it; print a text, as Python does."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"at line {error.lineno} of {error.filename}"
    file = sys.modules["__main__"].__dict__.get("__file__")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file]
    return f"at line {own[-1].lineno}" if own else "before its first line"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
