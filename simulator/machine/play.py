"""A plan in one environment: frames arrive, jobs run on devices, messages pass over links."""

from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from math import lcm
from random import Random
from typing import Any

from simpy import Environment, Event

from simulator.machine.device import Device, JobSpan, device_in
from simulator.machine.link import MessageRun, SharedLink
from simulator.machine.plan import (
    Arrivals,
    JobRun,
    JobSequence,
    PlannedRounds,
    RoundRun,
    ScenarioPlan,
    Successor,
)

_LONGEST_DECK = 10_000  # choices that come out exactly in their shares


@dataclass
class Played:
    """What happened in a plan: jobs and rounds in the order of their ends, messages by link.

    `frames` has when each came and when its last consequence ended. `dropped` jobs by program.
    """

    jobs: list[JobRun] = field(default_factory=list)
    rounds: list[RoundRun] = field(default_factory=list)
    messages: tuple[Sequence[MessageRun], ...] = ()
    frames: "list[Frame]" = field(default_factory=list)
    dropped: Counter[int] = field(default_factory=Counter)
    end_ps: int = 0


class Frame:
    """What arrived at a program, and all that follows from it."""

    __slots__ = ("came_ps", "done", "end_ps", "number", "open", "program")

    def __init__(self, number: int, program: int, came_ps: int, done: Event) -> None:
        """Arrive as frame `number` at `program`; `done` is for the end of its last consequence."""
        self.number, self.program, self.came_ps, self.done = number, program, came_ps, done
        self.open, self.end_ps = 0, came_ps


def play(plan: ScenarioPlan) -> Played:
    """Return what happens in `plan`."""
    env = Environment()
    world = _World(env, plan)
    try:
        world.start()
        env.run()
        world.played.end_ps = max(int(env.now), plan.until_ps or 0)
        return world.played
    finally:
        world.close()
        vars(env).clear()  # SimPy binds events to their environment in itself


