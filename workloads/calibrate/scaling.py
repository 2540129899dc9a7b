"""How operations scale over cores: the start of threads, and the gain per further one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from simulator.timing.cores import GRAIN
from simulator.trace.accesses import elements_of
from simulator.trace.op import Op
from simulator.units import ceil_div
from workloads.calibrate.measure import TimedOp


@dataclass(frozen=True)
class Pair:
    """An operation on one thread, and its time on several, in ps."""

    alone: TimedOp
    together_ps: int
    threads: int

    @property
    def op(self) -> Op:
        """The operation."""
        return self.alone.op


def pairs(alone: Iterable[TimedOp], spread: Mapping[int, Iterable[TimedOp]]) -> list[Pair]:
    """Return operations measured on one thread and, by their number, on several.

    Operations too small to be split over threads are left out.
    """
    by_key = {_key(sample.op): sample for sample in alone}
    return [
        Pair(by_key[_key(sample.op)], sample.ps, used)
        for threads, samples in spread.items()
        for sample in samples
        if _key(sample.op) in by_key and (used := spread_over(sample.op, threads)) > 1
    ]


def spread_over(op: Op, threads: int) -> int:
    """Return over how many of these threads PyTorch splits an operation."""
    macs = sum(gemm.macs for gemm in op.gemms)
    return max(1, min(threads, ceil_div(macs or elements_of(op), GRAIN)))


def parallel_efficiency(pairs_: Iterable[Pair], fixed_ps: float, start_ps: float) -> float:
    """Return the gain per further thread, from 0 to 1: the median over pairs.

    `fixed_ps` is the part that does not scale, `start_ps` the start of the other threads.
    """
    shares = [_share(pair, fixed_ps, start_ps) for pair in pairs_]
    return median(shares) if shares else 0.0


def start_ps(pairs_: Iterable[Pair], fixed_ps: float, efficiency: float) -> float:
    """Return the time to start and join threads, from operations of little work."""
    least = [pair for pair in pairs_ if elements_of(pair.op) < 2 * GRAIN]
    return max(0.0, median(_beyond(pair, fixed_ps, efficiency) for pair in least)) if least else 0.0


def _share(pair: Pair, fixed_ps: float, start_ps: float) -> float:
    work = max(1.0, pair.alone.ps - fixed_ps)
    left = max(1.0, pair.together_ps - fixed_ps - start_ps)
    return min(1.0, max(0.0, (work / left - 1) / (pair.threads - 1)))


def _beyond(pair: Pair, fixed_ps: float, efficiency: float) -> float:
    speed = 1 + (pair.threads - 1) * efficiency
    return pair.together_ps - fixed_ps - max(0.0, pair.alone.ps - fixed_ps) / speed


def _key(op: Op) -> tuple[object, ...]:
    tensors = (*op.inputs, *op.outputs)
    return op.name, op.gemms, tuple((t.dtype, t.shape, t.strides) for t in tensors)
