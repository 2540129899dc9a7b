"""Devices of a scenario as components: jobs one at a time, or several that share a SoC."""

from collections.abc import Generator, Mapping
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any, NamedTuple, Protocol, cast

from simpy import Environment, Event

from simulator.machine.plan import JobSteps, PlannedDevice
from simulator.machine.probe import Probe
from simulator.machine.soc import Soc


class JobSpan(NamedTuple):
    """When a job ran on a device, and how long each unit of a shared one worked for it."""

    start_ps: int
    end_ps: int
    busy_ps: Mapping[str, int]


class Device(Protocol):
    """Something that runs jobs."""

    def submit(self, program: int, job: JobSteps, priority: int) -> Event:
        """Return the event of the end of a `program`'s job, which is ready now; its value is a
        `JobSpan`. Jobs of one program run one after the other.
        """

    def close(self) -> None:
        """Let go of all that waits."""


def device_in(env: Environment, planned: PlannedDevice) -> Device:
    """Return the component of a device."""
    if planned.sharing is None:
        return OneAtATime(env, planned.slower)
    return SharedSoc(env, Soc(env, sharing=planned.sharing))


class OneAtATime:
    """Runs one job at a time to its end: of those that wait the most urgent next.

    Nothing disturbs a job, so it takes what it takes alone and needs one event.
    """

    def __init__(self, env: Environment, slower: Fraction) -> None:
        """Run in `env`; a job takes `slower` times as long as planned."""
        self._env, self._slower = env, slower
        self._queue: list[tuple[int, int, JobSteps, Event]] = []
        self._order, self._busy = 0, False

    def submit(self, _program: int, job: JobSteps, priority: int) -> Event:
        """Return the event of the end of `job`, which is ready now."""
        self._order += 1
        done = self._env.event()
        heappush(self._queue, (-priority, self._order, job, done))
        if not self._busy:
            self._start()
        return done

    def close(self) -> None:
        """Let go of all that waits."""
        self._queue.clear()

    def _start(self) -> None:
        *_, job, done = heappop(self._queue)
        self._busy = True
        start = int(self._env.now)
        took = job.alone_ps * self._slower.numerator // self._slower.denominator
        end = self._env.timeout(took, (start, done))
        assert end.callbacks is not None, "a new event has callbacks"
        end.callbacks.append(self._end)

    def _end(self, event: Event) -> None:
        start, done = cast(tuple[int, Event], event.value)
        self._busy = False
        done.succeed(JobSpan(start, int(self._env.now), {}))
        if self._queue:
            self._start()


class SharedSoc:
    """Runs jobs on the units of a SoC, task by task, as they meet there."""

    def __init__(self, env: Environment, soc: Soc) -> None:
        """Run on `soc` in `env`."""
        self._env, self._soc = env, soc
        self._latest: dict[int, Event] = {}  # the end of each program's latest job

    def submit(self, program: int, job: JobSteps, priority: int) -> Event:
        """Return the event of the end of a `program`'s job, which is ready now."""
        before = self._latest.get(program)
        end = self._latest[program] = self._env.process(self._run(job, priority, before))
        return end

    def close(self) -> None:
        """Stop the units."""
        self._latest.clear()
        self._soc.close()

    def _run(
        self, job: JobSteps, priority: int, before: Event | None
    ) -> Generator[Event, Any, JobSpan]:
        if before is not None and not before.processed:
            yield before
        start, busy = None, dict[str, int]()
        if job.setup_ps:
            start = int(self._env.now)
            yield self._env.timeout(job.setup_ps)
        for step in job.steps:
            program = step.program
            works = [step.works[number] for number in program.numbers]
            probe = Probe(works)
            yield self._soc.start(works, program.order.follows, probe, priority)
            for work, span in zip(works, probe.spans, strict=True):
                busy[work.unit] = busy.get(work.unit, 0) + span.end_ps - span.start_ps
            if start is None:
                start = min((span.start_ps for span in probe.spans), default=int(self._env.now))
        now = int(self._env.now)
        return JobSpan(now if start is None else start, now, busy)