class _World:
    """The devices and links of a plan, and its programs under way."""

    def __init__(self, env: Environment, plan: ScenarioPlan) -> None:
        self._env, self._plan, self._foreground = env, plan, 0
        self._devices: list[Device] = [device_in(env, each) for each in plan.devices]
        links = enumerate(plan.links)
        self._links = [
            SharedLink(env, link, f"{plan.seed}/link {at}", plan.hubs.get(at, frozenset()))
            for at, link in links
        ]
        self.played = Played(messages=tuple(link.messages for link in self._links))
        self._sequences: dict[tuple[int, int], JobSequence] = {}
        self._open: Counter[tuple[int, int]] = Counter()
        self._turns: dict[int, Iterator[int]] = defaultdict(count)
        self._joins: Counter[tuple[int, Frame]] = Counter()
        self._decks = [
            _Deck(each.successors, Random(f"{plan.seed}/{each.name}")) for each in plan.programs
        ]

    def start(self) -> None:
        """Start all that comes by itself."""
        for number, program in enumerate(self._plan.programs):
            if program.arrivals is None:
                continue
            for place, device in enumerate(program.devices):
                self._foreground += not program.arrivals.in_background
                times = program.arrivals.times(place)
                self._env.process(self._source(number, program.arrivals, device, times))
        for at, rounds in enumerate(self._plan.rounds):
            self._foreground += 1
            self._env.process(self._rounds(at, rounds))

    def close(self) -> None:
        """Let components forget the environment."""
        for device in self._devices:
            device.close()

    def _source(
        self, number: int, arrivals: Arrivals, device: int, times: Iterator[int]
    ) -> Generator[Event, None, None]:
        """Let frames come at a program on one device."""
        if arrivals.window:
            lanes = [self._lane(number, arrivals, device, times) for _ in range(arrivals.window)]
            yield self._env.all_of([self._env.process(lane) for lane in lanes])
        else:
            for at in times:
                if at > self._env.now:
                    yield self._env.timeout(at - int(self._env.now))
                self._come(number, device)
        self._foreground -= not arrivals.in_background

    def _lane(
        self, number: int, arrivals: Arrivals, device: int, times: Iterator[int]
    ) -> Generator[Event, None, None]:
        """Let one frame come after the other, each when all of the one before has ended."""
        until = self._plan.until_ps
        while until is None or self._env.now < until:
            if arrivals.in_background and not self._foreground:
                return
            at = next(times, None)
            if at is None:
                return
            if at > self._env.now:
                yield self._env.timeout(at - int(self._env.now))
            yield self._come(number, device).done

    def _come(self, number: int, device: int) -> Frame:
        now = int(self._env.now)
        frame = Frame(len(self.played.frames), number, now, self._env.event())
        self.played.frames.append(frame)
        self._launch(number, frame, device)
        return frame

    def _launch(self, number: int, frame: Frame, device: int) -> None:
        frame.open += 1
        self._env.process(self._job(number, frame, device))

    def _job(self, number: int, frame: Frame, device: int) -> Generator[Event, None, None]:
        """Run a job of a program on a device, then send what follows from it."""
        program = self._plan.programs[number]
        if program.backlog is None or self._open[number, device] <= program.backlog:
            yield from self._run(number, frame, device)
            for successor in self._decks[number].next():
                self._follow(successor, frame, device)
        else:
            self.played.dropped[number] += 1
        self._close(frame)

    def _run(self, number: int, frame: Frame, device: int) -> Generator[Event, Any, None]:
        program, ready = self._plan.programs[number], int(self._env.now)
        sequence = self._sequences.get((number, device))
        if sequence is None:
            sequence = self._sequences[number, device] = program.jobs()
        job = sequence.next()
        self._open[number, device] += 1
        ran: JobSpan = yield self._devices[device].submit(number, job.steps, program.priority)
        self._open[number, device] -= 1
        self.played.jobs.append(
            JobRun(number, frame.number, device, frame.came_ps, ready, *ran[:2], job, ran.busy_ps)
        )

    def _follow(self, successor: Successor, frame: Frame, device: int) -> None:
        """Send what a job leaves to the program after it."""
        target = self._plan.programs[successor.program]
        here = device in target.devices
        turn = next(self._turns[successor.program]) if not here else 0
        receiver = device if here else target.devices[turn % len(target.devices)]
        frame.open += 1
        self._env.process(self._pass(successor, frame, device, receiver))

    def _pass(
        self, successor: Successor, frame: Frame, sender: int, receiver: int
    ) -> Generator[Event, None, None]:
        yield from self._send(successor.link, sender, receiver, successor.bytes)
        target = self._plan.programs[successor.program]
        key = successor.program, frame
        self._joins[key] += 1
        if self._joins[key] == target.joins:
            del self._joins[key]
            self._launch(successor.program, frame, receiver)
        self._close(frame)

    def _send(
        self, link: int | None, sender: int, receiver: int, size: int
    ) -> Generator[Event, None, None]:
        if link is not None and sender != receiver:
            yield self._links[link].send(sender, receiver, size)

    def _close(self, frame: Frame) -> None:
        frame.open -= 1
        if not frame.open:
            frame.end_ps = int(self._env.now)
            frame.done.succeed()

    def _rounds(self, at: int, rounds: PlannedRounds) -> Generator[Event, None, None]:
        """Run rounds one after the other."""
        draws = Random(f"{self._plan.seed}/{rounds.name}")
        for number in range(rounds.rounds):
            start = int(self._env.now)
            absent = set(draws.sample(range(len(rounds.clients)), rounds.dropouts))
            present = [client for n, client in enumerate(rounds.clients) if n not in absent]
            frame = Frame(len(self.played.frames), rounds.train, start, self._env.event())
            self.played.frames.append(frame)
            frame.open = 1 + len(present)
            quorum = _Quorum(min(rounds.quorum, len(present)), self._env.event())
            for client in present:
                self._env.process(self._client(rounds, frame, client, quorum))
            yield quorum.reached
            answers = quorum.answers
            yield from self._run(rounds.average, frame, rounds.server)
            self.played.rounds.append(RoundRun(at, number, start, int(self._env.now), answers))
            self._close(frame)
        self._foreground -= 1

    def _client(
        self, rounds: PlannedRounds, frame: Frame, client: int, quorum: "_Quorum"
    ) -> Generator[Event, None, None]:
        yield from self._send(rounds.link, rounds.server, client, rounds.download)
        yield from self._run(rounds.train, frame, client)
        yield from self._send(rounds.link, client, rounds.server, rounds.upload)
        quorum.answer()
        self._close(frame)


class _Quorum:
    """Answers to a round, of which so many are enough."""

    def __init__(self, needed: int, reached: Event) -> None:
        self._needed, self.reached, self.answers = needed, reached, 0
        if not needed:
            reached.succeed()

    def answer(self) -> None:
        """Count an answer."""
        self.answers += 1
        if self.answers == self._needed:
            self.reached.succeed()


class _Deck:
    """Which successors a job has: those without a share always, of the others one or none.

    Alternatives are drawn from a deck that is shuffled anew when it is empty: in random order, and
    exactly in their shares over each deck.
    """

    def __init__(self, successors: Sequence[Successor], draws: Random) -> None:
        self._always = tuple(each for each in successors if each.share is None)
        self._draws, self._left = draws, list[tuple[Successor, ...]]()
        shares = [(each, each.share) for each in successors if each.share is not None]
        size = lcm(*(share.denominator for _, share in shares))
        size = size if size <= _LONGEST_DECK else _LONGEST_DECK
        cards = [[(*self._always, each)] * round(share * size) for each, share in shares]
        self._cards = list(chain.from_iterable(cards))
        self._cards += [self._always] * (size - len(self._cards))

    def next(self) -> tuple[Successor, ...]:
        """Return the successors of the next job."""
        if len(self._cards) == 1:
            return self._cards[0]
        if not self._left:
            self._left = self._cards[:]
            self._draws.shuffle(self._left)
        return self._left.pop()
