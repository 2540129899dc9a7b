"""Times one operation as a training step meets it: on operands that are not in the first caches,
with results that are kept for a while.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from simulator.trace.op import Op, OpKind, Phase
from workloads.capture.analysis import Analysis
from workloads.capture.recorder import OpRecorder
from workloads.capture.spots import Spot
from workloads.capture.tape import Tape

_IN_TURN = 48 * 2**20  # bytes of operands and results that are used in turn
_COPIES = range(2, 65)
_BUDGET_S = 0.03
_RUNS = range(3, 60)
_SLOW_S = 0.1  # a call that takes longer is timed once, and larger ones of its group are not


@dataclass(frozen=True)
class Bench:
    """One operation: `run` on what `operands` makes; `macs` says how large a product is."""

    operands: Callable[[], tuple[Any, ...]]
    run: Callable[..., Any]
    macs: int = 0


@dataclass(frozen=True)
class TimedOp:
    """An operation as the trace describes it, and how long it took, in ps."""

    op: Op
    ps: int


@dataclass(frozen=True)
class HostClocks:
    """What tells the time, in seconds: on the wall, and of this process on the cores."""

    wall: Callable[[], float] = time.perf_counter
    process: Callable[[], float] = time.process_time


CLOCKS = HostClocks()
"""The clocks of this machine."""


@torch.no_grad()
def seconds(bench: Bench, clock: HostClocks = CLOCKS) -> float:
    """Return the median time of one call; of a slow one, that of its first."""
    first = bench.operands()
    start = clock.wall()
    bench.run(*first)
    once_s = clock.wall() - start
    if once_s > _SLOW_S:
        return once_s
    operands = [first, *(_another(first) for _ in range(_copies(first, once_s) - 1))]
    _pass(bench, operands)
    return median(_timed(lambda: _pass(bench, operands), clock)) / len(operands)


def too_slow(bench: Bench, others: list[tuple[Bench, float]]) -> bool:
    """Return whether the speed of smaller `others`, each with its seconds, foretells a slow call.

    What is no product is never too slow.
    """
    rates = [other.macs / max(s, 1e-9) for other, s in others if 0 < other.macs <= bench.macs]
    return bool(rates) and bench.macs / rates[-1] > _SLOW_S


def _copies(operands: tuple[Any, ...], once_s: float) -> int:
    """Return how many operands are used in turn: more than caches hold, as far as time allows."""
    size = sum(tensor.nbytes for tensor in operands if isinstance(tensor, torch.Tensor))
    count = min(_IN_TURN // max(1, 2 * size), round(_BUDGET_S / max(once_s, 1e-9)))
    return min(max(count, _COPIES[0]), _COPIES[-1])


def _another(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.clone() if isinstance(x, torch.Tensor) else x for x in operands)


def _pass(bench: Bench, operands: list[tuple[Any, ...]]) -> None:
    results = [bench.run(*each) for each in operands]
    del results


def _timed(run: Callable[[], None], clock: HostClocks) -> Iterator[float]:
    """Yield times of `run` until they are enough."""
    total = 0.0
    for count in range(_RUNS[-1]):
        if total > _BUDGET_S and count >= _RUNS[0]:
            return
        start = clock.wall()
        run()
        took = clock.wall() - start
        total += took
        yield took


@torch.no_grad()
def operation(bench: Bench) -> Op:
    """Return what the trace of a bench would say: its one operation that is no view."""
    tape = Tape(lambda _: "")
    recorder = OpRecorder(
        lambda op, args, named, result, _: tape.append(op, args, named, result, 0)
    )
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
