"""The command line as tests call it: in their own process, or in one of its own.

Starting an interpreter takes longer than most verbs. `test_cli` checks that both answer alike.
"""

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from simulator.cli.exits import exit_code

ROOT = Path(__file__).parents[1]


class Answer(NamedTuple):
    """Exit code and output of a command line."""

    returncode: int
    stdout: str
    stderr: str


def trainsoc(*arguments: object, cwd: Path = ROOT) -> Answer:
    """Run `trainsoc *arguments` in the folder `cwd`."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd),
        _handlers_kept(),
    ):
        code = exit_code([*map(str, arguments)])
    return Answer(code, out.getvalue(), err.getvalue())


def process(*arguments: object, cwd: Path = ROOT) -> Answer:
    """Run `trainsoc *arguments` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "simulator.cli", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Restore the signal handlers that a sweep replaces while it runs."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
