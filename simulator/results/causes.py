"""What the time of a step is made of: the critical path by cause."""

from collections.abc import Iterator
from typing import NamedTuple

from simulator.activity import StepRun, Work
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.results.tally import contention_ps
from simulator.stages import DISPATCH, LAUNCHES, STAGE_FACTS
from simulator.timing.shares import WHOLE

CONTENTION = "contention for the memory"
_SPOKEN = {HOST: "CPU", ACCELERATOR: "array"}


def arithmetic(unit: str) -> str:
    """Return the name of the cause that is the arithmetic of a unit."""
    return f"{_SPOKEN.get(unit, unit)} arithmetic"


def memory_traffic(unit: str) -> str:
    """Return the name of the cause that is traffic which the arithmetic of a unit does not hide."""
    return f"{_SPOKEN.get(unit, unit)} memory traffic"


class Cause(NamedTuple):
    """A reason for which a step takes time, and the picoseconds of the critical path for it."""

    name: str
    time_ps: int


def causes(run: StepRun) -> tuple[Cause, ...]:
    """Return the time of a step by cause, the most first; the parts add up to it exactly.

    What an op itself takes falls into its dispatch, its arithmetic, and the memory traffic that
    arithmetic does not hide. What serves an op, such as a conversion, is a cause as a whole. What
    either takes longer because others use the memory is contention.
    """
    sums: dict[str, int] = {}
    for task, span, charged_ps in zip(run.tasks, run.spans, run.attributed_ps, strict=True):
        if charged_ps:
            for name, time_ps in cause_parts(task.work, span.end_ps - span.start_ps):
                sums[name] = sums.get(name, 0) + time_ps
    ranked = sorted(sums.items(), key=lambda item: -item[1])
    return tuple(Cause(name, time_ps) for name, time_ps in ranked if time_ps)


def cause_parts(work: Work, took_ps: int) -> Iterator[tuple[str, int]]:
    """Yield what the duration of `work` is made of; all of a task is critical, or nothing."""
    lost_ps = contention_ps(took_ps, work.progress.duration_ps(WHOLE))
    yield CONTENTION, lost_ps
    alone_ps = took_ps - lost_ps
    serves = STAGE_FACTS[work.stage].serves
    if serves:
        yield serves, alone_ps
        return
    overhead_ps = min(work.overhead_ps, alone_ps)
    compute_ps = min(work.compute_ps, alone_ps - overhead_ps)
    yield DISPATCH if work.unit == HOST else LAUNCHES, overhead_ps
    yield arithmetic(work.unit), compute_ps
    yield memory_traffic(work.unit), alone_ps - overhead_ps - compute_ps
