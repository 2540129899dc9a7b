"""Applies the passes of a run: each distinct pair of a step and its passes is rewritten once."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, TypeVar

from simulator.memo import Memo
from simulator.trace.passes.registry import chain_of
from simulator.trace.passes.rewrite import Pass
from simulator.trace.passes.treatment import AS_TRACED, Method, MethodSchedule
from simulator.trace.trace import Segment, Step, Trace

_Item = TypeVar("_Item", bound=Hashable)

# Bounds are guesses: a sweep compares some methods, each with a few distinct steps.
_STEPS: Memo[Step] = Memo("rewritten steps", 64)
_TRACES: Memo[Trace] = Memo("traces without methods", 4)


def scheduled(trace: Trace, schedule: MethodSchedule) -> Trace:
    """Return `trace` trained by a method that changes over its epochs, instead of its own."""
    by_epoch = {segment.epoch: schedule.in_epoch(segment.epoch) for segment in trace.segments}
    numbers = _numbered(by_epoch.values())
    segments = tuple(replace(s, method=numbers[by_epoch[s.epoch]]) for s in trace.segments)
    return replace(trace, segments=segments, methods=tuple(numbers))


def resolved(trace: Trace, machine: Sequence[Pass[Any]] = ()) -> Trace:
    """Return the trace without methods that a machine with these passes runs.

    Every distinct pair of a step and a method becomes a step; without methods steps keep their
    numbers. The passes of the method come first, then those of the machine. An equal trace is
    returned again, so call this for every replay.
    """
    if trace.methods == (AS_TRACED,) and not machine:
        return trace
    origin = tuple(sorted(trace.origin.items()))
    key = (trace.digest, trace.name, origin, _digests(machine))
    return _TRACES.get(key, lambda: _resolve(trace, machine))


def _resolve(trace: Trace, machine: Sequence[Pass[Any]]) -> Trace:
    if trace.methods == (AS_TRACED,):
        rewrites = tuple(rewritten(step, machine) for step in trace.steps)
        return replace(trace, steps=rewrites, timings=())
    chains = [(*chain_of(method.layers), *machine) for method in trace.methods]
    pairs = _numbered((s.step, s.method) for s in trace.segments)
    steps = tuple(rewritten(trace.steps[step], chains[method]) for step, method in pairs)
    segments = tuple(Segment(s.epoch, pairs[s.step, s.method], s.count) for s in trace.segments)
    return replace(trace, steps=steps, segments=segments, timings=(), methods=(AS_TRACED,))


def laid_over(step: Step, method: Method) -> Step:
    """Return `step` as `method` would run it."""
    return rewritten(step, chain_of(method.layers))


def rewritten(step: Step, chain: Sequence[Pass[Any]]) -> Step:
    """Return `step` after these passes, one after the other; an equal step is not rewritten twice.

    Remembered by the digests of the step and of the passes.
    """
    if not chain:
        return step
    key = (step.digest, _digests(chain))
    return _STEPS.get(key, lambda: reduce(lambda done, each: each.apply(done), chain, step))


def _digests(chain: Iterable[Pass[Any]]) -> tuple[str, ...]:
    return tuple(each.digest for each in chain)


def _numbered(items: Iterable[_Item]) -> dict[_Item, int]:
    """Return the distinct items in order of appearance, each with its number from 0."""
    return {item: number for number, item in enumerate(dict.fromkeys(items))}
