"""Captures a script in this process, which is then the script's and ends as the script does."""

import os
import sys
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from simulator.cli.show import show_trace
from simulator.collector import collect_as_usual
from simulator.errors import InputError

if TYPE_CHECKING:
    from simulator.trace.trace import Trace
    from workloads.capture.children import Children
    from workloads.capture.endings import Outcome
    from workloads.capture.program import PythonProgram


def print_notes(origin: dict[str, str]) -> None:
    """Print on stderr where the trace differs from the program as written."""
    from simulator.views.origin import notes

    for note in notes(origin):
        say(note)


def say(sentence: str) -> None:
    """Print one sentence on stderr."""
    print(f"trainsoc: {sentence}", file=sys.stderr, flush=True)


def capture_program(
    program: "PythonProgram", out: Path, depth: int, *, time: bool, fake: bool, quiet: bool = False
) -> None:
    """Run `program`, write its trace to `out` and show it, unless `quiet`.

    Python child processes that train are recorded as well, unless `fake`, into traces beside `out`.
    Raises typer.Exit with the program's exit status if that is not 0, after one sentence.
    """
    from workloads.capture import capture
    from workloads.capture.children import Children
    from workloads.capture.script import run_script

    recording = capture(steps=depth, name=program.name, time=time, fake=fake)
    children = Children(depth, time)
    keeper = _TraceWriter(program, out, children, quiet)
    collect_as_usual()
    with nullcontext() if fake else children.followed():
        run_script(program, recording, keeper.keep)
    if keeper.status:
        _leave(keeper.status)


@dataclass
class _TraceWriter:
    """Saves the traces of a program and its children, and reports them."""

    program: "PythonProgram"
    out: Path
    children: "Children"
    quiet: bool
    status: int = 0

    def __post_init__(self) -> None:
        """Resolve `out` now: the program may change the working directory."""
        self._place = self.out.absolute()

    def keep(self, outcome: "Outcome") -> None:
        """Save all traces; the exit status is the program's, or 2 if saving fails."""
        self.status = outcome.status
        others = self.children.traces(stopped=outcome.status > 128)
        runs = outcome.trained or outcome.failure or (outcome.evaluated and not others)
        own = outcome.trace if runs else None
        traces = [*([own] if own else []), *others]
        try:
            saved = self._save(traces)
            self._judge(outcome, saved)
        except InputError as error:
            self.status = self.status or 2
            say(str(error))
            return
        for trace in traces:
            print_notes(trace.origin)
        if saved[own is not None :]:
            say(f"traces of processes that {self.program.target} started: {_joined(saved)}")
        if not self.quiet:
            show_trace(traces[0], noted=True)

    def _save(self, traces: "list[Trace]") -> list[Path]:
        """Write the first trace to `out`, the others beside it; return their paths."""
        from simulator.trace.storage import rescue_trace

        names = [self.out.name, *(numbered(self.out.name, i) for i in range(1, len(traces)))]
        for trace, name in zip(traces, names, strict=False):
            rescue_trace(trace, self._place.with_name(name))
        return [self.out.with_name(name) for name in names[: len(traces)]]

    def _judge(self, outcome: "Outcome", saved: list[Path]) -> None:
        """Raise InputError if the program failed, or if nothing ran a network."""
        from workloads.capture.script import idle

        if outcome.failure:
            rest = f"; the steps before it are in {_joined(saved)}" if saved else ""
            raise InputError(f"{outcome.failure}{rest}")
        if not saved:
            ran = self.children.ran
            raise InputError(idle(self.program, processes=ran))


def numbered(name: str, number: int) -> str:
    """Return the name of a further trace: run.1.trace for run.trace."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.{number}.{suffix}" if dot and stem else f"{name}.{number}"


def _joined(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))


def _leave(status: int) -> None:
    """Exit with `status`, even if threads of the script are still running."""
    mine = threading.main_thread()
    if any(t.is_alive() and not t.daemon and t is not mine for t in threading.enumerate()):
        sys.stdout.flush()
        os._exit(status)
    raise typer.Exit(status)
