"""What the jobs of a program cost on a device: one after the other, each step simulated once."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from simulator.activity import Counts
from simulator.energy.prices import Prices
from simulator.lowering.lower import Carry
from simulator.lowering.program import LoweredStep
from simulator.machine.plan import JobSteps
from simulator.replay import Replay
from simulator.results.record import StepRecord
from simulator.results.tally import Tally, summed
from simulator.trace.memory import with_copies
from simulator.trace.trace import Trace


class JobCost(NamedTuple):
    """A job as a device runs it: what it does, and what it comes to on a device of its own.

    `dynamic_aj` has what keeps the memory awake for it.
    """

    steps: JobSteps
    macs: int
    dynamic_aj: int
    busy_ps: Mapping[str, int]


class _StepCost(NamedTuple):
    lowered: LoweredStep
    duration_ps: int
    tally: Tally
    after: int


class TraceJobs:
    """The jobs of a trace on one machine, equal for all devices of a kind.

    A state is what a step leaves to the next: the caches and copies of a device that runs this
    program alone. After few steps it recurs, and so do the costs.
    """

    def __init__(self, replay: Replay, job: str, setup_ps: int) -> None:
        """Run what `replay` does, in jobs of a step, an epoch or the whole run."""
        self._machine, self._trace, self._setup_ps = replay.machine, replay.trace, setup_ps
        self._placed = replay.placed
        self._states: dict[Carry, int] = {Carry(): 0}
        self._carries = [Carry()]
        self._steps: dict[tuple[int, int], _StepCost] = {}
        self._jobs: dict[tuple[int, int], tuple[JobCost, int]] = {}
        self._sequence = _sequence(replay.trace, job)

    def sequence(self) -> "JobsInTurn":
        """Return the jobs of a device, from a cold start on."""
        return JobsInTurn(len(self._sequence), self._job)

    @property
    def peak_bytes(self) -> int:
        """The most memory that a cold step holds, copies for accelerators included."""
        return max(self._peak_bytes(number) for number in range(len(self._trace.steps)))

    def _peak_bytes(self, number: int) -> int:
        step, units = self._trace.steps[number], self._placed[number] if self._placed else None
        lowered, _ = self._machine.lowering.lowered(step, Carry(), units)
        return with_copies(step, lowered.program.copies)["peak_bytes"]

    def _job(self, number: int, state: int) -> tuple[JobCost, int]:
        """Return what job `number` of the run costs after `state`, and the state it leaves."""
        key = number, state
        if key not in self._jobs:
            self._jobs[key] = self._computed(number, state)
        return self._jobs[key]

    def _computed(self, number: int, state: int) -> tuple[JobCost, int]:
        costs = []
        for step in self._sequence[number]:
            cost = self._step(step, state)
            costs.append(cost)
            state = cost.after
        return job_cost(costs, self._machine.prices, self._setup_ps), state

    def _step(self, step: int, state: int) -> _StepCost:
        key = step, state
        if key not in self._steps:
            units = self._placed[step] if self._placed else None
            run, after = self._machine.run(self._trace.steps[step], self._carries[state], units)
            if after not in self._states:
                self._states[after] = len(self._carries)
                self._carries.append(after)
            names = self._trace.steps[step].op_names
            prices, dram = self._machine.prices, self._machine.hardware.dram
            record = StepRecord(step, run, prices, names, {0: 1}, dram)
            tally = summed([(each, 1) for each in record.by_phase.values()])
            self._steps[key] = _StepCost(run.lowered, run.duration_ps, tally, self._states[after])
        return self._steps[key]


def job_cost(costs: Sequence[_StepCost], prices: Prices, setup_ps: int) -> JobCost:
    """Return the sum of steps that run one after the other, after `setup_ps`."""
    tally = summed([(cost.tally, 1) for cost in costs])
    alone_ps = setup_ps + sum(cost.duration_ps for cost in costs)
    counts: Counts = tally.counts
    return JobCost(
        JobSteps(alone_ps, setup_ps, tuple(cost.lowered for cost in costs)),
        counts.macs,
        prices.dynamic_aj_of(counts) + prices.states_aj(tally.states),
        {name: unit.busy_ps for name, unit in tally.units.items()},
    )


class JobsInTurn:
    """The jobs of a program on one device: job after job, from the start again after the last."""

    def __init__(self, count: int, job: Callable[[int, int], tuple[JobCost, int]]) -> None:
        """Take `job(number, state)` for each of `count` numbers in turn."""
        self._count, self._job = count, job
        self._number = self._state = 0

    def next(self) -> JobCost:
        """Return what the next job costs."""
        cost, self._state = self._job(self._number, self._state)
        self._number = (self._number + 1) % self._count
        return cost


def fixed_job(alone_ps: int, macs: int, dynamic_aj: int) -> Callable[[], JobsInTurn]:
    """Return the jobs of a program that all take and cost the same."""
    cost = JobCost(JobSteps(alone_ps, alone_ps, ()), macs, dynamic_aj, {})
    return lambda: JobsInTurn(1, lambda _number, _state: (cost, 0))


def _sequence(trace: Trace, job: str) -> list[list[int]]:
    """Return the distinct steps that each job runs."""
    runs = [(each.epoch, each.step) for each in trace.segments for _ in range(each.count)]
    if job == "run":
        return [[step for _, step in runs]]
    if job == "step":
        return [[step] for _, step in runs]
    epochs = dict.fromkeys(epoch for epoch, _ in runs)
    return [[step for at, step in runs if at == epoch] for epoch in epochs]
