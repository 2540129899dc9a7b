"""What a scenario comes to before anything runs: devices, links, programs and what passes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, Protocol

from simulator.hardware.link import Link
from simulator.lowering.program import LoweredStep
from simulator.timing.sharing import Sharing


class JobSteps(NamedTuple):
    """What a job does on its device: for `setup_ps` nothing that others notice, then steps.

    On a device of its own it takes `alone_ps`; of a job without steps all of that is `setup_ps`.
    """

    alone_ps: int
    setup_ps: int
    steps: Sequence[LoweredStep]


class DeviceJob(Protocol):
    """A job as a device runs it."""

    @property
    def steps(self) -> JobSteps:
        """What it does."""


class JobSequence(Protocol):
    """The jobs of a program on one device, one after the other."""

    def next(self) -> DeviceJob:
        """Return the next job."""


class Successor(NamedTuple):
    """A program that goes on where another one ends, with `bytes` over link number `link`.

    Without a link both are on one device, or what passes is free. Those with a `share` are
    alternatives: of the jobs so many go this way, and the rest ends here.
    """

    program: int
    link: int | None
    bytes: int
    share: Fraction | None


@dataclass(frozen=True)
class PlannedProgram:
    """A program: where its jobs run, how urgent they are, and what follows each of them.

    `arrivals` returns when they come, in ps, on the device with this place in `devices`; None
    where only other programs lead to it. With a `window` a job comes when another one's last
    consequence has ended, so many at a time, until `arrivals` is exhausted. More than `backlog`
    jobs do not wait at a device: others are dropped. A job follows `joins` of those before it.
    """

    name: str
    devices: tuple[int, ...]
    jobs: Callable[[], JobSequence]
    arrivals: "Arrivals | None" = None
    successors: tuple[Successor, ...] = ()
    priority: int = 0
    backlog: int | None = None
    joins: int = 1


class Arrivals(Protocol):
    """When the jobs of a program come."""

    @property
    def window(self) -> int:
        """Jobs under way at a time where each comes after another one; 0: they come themselves."""

    @property
    def is_endless(self) -> bool:
        """Whether they come as long as others do, or until the scenario's end."""

    @property
    def in_background(self) -> bool:
        """Whether they end when all others have."""

    def times(self, place: int) -> Iterator[int]:
        """Yield the times in ps for the device at this place, perhaps without end."""


@dataclass(frozen=True)
class PlannedDevice:
    """A device: how its memory is shared, or None where its jobs run one at a time.

    Jobs take `slower` times as long there.
    """

    name: str
    sharing: Sharing | None
    slower: Fraction = Fraction(1)


@dataclass(frozen=True)
class PlannedRounds:
    """Rounds of training on many devices: download, jobs on the clients, upload, average.

    A round is over when `quorum` of its clients have answered and the server has averaged what
    they sent. Each round `dropouts` of the clients, drawn anew, take no part.
    """

    name: str
    server: int
    train: int
    average: int
    clients: tuple[int, ...]
    link: int | None
    download: int
    upload: int
    rounds: int
    quorum: int
    dropouts: int


@dataclass(frozen=True)
class ScenarioPlan:
    """All that a scenario plays. Arrivals end at `until_ps`; None: they end by themselves.

    `hubs` has the devices behind a link, by its number; others are on it.
    """

    devices: tuple[PlannedDevice, ...]
    links: tuple[Link, ...]
    programs: tuple[PlannedProgram, ...]
    rounds: tuple[PlannedRounds, ...] = ()
    until_ps: int | None = None
    seed: int = 0
    hubs: Mapping[int, frozenset[int]] = field(default_factory=dict)


class JobRun(NamedTuple):
    """A job that ran: of which program, number and frame, where, and when.

    It was ready at `ready_ps`, started when its first work did, and ended at `end_ps`. `busy_ps`
    is how long each unit worked for it.
    """

    program: int
    frame: int
    device: int
    came_ps: int
    ready_ps: int
    start_ps: int
    end_ps: int
    job: DeviceJob
    busy_ps: Mapping[str, int]


class RoundRun(NamedTuple):
    """A round of training: from when to when, and how many clients answered in time."""

    rounds: int
    number: int
    start_ps: int
    end_ps: int
    answers: int
