"""Replays a run at other values of a machine's constants: times and counts, before prices."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from simulator.collector import RareCollector
from simulator.energy.boundary import USUAL, Boundary
from simulator.errors import Infeasible, InputError
from simulator.hardware import Hardware, load_hardware
from simulator.machine.soc import FIDELITIES
from simulator.machine.step import MOST_TILES
from simulator.replay import Replay
from simulator.results.result import Amount
from simulator.trace.trace import Trace

ConstantValues = Mapping[str, int]
"""Values of constants by path, in internal units."""
Amounts = Mapping[str, Amount]
"""Latency in ps and counts of a run by phase; "" is the whole run."""
Answer: TypeAlias = "Amounts | str"
"""Amounts, or why the machine is infeasible with these values."""

# Operations from which a further process pays: it takes two seconds to start, in
# which this one replays 25,000 (measured with mlp_digits and resnet20_digits).
_PARALLEL_FROM = 100_000


@dataclass(frozen=True)
class Subject:
    """A machine and the run that it replays."""

    hardware: Hardware
    trace: Trace
    fidelity: str = FIDELITIES[0]
    most_tiles: int = MOST_TILES
    boundary: Boundary = USUAL

    @property
    def operations(self) -> int:
        """How many operations a replay lowers and simulates."""
        return sum(len(step.ops) for step in self.trace.steps)

    def at(self, values: ConstantValues) -> Hardware:
        """Return the machine with these values; raises InputError if they do not fit each other."""
        constants = {each.path: each for each in self.hardware.constants}
        changes = {
            path: constants[path].text(value) if path in constants else value
            for path, value in values.items()
        }
        return load_hardware(self.hardware, changes)


ReplayTask = tuple[int, ConstantValues]
"""The index of a subject, and its values."""


def answers(
    subjects: Sequence[Subject], tasks: Sequence[ReplayTask], most_processes: int | None = None
) -> Iterator[Answer]:
    """Yield the answer to each task in order; in several processes if that pays.

    There are at most `most_processes`, by default one per core. Raises InputError if one dies.
    """
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415 - for samples alone

    from simulator.processes import cores, crew, no_main_module  # noqa: PLC0415

    operations = sum(subjects[which].operations for which, _ in tasks)
    count = min(most_processes or cores(), max(1, 2 * operations // _PARALLEL_FROM))
    if count == 1:
        yield from (_answer(subjects[which], values) for which, values in tasks)
        return
    with crew(count, _begin, subjects) as pool:
        try:
            with no_main_module():
                results = pool.map(_answer_here, tasks)
            yield from results
        except BrokenProcessPool:
            raise InputError(
                "a process that replayed samples died, perhaps out of memory: use --samples 0, "
                "or a machine with more memory"
            ) from None


_HERE: list[tuple[Sequence[Subject], RareCollector]] = []  # in a worker process: sent once


def _begin(subjects: Sequence[Subject]) -> None:
    _HERE[:] = [(subjects, RareCollector())]


def _answer_here(task: ReplayTask) -> Answer:
    subjects, collector = _HERE[0]
    which, values = task
    answer = _answer(subjects[which], values)
    collector.finished(1)
    return answer


def _answer(subject: Subject, values: ConstantValues) -> Answer:
    try:
        hardware = subject.at(values)
        replay = Replay(hardware, subject.trace, (), subject.fidelity, subject.most_tiles)
        return replay.run().amounts
    except (Infeasible, InputError) as error:
        return str(error)
