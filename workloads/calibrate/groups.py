"""The groups of benches in a calibration, most important first."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch

from simulator.timing.cores import GRAIN
from workloads.calibrate import benches, products
from workloads.calibrate.measure import Bench, TimedOp, operation, seconds, too_slow
from workloads.calibrate.watch import TimeLimit

ROUNDS = 2
_LEAST = 0.5  # of a group's benches: with fewer the group is left out


@dataclass(frozen=True)
class BenchGroup:
    """Benches of one purpose on so many threads; `dtype` is that of products."""

    name: str
    benches: Sequence[Bench]
    threads: int = 1
    dtype: str = "float32"

    @property
    def title(self) -> str:
        """Its name, with the number of threads if there are several."""
        return self.name if self.threads == 1 else f"{self.name} on {self.threads} threads"


def groups(threads: Sequence[int]) -> list[BenchGroup]:
    """Return the groups for these numbers of threads, which include 1."""
    alone = [*_basic(), *_further()]
    bfloat16 = _products_of("bfloat16")
    together = [count for count in threads if count > 1]
    return [
        *alone,
        *(group for count in together for group in _spread(alone, count)),
        *bfloat16,
        *(group for count in together for group in _spread(bfloat16, count)),
        *_products_of("float16"),
    ]


def _basic() -> list[BenchGroup]:
    return [
        BenchGroup("calls", [benches.tiny()]),
        BenchGroup("bandwidths", benches.streams()),
        BenchGroup("products", products.plain()),
        BenchGroup("convolutions", products.convolutions()),
        BenchGroup("elementwise operations", benches.by_element()),
        BenchGroup("norms, pools, softmax", [*benches.by_row(), *benches.by_image()]),
    ]


def _further() -> list[BenchGroup]:
    return [
        BenchGroup("attention", products.attention()),
        BenchGroup("depthwise convolutions", products.separable()),
        BenchGroup("conversions", benches.conversions()),
    ]


def _spread(alone: list[BenchGroup], threads: int) -> Iterator[BenchGroup]:
    """Yield the groups on several threads, without benches too small for them."""
    for group in alone:
        large = [bench for bench in group.benches if _is_spread(bench)]
        if large:
            yield BenchGroup(group.name, large, threads, group.dtype)


def _is_spread(bench: Bench) -> bool:
    """Return whether PyTorch splits an operation over several threads."""
    with torch.device("meta"):
        operands = bench.operands()
    sizes = [x.numel() for x in operands if isinstance(x, torch.Tensor)]
    return max([bench.macs, *sizes]) > GRAIN


def _products_of(dtype: str) -> list[BenchGroup]:
    kind: torch.dtype = getattr(torch, dtype)
    return [
        BenchGroup(f"{dtype} products", products.plain(kind), 1, dtype),
        BenchGroup(f"{dtype} convolutions", products.convolutions(kind), 1, dtype),
    ]


@dataclass
class Measurements:
    """Samples of each group that was measured, and the titles of those left out."""

    samples: dict[str, list[TimedOp]]
    left_out: list[str]
    spread: float  # of repeats: median over fastest


def turns(plan: Sequence[BenchGroup]) -> int:
    """Return how often benches are timed in all."""
    return ROUNDS * sum(len(group.benches) for group in plan)


def measure(plan: Sequence[BenchGroup], limit: TimeLimit) -> Measurements:
    """Measure the groups in order, then all once more, until the time is over.

    Of the times of a bench, minutes apart, the least counts: the least disturbed.
    """
    times: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    reached: dict[str, int] = {}
    for _ in range(ROUNDS):
        for group in plan:
            with threads_of_torch(group.threads):
                count = _round(group, times[group.title], limit)
            reached.setdefault(group.title, count)
    complete = [g for g in plan if times[g.title] and reached[g.title] >= _LEAST * len(g.benches)]
    repeats = [max(t) / min(t) for own in times.values() for t in own.values() if len(t) > 1]
    return Measurements(
        {group.title: _samples(group, times[group.title]) for group in complete},
        [group.title for group in plan if group not in complete],
        median(repeats) if repeats else 1.0,
    )


def _round(group: BenchGroup, times: dict[int, list[float]], limit: TimeLimit) -> int:
    """Time each bench of a group while there is time; return how many were reached."""
    timed: list[tuple[Bench, float]] = []
    by_size = sorted(enumerate(group.benches), key=lambda pair: pair[1].macs)
    for turn, (index, bench) in enumerate(by_size):
        if limit.over:
            return turn
        if too_slow(bench, timed):
            limit.passed(group.title)
            continue
        took = limit.timed(partial(seconds, bench, limit.clock), group.title, group.threads)
        timed.append((bench, took))
        times[index].append(took)
    return len(by_size)


def _samples(group: BenchGroup, times: dict[int, list[float]]) -> list[TimedOp]:
    return [
        TimedOp(operation(group.benches[index]), round(min(own) * 1e12))
        for index, own in sorted(times.items())
    ]


@contextmanager
def threads_of_torch(count: int) -> Iterator[None]:
    """Let PyTorch use `count` threads inside a block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
