"""A scenario becomes a plan: numbered devices, links and programs, and what their jobs cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from simulator.errors import InputError, shown
from simulator.hardware.settings import likely
from simulator.machine.plan import (
    PlannedDevice,
    PlannedProgram,
    PlannedRounds,
    ScenarioPlan,
    Successor,
)
from simulator.scenario.arrivals import arrivals_of
from simulator.scenario.description import ProgramSource, Scenario
from simulator.scenario.sources import DeviceKind, Jobs, ModelCapture, Residence, Sources, kind_of
from simulator.timing.sharing import sharing_of
from simulator.units import ceil_div


@dataclass
class Compiled:
    """A plan, and what its numbers stand for."""

    scenario: Scenario
    plan: ScenarioPlan
    kinds: tuple[DeviceKind, ...]
    residences: Mapping[str, Residence]
    attached: tuple[frozenset[int], ...]
    """The devices on each link."""


def compiled(scenario: Scenario, models: ModelCapture | None = None) -> Compiled:
    """Return the plan of a scenario. Raises InputError with path, value and fix, and Infeasible
    where a device cannot run its programs.
    """
    try:
        return _Compiler(scenario, Sources(models)).compiled()
    except InputError as error:
        raise InputError(f"{scenario.name}: {error}") from None


def fraction(value: str | float | int, where: str) -> Fraction:
    """Return a share from 0 to 1, of 0.4, "40 %" or "2/5". Raises InputError with the fix."""
    text = str(value).strip()
    try:
        share = Fraction(text.removesuffix("%").strip()) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{where}: {shown(text)} is no share; write 0.4, 40 % or 2/5") from None
    if not 0 <= share <= 1:
        raise InputError(f"{where}: {shown(text)} is no share; they go from 0 to 100 %")
    return share


@dataclass
class _Compiler:
    scenario: Scenario
    sources: Sources
    kinds: dict[str, DeviceKind] = field(default_factory=dict)
    residences: dict[str, Residence] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)

    def compiled(self) -> Compiled:
        scenario = self.scenario
        first = 0
        for name, entry in scenario.devices.items():
            numbers = tuple(range(first, first + entry.count))
            first += entry.count
            self.kinds[name] = kind_of(name, entry, numbers)
        names = [*scenario.programs]
        for name in scenario.rounds:
            names += [f"{name}.train", f"{name}.average"]
        self.numbers = {name: number for number, name in enumerate(names)}
        self.links = {name: number for number, name in enumerate(scenario.links)}
        programs = [self._program(name) for name in scenario.programs]
        for name in scenario.rounds:
            programs += self._round_programs(name)
        rounds = [self._round(name) for name in scenario.rounds]
        devices = self._devices()
        plan = ScenarioPlan(
            tuple(devices),
            tuple(scenario.links.values()),
            tuple(programs),
            tuple(rounds),
            scenario.until,
            scenario.seed,
            self._hubs(),
        )
        _check_ends(programs)
        if not any(each.arrivals for each in programs) and not rounds:
            raise InputError("nothing ever comes: give a program arrive: 30 fps, or add rounds")
        attached = self._attached(plan)
        return Compiled(scenario, plan, tuple(self.kinds.values()), self.residences, attached)

    def _devices(self) -> list[PlannedDevice]:
        """Return every device: shared task by task only where several programs may meet."""
        programs = [each.on for each in self.scenario.programs.values()]
        for each in self.scenario.rounds.values():
            programs += [each.clients, each.server]
        devices = []
        for kind in self.kinds.values():
            meets = programs.count(kind.name) > 1 and kind.entry.shared == "by op"
            sharing = sharing_of(kind.hardware) if meets and kind.hardware else None
            for place, _ in enumerate(kind.numbers):
                name = kind.name if len(kind.numbers) == 1 else f"{kind.name}[{place}]"
                slower = self._slower(kind.name, place)
                if sharing and slower != 1:
                    raise InputError(
                        f"devices.{kind.name}: other programs run there, so slow does not apply: "
                        "set shared: by job"
                    )
                devices.append(PlannedDevice(name, sharing, slower))
        return devices

    def _slower(self, kind: str, place: int) -> Fraction:
        slower = Fraction(1)
        for name, each in self.scenario.rounds.items():
            if each.clients == kind and place in each.slow:
                slower = _factor(each.slow[place], f"rounds.{name}.slow.{place}")
        return slower

    def _program(self, name: str) -> PlannedProgram:
        entry, where = self.scenario.programs[name], f"programs.{name}"
        kind = self._device(entry.on, f"{where}.on")
        jobs = self._jobs(name, entry, kind, where)
        arrivals = arrivals_of(
            name, entry, len(kind.numbers), self.scenario.until, self.scenario.seed
        )
        leads = [
            each
            for other in self.scenario.programs.values()
            for each in other.then
            if each.to == name
        ]
        if arrivals is None and not leads:
            raise InputError(f"{where}: nothing leads here: add arrive: 30 fps, or name it in then")
        if entry.join and any(each.share is not None for each in leads):
            raise InputError(f"{where}.join: some only come at times: leave out their share")
        return PlannedProgram(
            name,
            kind.numbers,
            jobs,
            arrivals,
            self._successors(name),
            entry.priority,
            entry.backlog,
            max(1, len(leads)) if entry.join else 1,
        )

    def _successors(self, name: str) -> tuple[Successor, ...]:
        entry, shares, successors = self.scenario.programs[name], Fraction(0), []
        for number, each in enumerate(entry.then):
            where = f"programs.{name}.then.{number}"
            if each.to not in self.scenario.programs:
                hint = likely(each.to, [*self.scenario.programs])
                raise InputError(f"{where}.to: no program {shown(each.to)}; {hint}")
            share = None if each.share is None else fraction(each.share, f"{where}.share")
            shares += share or 0
            link = self._link(each.over, f"{where}.over")
            size = self.sources.size(each.bytes, entry, f"{where}.bytes") if link is not None else 0
            successors.append(Successor(self.numbers[each.to], link, size, share))
        if shares > 1:
            raise InputError(
                f"programs.{name}.then: the shares add up to {float(shares):g}: at most 1"
            )
        return tuple(successors)

    def _round_programs(self, name: str) -> list[PlannedProgram]:
        entry = self.scenario.rounds[name]
        where = f"rounds.{name}"
        clients = self._device(entry.clients, f"{where}.clients")
        server = self._device(entry.server, f"{where}.server")
        train = self._jobs(f"{name}.train", entry.train, clients, f"{where}.train")
        average = self._jobs(f"{name}.average", entry.average, server, f"{where}.average")
        return [
            PlannedProgram(f"{name}.train", clients.numbers, train),
            PlannedProgram(f"{name}.average", server.numbers[:1], average),
        ]

    def _round(self, name: str) -> PlannedRounds:
        entry, where = self.scenario.rounds[name], f"rounds.{name}"
        clients, server = self.kinds[entry.clients].numbers, self.kinds[entry.server].numbers
        for place in entry.slow:
            if not 0 <= place < len(clients):
                raise InputError(f"{where}.slow.{place}: clients go from 0 to {len(clients) - 1}")
        wait = fraction(entry.wait, f"{where}.wait")
        dropouts = round(fraction(entry.dropout, f"{where}.dropout") * len(clients))
        return PlannedRounds(
            name,
            server[0],
            self.numbers[f"{name}.train"],
            self.numbers[f"{name}.average"],
            clients,
            self._link(entry.over, f"{where}.over"),
            self.sources.size(entry.download, entry.train, f"{where}.download"),
            self.sources.size(entry.upload, entry.train, f"{where}.upload"),
            entry.rounds,
            max(1, ceil_div(wait.numerator * len(clients), wait.denominator)),
            dropouts,
        )

    def _jobs(self, name: str, source: ProgramSource, kind: DeviceKind, where: str) -> Jobs:
        jobs, self.residences[name] = self.sources.jobs(source, kind, where)
        return jobs

    def _device(self, name: str, where: str) -> DeviceKind:
        if name not in self.kinds:
            raise InputError(f"{where}: no device {shown(name)}; {likely(name, [*self.kinds])}")
        return self.kinds[name]

    def _link(self, name: str | None, where: str) -> int | None:
        if name is None:
            return None
        if name not in self.links:
            raise InputError(f"{where}: no link {shown(name)}; {likely(name, [*self.links])}")
        return self.links[name]

    def _hubs(self) -> dict[int, frozenset[int]]:
        """Return the devices behind the links that have a hub."""
        return {
            self.links[name]: frozenset(self._device(link.hub, f"links.{name}.hub").numbers)
            for name, link in self.scenario.links.items()
            if link.hub is not None
        }

    def _attached(self, plan: ScenarioPlan) -> tuple[frozenset[int], ...]:
        """Return the devices on each link: those that use it, but for its hub."""
        attached: list[set[int]] = [set() for _ in plan.links]
        for program in plan.programs:
            for each in program.successors:
                if each.link is not None:
                    attached[each.link].update(program.devices)
                    attached[each.link].update(plan.programs[each.program].devices)
        for rounds in plan.rounds:
            if rounds.link is not None:
                attached[rounds.link].update((*rounds.clients, rounds.server))
        return tuple(
            frozenset(devices - plan.hubs.get(number, frozenset()))
            for number, devices in enumerate(attached)
        )


def _check_ends(programs: Sequence[PlannedProgram]) -> None:
    """Raise InputError where a program leads to itself again and again, or never takes time."""
    certain = [
        {each.program for each in program.successors if each.share in (None, 1)}
        for program in programs
    ]
    for number, program in enumerate(programs):
        reached, new = set[int](), {number}
        while new:
            new = set[int]().union(*(certain[each] for each in new)) - reached
            reached |= new
        if number in reached:
            raise InputError(
                f"programs.{program.name}.then: every job leads to another one of it, without end: "
                "give a share below 1"
            )
        endless = program.arrivals is not None and program.arrivals.is_endless
        if endless and not program.jobs().next().steps.alone_ps:
            raise InputError(
                f"programs.{program.name}.arrive: always, and a job takes no time: say how many "
                "jobs"
            )


def _factor(value: str | float | int, where: str) -> Fraction:
    """Return a factor above 0; raises InputError with the fix."""
    try:
        factor = Fraction(str(value).strip())
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if factor <= 0:
        raise InputError(f"{where}: {shown(value)} is no factor; write 4 for four times as long")
    return factor
