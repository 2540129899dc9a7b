"""The order in which points of a sweep take least."""

from collections.abc import Hashable, Iterable, Iterator
from itertools import islice

from simulator.sweeps.job import Job

_MEMORIES = ("scratchpad", "accumulator", "weight_buffer")
_TOGETHER = 512  # points; a guess: more than the memories of one array, few enough to start at once


def is_memory(knob: str) -> bool:
    """Return whether a knob is the size of an accelerator's memory."""
    return knob.rpartition(".")[2] in _MEMORIES


def largest_memories_first(jobs: Iterable[Job]) -> Iterator[Job]:
    """Yield the jobs in order, but designs that differ in memories of accelerators alone together,
    those of the largest first: what is best there is best in smaller ones that hold it.
    """
    source = iter(jobs)
    while some := list(islice(source, _TOGETHER)):
        designs: dict[Hashable, list[Job]] = {}
        for job in some:
            designs.setdefault(_design(job), []).append(job)
        for alike in designs.values():
            yield from sorted(alike, key=_sizes, reverse=True)


def _design(job: Job) -> Hashable:
    """Return what a point has but for memories of accelerators."""
    point = job.point
    settings = [each for each in point.settings.items() if not is_memory(each[0])]
    return tuple(settings), tuple(point.labels.items()), point.baseline


def _sizes(job: Job) -> list[float]:
    knobs = [knob for knob in job.point.settings if is_memory(knob)]
    sizes = [job.columns.get(knob) for knob in knobs]
    return [size if isinstance(size, int | float) else 0 for size in sizes]
