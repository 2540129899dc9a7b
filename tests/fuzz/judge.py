"""Runs a command line in this process, and says what is wrong with the answer."""

import contextlib
import io
import json
import math
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

from simulator.cli.exits import exit_code

SECONDS = 20  # of computing, ten times as long of waiting; an input takes a tenth of a second
LONGEST = 300  # characters of a refusal
PYTHON = re.compile(
    r"KeyError|NoneType|object is not|invalid literal|expected str|Traceback|<class|unhashable|"
    r"not subscriptable|not iterable|has no attribute|\bNone\b|\bdict\b|\btuple\b|codec can't|"
    r"list indices|positional argument|panicked|could not convert|\binstance\b|\bint64\b.*overflow"
)


class Hang(BaseException):
    """An input took longer than SECONDS; no Exception, so that nothing on the way catches it."""


class Answer(NamedTuple):
    """What a command line came back with: an exit code, what it printed, what it raised."""

    code: int
    out: str
    err: str
    fault: str = ""


def answer(argv: list[str]) -> Answer:
    """Run `trainsoc` with these arguments, in this process and under a watchdog."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            _run(argv)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
        return Answer(code, out.getvalue(), err.getvalue())
    except Hang:
        return Answer(-1, out.getvalue(), err.getvalue(), "no answer within the time")
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        told = f"{type(error).__name__} at {place.filename}:{place.lineno}: {error!s:.100}"
        return Answer(-1, out.getvalue(), err.getvalue(), told)
    return Answer(0, out.getvalue(), err.getvalue())


def _run(argv: list[str]) -> None:
    with _arguments(argv), _watchdog():
        sys.exit(exit_code(argv))


def fault(given: Answer, names: str, *, numbers: bool) -> str:
    """Return what is wrong with an answer to a changed input, "" if nothing.

    A refusal is one line that names the file `names`; with `numbers`, an answer is one JSON object
    whose numbers are finite and not negative.
    """
    if given.fault:
        return given.fault
    if given.code not in (0, 2):
        return f"exit code {given.code}: {given.err:.200}"
    if given.code == 0:
        return _nonsense(given.out) if numbers else ""
    return _misworded(given.err, names)


def _misworded(err: str, names: str) -> str:
    lines = err.strip().splitlines()
    if len(lines) != 1:
        return f"{len(lines)} lines of refusal: {err:.200}"
    if len(lines[0]) > LONGEST:
        return f"a refusal of {len(lines[0])} characters: {lines[0]:.200}"
    if names not in lines[0]:
        return f"a refusal that does not name {names}: {lines[0]}"
    if not lines[0].isprintable():
        return f"control characters in a refusal: {lines[0]!r}"
    if found := PYTHON.search(lines[0]):
        return f"Python's words ({found[0]}) in a refusal: {lines[0]}"
    return ""


def _nonsense(out: str) -> str:
    try:
        document = json.loads(out, parse_constant=float)
    except ValueError as error:
        return f"no JSON: {error}"
    wrong = (f"{path} is {value}" for path, value in _numbers(document, "") if not _sane(value))
    return next(wrong, "")


def _sane(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _numbers(inner, f"{path}.{index}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


@contextlib.contextmanager
def _arguments(argv: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, ["trainsoc", *argv]
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        sys.argv = before
        signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _watchdog() -> Iterator[None]:
    def bark(*_: object) -> None:
        raise Hang

    timers = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    before = {sent: signal.signal(sent, bark) for sent in timers}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 10 * SECONDS)
    try:
        yield
    finally:
        for sent, timer in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(sent, before[sent])
