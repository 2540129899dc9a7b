"""Replaying a run at other values of a machine's constants: what it takes, before any price."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TypeAlias

from simulator.collector import RareCollector
from simulator.errors import Infeasible, InputError
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.settings import quantity_of
from simulator.machine.soc import FIDELITIES, MOST_TILES
from simulator.processes import cores, crew, no_main_module
from simulator.replay import Replay
from simulator.results.result import Amount
from simulator.trace.trace import Trace

Values = Mapping[str, int]
"""Settings by path, in inner units."""
Amounts = Mapping[str, Amount]
"""Of a run, by phase; the name of the whole run is ""."""
Answer: TypeAlias = "Amounts | str"
"""Amounts, or why the machine cannot run with these values."""

# Operations to replay from which on further processes pay: each takes two seconds to start, in
# which this one replays some 25,000 (measured with mlp_digits and resnet20_digits).
_PARALLEL_FROM = 100_000


@dataclass(frozen=True)
class Subject:
    """A machine and the run that it replays."""

    hardware: Hardware
    trace: Trace
    fidelity: str = FIDELITIES[0]
    most_tiles: int = MOST_TILES

    @property
    def operations(self) -> int:
        """How many operations one replay lowers and runs."""
        return sum(len(step.ops) for step in self.trace.steps)

    def at(self, values: Values) -> Hardware:
        """Return the machine with these values; raises InputError where they do not fit."""
        return load_hardware(self.hardware, {p: _text(p, value) for p, value in values.items()})


Task = tuple[int, Values]
"""Which of some subjects, and its values."""


def answers(
    subjects: Sequence[Subject], tasks: Sequence[Task], most_processes: int | None = None
) -> Iterator[Answer]:
    """Yield the answer of each task, in their order; in several processes where that pays.

    There are `most_processes` at most, or as many as there are cores. Raises InputError when one
    of them is lost.
    """
    operations = sum(subjects[which].operations for which, _ in tasks)
    count = min(most_processes or cores(), max(1, 2 * operations // _PARALLEL_FROM))
    if count == 1:
        yield from (_answered(subjects[which], values) for which, values in tasks)
        return
    with crew(count, _begin, subjects) as pool:
        try:
            with no_main_module():
                found = pool.map(_answered_here, tasks)
            yield from found
        except BrokenProcessPool:
            raise InputError(
                "a process that replayed samples died, as when memory is short: use --samples 0, "
                "or a machine with more memory"
            ) from None


_HERE: list[tuple[Sequence[Subject], RareCollector]] = []  # of a process: sent once


def _begin(subjects: Sequence[Subject]) -> None:
    _HERE[:] = [(subjects, RareCollector())]


def _answered_here(task: Task) -> Answer:
    subjects, collector = _HERE[0]
    which, values = task
    found = _answered(subjects[which], values)
    collector.finished_one()
    return found


def _answered(subject: Subject, values: Values) -> Answer:
    try:
        hardware = subject.at(values)
        replay = Replay(hardware, subject.trace, (), subject.fidelity, subject.most_tiles)
        return replay.run().amounts
    except (Infeasible, InputError) as error:
        return str(error)


def _text(path: str, value: int) -> str | int:
    quantity = quantity_of(path)
    return quantity.text(value) if quantity else value
