"""Times one operation as in a training step: operands outside the first caches, results
kept alive.
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

_IN_TURN = 48 * 2**20  # bytes of operands and results used in turn
_COPIES = range(2, 65)
_BUDGET_S = 0.03
_RUNS = range(3, 60)
_SLOW_S = 0.1  # a longer call is timed once, and larger ones of its group not at all


@dataclass(frozen=True)
class Bench:
    """One operation: `run` on the result of `operands`; `macs` is the size of a product."""

    operands: Callable[[], tuple[Any, ...]]
    run: Callable[..., Any]
    macs: int = 0


@dataclass(frozen=True)
class TimedOp:
    """An operation as in a trace, and its time in ps."""

    op: Op
    ps: int


@dataclass(frozen=True)
class HostClocks:
    """Clocks in seconds: of the wall, and of this process on all cores."""

    wall: Callable[[], float] = time.perf_counter
    process: Callable[[], float] = time.process_time


CLOCKS = HostClocks()
"""The clocks of this machine."""


@torch.no_grad()
def seconds(bench: Bench, clock: HostClocks = CLOCKS) -> float:
    """Return the median time of a call; of a slow one, the time of its first call."""
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
    """Return whether the speeds of smaller `others`, each with its seconds, predict a slow call.

    Only products can be too slow.
    """
    rates = [other.macs / max(s, 1e-9) for other, s in others if 0 < other.macs <= bench.macs]
    return bool(rates) and bench.macs / rates[-1] > _SLOW_S


def _copies(operands: tuple[Any, ...], once_s: float) -> int:
    """Return how many operands to use in turn: more than caches hold, if time allows."""
    size = sum(tensor.nbytes for tensor in operands if isinstance(tensor, torch.Tensor))
    count = min(_IN_TURN // max(1, 2 * size), round(_BUDGET_S / max(once_s, 1e-9)))
    return min(max(count, _COPIES[0]), _COPIES[-1])


def _another(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.clone() if isinstance(x, torch.Tensor) else x for x in operands)


def _pass(bench: Bench, operands: list[tuple[Any, ...]]) -> None:
    results = [bench.run(*each) for each in operands]
    del results


def _timed(run: Callable[[], None], clock: HostClocks) -> Iterator[float]:
    """Yield times of `run` until there are enough."""
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
    """Return a bench's one operation that is no view, as in a trace."""
    operands = bench.operands()
    (op,) = (op for op in recorded_ops(lambda: bench.run(*operands)) if op.kind is not OpKind.VIEW)
    return op


def recorded_ops(run: Callable[[], object]) -> list[Op]:
    """Return the operations of `run` as a trace has them."""
    tape = Tape(lambda _: "")
    recorder = OpRecorder(
        lambda op, args, named, result, _: tape.append(op, args, named, result, 0)
    )
    recorder.start()
    try:
        run()
    finally:
        recorder.pause()
    analysis = Analysis(tape, [Spot()], frozenset(), frozenset(), {})
    analysis.run()
    return [
        Op(draft.name, draft.kind, Phase.OTHER, "", draft.inputs, draft.outputs, draft.gemms)
        for draft in analysis.drafts
    ]
