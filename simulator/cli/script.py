"""Captures a script in this process, which from then on is the script's and ends as it does."""

import os
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from simulator.cli.show import show_trace
from simulator.errors import InputError
from simulator.trace.trace import Trace

if TYPE_CHECKING:
    from workloads.capture.endings import Outcome
    from workloads.capture.program import Program


def tell(origin: dict[str, str]) -> None:
    """Say on stderr what is not as the program was written."""
    from simulator.results.origin import notes

    for note in notes(origin):
        say(note)


def say(sentence: str) -> None:
    """Print a sentence of ours on stderr."""
    print(f"trainsoc: {sentence}", file=sys.stderr, flush=True)


def capture_program(
    program: "Program", out: Path, depth: int, *, time: bool, fake: bool, quiet: bool = False
) -> None:
    """Run `program`, write its trace to `out` and show it, unless `quiet`.

    Raises typer.Exit with the program's exit status if that is not 0, after one sentence.
    """
    from workloads.capture import capture
    from workloads.capture.script import run_script

    recording = capture(steps=depth, name=program.name, time=time, fake=fake)
    keeper = _Keeper(program, out, quiet)
    run_script(program, recording, keeper.keep)
    if keeper.status:
        _leave(keeper.status)


@dataclass
class _Keeper:
    """Saves what a program recorded, and says so."""

    program: "Program"
    out: Path
    quiet: bool
    status: int = 0

    def __post_init__(self) -> None:
        """Remember where `out` is: the program may change the folder."""
        self._place = self.out.absolute()

    def keep(self, outcome: "Outcome") -> None:
        """Save the trace of `outcome`; the exit status is the program's, or 2 if that fails."""
        self.status = outcome.status
        try:
            self._save(self._judged(outcome))
        except InputError as error:
            self.status = self.status or 2
            say(str(error))

    def _judged(self, outcome: "Outcome") -> "Outcome":
        from workloads.capture.script import trains, untrained

        if outcome.failure or trains(outcome.trace):
            return outcome
        return replace(outcome, trace=None, failure=untrained(self.program, outcome.trace))

    def _save(self, outcome: "Outcome") -> None:
        from simulator.trace.storage import rescue_trace

        if outcome.trace is not None:
            rescue_trace(outcome.trace, self._place)
        if outcome.failure:
            kept = f"; what was recorded before it is in {self.out}" if outcome.trace else ""
            raise InputError(f"{outcome.failure}{kept}")
        if outcome.trace is not None:
            tell(outcome.trace.origin)
            self._show(outcome.trace)

    def _show(self, trace: Trace) -> None:
        if not self.quiet:
            show_trace(trace, noted=True)


def _leave(status: int) -> None:
    """End with `status`, without threads of the script that would keep the process alive."""
    mine = threading.main_thread()
    if any(t.is_alive() and not t.daemon and t is not mine for t in threading.enumerate()):
        sys.stdout.flush()
        os._exit(status)
    raise typer.Exit(status)
