"""How a step ran: its sections, from which times, sums and rows follow."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from simulator.activity import Span, StepRun
from simulator.lowering.program import LoweredStep
from simulator.timing.shares import WHOLE


class SectionRun(NamedTuple):
    """Several tasks that met, from their start: spans, what is charged to each, the duration."""

    spans: tuple[Span, ...]
    attributed_ps: tuple[int, ...]
    duration_ps: int


@dataclass(frozen=True)
class SectionedRun:
    """A step that ran section by section. `shared`: how its sections with several tasks ran.

    Sums need no more. Tasks and spans are built when someone asks for them.
    """

    lowered: LoweredStep
    shared: tuple[SectionRun, ...]

    @cached_property
    def alone_ps(self) -> tuple[int, ...]:
        """How long each work takes with the memory to itself, by number."""
        return tuple([work.progress.duration_ps(WHOLE) for work in self.lowered.works])

    @property
    def duration_ps(self) -> int:
        """The time from the first start to the last end."""
        alone = (times * self.alone_ps[number] for number, times in self.lowered.program.alone)
        return sum(alone) + sum(section.duration_ps for section in self.shared)

    @cached_property
    def whole(self) -> StepRun:
        """The step task by task."""
        spans: list[Span] = []
        attributed: list[int] = []
        now = 0
        for section in self._sections():
            spans += [Span(now + begin, now + end) for begin, end in section.spans]
            attributed += section.attributed_ps
            now += section.duration_ps
        return StepRun(self.lowered.tasks, tuple(spans), tuple(attributed), now)

    def _sections(self) -> Iterator[SectionRun]:
        """Yield how each section ran, in program order."""
        program, done = self.lowered.program, 0
        for section, run in zip(program.shared, self.shared, strict=True):
            yield from self._alone(done, section.start)
            yield run
            done = section.stop
        yield from self._alone(done, len(program.tasks))

    def _alone(self, start: int, stop: int) -> Iterator[SectionRun]:
        """Yield how tasks from `start` to before `stop` ran, each of them alone."""
        for number in self.lowered.program.numbers[start:stop]:
            took_ps = self.alone_ps[number]
            yield SectionRun((Span(0, took_ps),), (took_ps,), took_ps)
