"""Times one operation as a training step meets it: on operands that are not in the first caches,
with results that are kept for a while.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from simulator.trace.op import Op, OpKind, Phase
from workloads.capture.analysis import Analysis
from workloads.capture.recorder import Recorder
from workloads.capture.spots import Spot
from workloads.capture.tape import Tape

_HELD = 48 * 2**20  # bytes of operands and results that are used in turn
_COPIES = range(2, 65)
_BUDGET_S = 0.03
_RUNS = range(5, 60)


@dataclass(frozen=True)
class Bench:
    """One operation: `run` on what `operands` makes, anew for each copy."""

    operands: Callable[[], tuple[Any, ...]]
    run: Callable[..., Any]


@dataclass(frozen=True)
class Sample:
    """An operation as the trace describes it, and how long it took, in ps."""

    op: Op
    ps: int


Progress = Callable[[Iterable[Bench], int, str], Iterable[Bench]]


def samples(benches: list[Bench], what: str, progress: Progress, rounds: int = 2) -> list[Sample]:
    """Return a sample of each bench; of several rounds, minutes apart, the least disturbed."""
    times: list[list[float]] = [[] for _ in benches]
    turns = [bench for _ in range(rounds) for bench in benches]
    for index, bench in enumerate(progress(turns, len(turns), what)):
        times[index % len(benches)].append(seconds(bench))
    pairs = zip(benches, times, strict=True)
    return [Sample(operation(bench), round(min(found) * 1e12)) for bench, found in pairs]


@torch.no_grad()
def seconds(bench: Bench) -> float:
    """Return the median time of one call."""
    first = bench.operands()
    held = sum(tensor.nbytes for tensor in first if isinstance(tensor, torch.Tensor))
    copies = min(max(_HELD // max(1, 2 * held), _COPIES[0]), _COPIES[-1])
    operands = [first, *(bench.operands() for _ in range(copies - 1))]
    _pass(bench, operands)
    found = list(_timed(lambda: _pass(bench, operands)))
    return median(found) / copies


def _pass(bench: Bench, operands: list[tuple[Any, ...]]) -> None:
    kept = [bench.run(*given) for given in operands]
    del kept


def _timed(run: Callable[[], None]) -> Iterator[float]:
    """Yield times of `run` until they are enough."""
    total = 0.0
    for count in range(_RUNS[-1]):
        if total > _BUDGET_S and count >= _RUNS[0]:
            return
        start = time.perf_counter()
        run()
        took = time.perf_counter() - start
        total += took
        yield took


@torch.no_grad()
def operation(bench: Bench) -> Op:
    """Return what the trace of a bench would say: its one operation that is no view."""
    tape = Tape(lambda _: "")
    recorder = Recorder(lambda op, args, named, result, _: tape.append(op, args, named, result, 0))
    operands = bench.operands()
    recorder.start()
    try:
        bench.run(*operands)
    finally:
        recorder.pause()
    analysis = Analysis(tape, [Spot()], frozenset(), frozenset(), {})
    analysis.run()
    (draft,) = (draft for draft in analysis.drafts if draft.kind is not OpKind.VIEW)
    return Op(draft.name, draft.kind, Phase.OTHER, "", draft.inputs, draft.outputs, draft.gemms)
