"""Runs a public script in a process of its own: as it is, under a FLOP counter, or captured.

Processes are forked from one that has imported PyTorch, since importing it takes longest.
"""

import contextlib
import io
import multiprocessing
import runpy
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.scripts.truths import TRUTHS

PUBLIC = Path(__file__).parent / "public"
_PHASES = {"eval": "forward", "loss": "forward"}  # a person tells no more phases apart than these


@dataclass
class Account:
    """Steps, epochs and FLOPs of a run, and what the trace says went wrong."""

    train: int
    evals: int
    epochs: int
    flops: dict[str, int]
    wrong: dict[str, str] = field(default_factory=dict)


def plain(name):
    """Return what the script prints."""
    return _forked(_run, name)[0]


def counted(name):
    """Return the FLOPs that PyTorch's counter finds in the whole run."""
    return int(_forked(_run_counted, name)[1])


def captured(name, folder):
    """Return what the script prints under capture, and its trace or the error in one line."""
    from simulator.trace.storage import load_trace

    path = Path(folder) / f"{name}.trace"
    printed, error = _forked(_run_captured, name, str(path))
    return printed, error or load_trace(path)


def seen(printed):
    """Return the numbers that the script printed under a name: `tokens 12`, `routed 3 4`."""
    rows = [line.split() for line in printed.splitlines()]
    return {
        first: [int(number) for number in rest]
        for first, *rest in rows
        if first.isidentifier() and rest and all(number.isdigit() for number in rest)
    }


def account(trace):
    """Return the account of a trace, phases as a person tells them apart."""
    from simulator.trace.trace import StepKind

    flops = Counter()
    for phase, count in trace.flops_by_phase().items():
        flops[_PHASES.get(phase, phase)] += count
    wrong = {key: trace.origin[key] for key in ("faults", "lost_ops") if key in trace.origin}
    counts = (trace.count(StepKind.TRAIN), trace.count(StepKind.EVAL), trace.epochs)
    return Account(*counts, dict(flops), wrong)


def right(name, printed):
    """Return the account that is right for the script, of the phases that a person can count."""
    truth, known = TRUTHS[name], seen(printed)
    train, evals = (n(known) if callable(n) else n for n in (truth.train, truth.evals))
    flops = {phase: count for phase, count in truth.flops(known).items() if count}
    return Account(train, evals, truth.epochs, flops)


def comparable(name, found, expected):
    """Return the account that capture found, without phases that nobody counts by hand."""
    if not TRUTHS[name].partial:
        return found
    kept = {phase: found.flops.get(phase, 0) for phase in expected.flops}
    return replace(found, flops=kept)


# Inside the process


def _forked(work, name, *arguments):
    """Run `work` in a process of its own; return what it printed and what it returned."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "sklearn.datasets"])
    mine, others = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(others, work, name, *arguments))
    process.start()
    others.close()
    try:
        answer = mine.recv()
    except EOFError:
        answer = None
    process.join()
    if answer is None:
        raise AssertionError(f"{name} ended with {process.exitcode} and without a word")
    return answer


def _child(pipe, work, name, *arguments):
    import torch

    torch.set_num_threads(1)  # sums of several threads may differ from run to run
    script = str(PUBLIC / f"{name}.py")
    sys.argv = [script]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = work(script, *arguments)
    pipe.send((printed.getvalue(), result))


def _run(script):
    runpy.run_path(script, run_name="__main__")


def _run_counted(script):
    from tests.scripts.counter import FlopCounter

    with FlopCounter() as counter:
        runpy.run_path(script, run_name="__main__")
    return counter.flops


def _run_captured(script, path):
    from simulator.errors import InputError
    from simulator.trace.storage import save_trace
    from workloads.capture import capture_script

    try:
        save_trace(capture_script(script), path)
    except InputError as error:
        return str(error)
    return ""
