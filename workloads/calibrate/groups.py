"""What a calibration measures, in groups, the most important first."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch

from simulator.timing.cores import GRAIN
from workloads.calibrate import benches, products
from workloads.calibrate.measure import Bench, Sample, operation, seconds, too_slow
from workloads.calibrate.watch import ThreadListener

ROUNDS = 2
_LEAST = 0.5  # of a group's benches, for what they say to be taken


@dataclass(frozen=True)
class Group:
    """Benches of one purpose that run on so many threads; `dtype` is that of products."""

    name: str
    benches: Sequence[Bench]
    threads: int = 1
    dtype: str = "float32"

    @property
    def title(self) -> str:
        """Its name, and how many threads if there are several."""
        return self.name if self.threads == 1 else f"{self.name} on {self.threads} threads"


def groups(threads: Sequence[int]) -> list[Group]:
    """Return what is measured for these numbers of threads, of which 1 is one."""
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


def _basic() -> list[Group]:
    return [
        Group("calls", [benches.tiny()]),
        Group("bandwidths", benches.streams()),
        Group("products", products.plain()),
        Group("convolutions", products.convolutions()),
        Group("elementwise operations", benches.by_element()),
        Group("norms, pools, softmax", [*benches.by_row(), *benches.by_image()]),
    ]


def _further() -> list[Group]:
    return [
        Group("attention", products.attention()),
        Group("depthwise convolutions", products.separable()),
        Group("conversions", benches.conversions()),
    ]


def _spread(alone: list[Group], threads: int) -> Iterator[Group]:
    """Yield the groups on several threads, without what is too small for them."""
    for group in alone:
        large = [bench for bench in group.benches if _is_spread(bench)]
        if large:
            yield Group(group.name, large, threads, group.dtype)


def _is_spread(bench: Bench) -> bool:
    """Return whether PyTorch gives an operation to several threads."""
    with torch.device("meta"):
        operands = bench.operands()
    sizes = [x.numel() for x in operands if isinstance(x, torch.Tensor)]
    return max([bench.macs, *sizes]) > GRAIN


def _products_of(dtype: str) -> list[Group]:
    kind: torch.dtype = getattr(torch, dtype)
    return [
        Group(f"{dtype} products", products.plain(kind), 1, dtype),
        Group(f"{dtype} convolutions", products.convolutions(kind), 1, dtype),
    ]


@dataclass
class Measured:
    """Samples of every group that was measured, and what there was no time for."""

    samples: dict[str, list[Sample]]
    left_out: list[str]
    spread: float  # of repeats: how much slower a usual one is than the fastest


def turns(plan: Sequence[Group]) -> int:
    """Return how many times a bench is timed in all."""
    return ROUNDS * sum(len(group.benches) for group in plan)


def measured(plan: Sequence[Group], watch: ThreadListener) -> Measured:
    """Measure the groups in order, then all of them once more, until no time is left.

    Of several times of a bench, minutes apart, the least disturbed counts.
    """
    times: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    reached: dict[str, int] = {}
    for _ in range(ROUNDS):
        for group in plan:
            with threads_of_torch(group.threads):
                count = _round(group, times[group.title], watch)
            reached.setdefault(group.title, count)
    known = [g for g in plan if times[g.title] and reached[g.title] >= _LEAST * len(g.benches)]
    repeats = [max(t) / min(t) for own in times.values() for t in own.values() if len(t) > 1]
    return Measured(
        {group.title: _samples(group, times[group.title]) for group in known},
        [group.title for group in plan if group not in known],
        median(repeats) if repeats else 1.0,
    )


def _round(group: Group, times: dict[int, list[float]], watch: ThreadListener) -> int:
    """Time each bench of a group while there is time; return how many had their turn."""
    known: list[tuple[Bench, float]] = []
    by_size = sorted(enumerate(group.benches), key=lambda pair: pair[1].macs)
    for turn, (index, bench) in enumerate(by_size):
        if watch.over:
            return turn
        if too_slow(bench, known):
            watch.passed(group.title)
            continue
        took = watch.timed(partial(seconds, bench, watch.clock), group.title, group.threads)
        known.append((bench, took))
        times[index].append(took)
    return len(by_size)


def _samples(group: Group, times: dict[int, list[float]]) -> list[Sample]:
    return [
        Sample(operation(group.benches[index]), round(min(found) * 1e12))
        for index, found in sorted(times.items())
    ]


@contextmanager
def threads_of_torch(count: int) -> Iterator[None]:
    """Let PyTorch use so many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
