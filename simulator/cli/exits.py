"""How the command line ends: an answer or a sentence on stderr, and an exit code.

0 done, 2 bad input or a machine that cannot do it, 70 a fault of trainsoc, 130 interrupted.
"""

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from simulator.cli.streams import OutputFault, nowhere
from simulator.errors import Infeasible, InputError, Stopped, reason, sentence

TRACEBACK = "TRAINSOC_TRACEBACK"
"""Environment variable: print the traceback of a fault."""

_COMPLETION = "_TRAINSOC_COMPLETE"
_HERE = Path(__file__).resolve().parents[2]
# typer vendors click under a name that differs between its versions.
_UsageError: Any = typer.BadParameter.__bases__[0]


@dataclass(frozen=True)
class Ending:
    """How a command line ends: exit code, and message ("" for none).

    `lines` are the sentences of a message that has several.
    """

    code: int
    message: str
    lines: tuple[str, ...] = ()


def exit_code(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; report a failure in one sentence.

    With --json the sentence is also the object on standard output.
    """
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except BaseException as error:
        ending = _ending(error)
    if ending.message:
        _report(ending, arguments)
    return ending.code


def _run(arguments: Sequence[str]) -> int:
    from simulator.cli import verbs

    completes = _COMPLETION in os.environ  # a shell asks what may follow
    words = () if completes else arguments[:1]
    command = typer.main.get_command(verbs.app_of(*words))
    if completes:
        command(prog_name="trainsoc")
    try:
        with command.make_context("trainsoc", list(arguments)) as context:
            return command.invoke(context) or 0
    except typer.Exit as end:
        return end.exit_code


def _ending(error: BaseException) -> Ending:
    if isinstance(error, Stopped):
        return Ending(130, str(error))
    if isinstance(error, SystemExit):  # of a fork of this process, within a script
        return Ending(error.code if isinstance(error.code, int) else int(bool(error.code)), "")
    if any(isinstance(each, KeyboardInterrupt | typer.Abort) for each in _causes(error)):
        return Ending(130, "interrupted")
    for kind, ending in _ENDINGS.items():
        if isinstance(error, kind):
            return ending(error)
    return Ending(70, _fault(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, then those that it was raised from or during."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _bad_input(error: BaseException) -> Ending:
    return Ending(2, str(error), error.mistakes if isinstance(error, InputError) else ())


def _bad_usage(error: Any) -> Ending:
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.ctx.get_help(), file=sys.stderr)
        return Ending(2, "")
    where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
    return Ending(2, f"{error.format_message()}{where}")


def _output(error: Any) -> Ending:
    """Return the ending if the reader of the output has left, or the disk is full."""
    sys.stdout = nowhere()  # or the interpreter tries again at exit
    if error.errno == errno.EPIPE:
        return Ending(0, "")
    return Ending(2, f"cannot write to standard output: {reason(error)}")


def _system(error: Any) -> Ending:
    name = f"{error.filename}: " if error.filename else ""
    return Ending(2, f"{name}{reason(error)}")


def _memory(_error: BaseException) -> Ending:
    return Ending(2, "out of memory: free some, or use fewer --workers")


_ENDINGS: dict[type[BaseException], Callable[[Any], Ending]] = {
    InputError: _bad_input,
    Infeasible: _bad_input,
    _UsageError: _bad_usage,
    OutputFault: _output,
    OSError: _system,
    MemoryError: _memory,
}


def _fault(error: BaseException) -> str:
    """Return the message for a fault of trainsoc itself."""
    hint = f"please report it with the traceback that {TRACEBACK}=1 shows"
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
        hint = "please report it with the traceback above"
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"a fault of trainsoc{_place(error)}: {what[:100]}; {hint}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_HERE)]
    if not own:
        return ""
    return f" ({Path(own[-1].filename).relative_to(_HERE)}, line {own[-1].lineno})"


def _report(ending: Ending, arguments: Sequence[str]) -> None:
    """Say why; people at a terminal get a line for each mistake, programs one for all."""
    line = sentence(ending.message)
    lines = ending.lines if _is_terminal() else ()
    for each in lines or (line,):
        _write("stderr", f"trainsoc: {each}")
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" in own:
        _write("stdout", json.dumps({"error": line}))


def _is_terminal() -> bool:
    """Return whether people read the errors."""
    return bool(sys.stderr) and not sys.stderr.closed and sys.stderr.isatty()


def _write(stream: str, line: str) -> None:
    """Write a line; drop it if the stream is closed, as the exit code remains."""
    try:
        print(line, file=getattr(sys, stream), flush=True)
    except OSError:
        setattr(sys, stream, nowhere())
