"""Lays a method over a step: the operations and tensors that the method would have run."""

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import TypeVar

from simulator.trace.passes.freeze import without_frozen
from simulator.trace.passes.narrow import narrowed
from simulator.trace.passes.thin import thinned
from simulator.trace.passes.treatment import AS_TRACED, Method, Schedule
from simulator.trace.trace import Segment, Step, Trace

_Item = TypeVar("_Item", bound=Hashable)


def laid_over(step: Step, method: Method) -> Step:
    """Return `step` as `method` would run it."""
    if not method.layers:
        return step
    return narrowed(thinned(without_frozen(step, method), method), method)


def scheduled(trace: Trace, schedule: Schedule) -> Trace:
    """Return `trace` trained by a method that changes over its epochs, instead of its own."""
    by_epoch = {segment.epoch: schedule.in_epoch(segment.epoch) for segment in trace.segments}
    numbers = _numbered(by_epoch.values())
    segments = tuple(replace(s, method=numbers[by_epoch[s.epoch]]) for s in trace.segments)
    return replace(trace, segments=segments, methods=tuple(numbers))


def resolved(trace: Trace) -> Trace:
    """Return a trace without methods: every distinct pair of a step and a method is a step."""
    if trace.methods == (AS_TRACED,):
        return trace
    pairs = _numbered((s.step, s.method) for s in trace.segments)
    steps = tuple(laid_over(trace.steps[step], trace.methods[method]) for step, method in pairs)
    segments = tuple(Segment(s.epoch, pairs[s.step, s.method], s.count) for s in trace.segments)
    return replace(trace, steps=steps, segments=segments, timings=(), methods=(AS_TRACED,))


def _numbered(items: Iterable[_Item]) -> dict[_Item, int]:
    """Return the distinct items in order of appearance, each with its number from 0."""
    return {item: number for number, item in enumerate(dict.fromkeys(items))}
