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
    """A step that ran section by section. `shared`: how each distinct section of several tasks ran.

    Sums need no more. Tasks and spans are built when someone asks for them.
    """

    lowered: LoweredStep
    shared: tuple[SectionRun, ...]

    @cached_property
    def alone_ps(self) -> tuple[int, ...]:
        """How long each work takes with the memory to itself, by number."""
        alone_ps = [*self.lowered.host.alone_ps]
        for number in self.lowered.program.elsewhere:
            alone_ps[number] = self.lowered.works[number].progress.duration_ps(WHOLE)
        return tuple(alone_ps)

    @property
    def duration_ps(self) -> int:
        """The time from the first start to the last end."""
        alone = (times * self.alone_ps[number] for number, times in self.lowered.program.alone)
        return sum(alone) + sum(section.duration_ps for section in self._in_order)

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
        for section, run in zip(program.order.shared, self._in_order, strict=True):
            yield from self._alone(done, section.start)
            yield run
            done = section.stop
        yield from self._alone(done, len(program.tasks))

    def _alone(self, start: int, stop: int) -> Iterator[SectionRun]:
        """Yield how tasks from `start` to before `stop` ran, each of them alone."""
        for number in self.lowered.program.numbers[start:stop]:
            took_ps = self.alone_ps[number]
            yield SectionRun((Span(0, took_ps),), (took_ps,), took_ps)

    @property
    def _in_order(self) -> list[SectionRun]:
        """How each section with several tasks ran."""
        program = self.lowered.program
        return [self.shared[program.distinct[section]] for section in program.shared]
