"""What a scenario comes to: exact sums by device, program and link, latencies, misses, rounds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from typing import Any

from simulator.activity import Span
from simulator.html import html_table
from simulator.machine.link import ports_of
from simulator.machine.plan import JobRun
from simulator.machine.play import Frame, Played
from simulator.results.tally import union_ps
from simulator.scenario.compile import Compiled
from simulator.scenario.jobs import JobCost
from simulator.si import si
from simulator.units import AJ_PER_J, PS_PER_S

SCHEMA = "1.0"
PERCENTILES = (50, 95, 99)
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ScenarioResult:
    """The answer of a scenario.

    Energy of a device: that of its jobs, its static power all the time, and its ends of links.
    Static power is charged to the programs that run there, in equal parts where several do, and to
    no program while the device is idle.
    """

    compiled: Compiled
    played: Played
    provenance: Mapping[str, Any]

    def __repr__(self) -> str:
        """Return name, duration and energy on one line."""
        return f"{type(self).__name__}({self._headline})"

    def _repr_html_(self) -> str:
        columns = ("program", "on", "jobs", "median latency", "energy per job")
        rows = [
            (
                each["program"],
                each["on"],
                each["jobs"],
                si(each["latency_p50_s"], "s"),
                si(each["energy_per_job_j"], "J"),
            )
            for each in self.programs
        ]
        return html_table(self._headline, columns, rows)

    @property
    def _headline(self) -> str:
        total = self.total
        return (
            f"{self.compiled.scenario.name}: {len(self.programs)} programs on "
            f"{len(self.devices)} devices, {si(total['duration_s'], 's')}, "
            f"{si(total['energy_j'], 'J')}, {total['busiest']} is the busiest"
        )

    @property
    def duration_ps(self) -> int:
        """The time from the start to the last end, at least until arrivals end."""
        return self.played.end_ps

    @cached_property
    def devices(self) -> list[Row]:
        """A row for each device: its use and energy, and the memory that its programs need."""
        rows = []
        ends = self._link_ends_aj
        for kind in self.compiled.kinds:
            names = [name for name, on in self._homes.items() if on == kind.name]
            residences = [self.compiled.residences[name] for name in names]
            for number in kind.numbers:
                jobs = self._jobs_on[number]
                busy_ps = union_ps(Span(job.start_ps, job.end_ps) for job in jobs)
                dynamic = sum(_cost(job).dynamic_aj for job in jobs)
                static = kind.static_uw * self.duration_ps
                rows.append(
                    {
                        "device": self.compiled.plan.devices[number].name,
                        "kind": kind.name,
                        "hardware": kind.hardware.name if kind.hardware else None,
                        "jobs": len(jobs),
                        "macs": sum(_cost(job).macs for job in jobs),
                        "busy_ps": busy_ps,
                        "busy_s": busy_ps / PS_PER_S,
                        "utilization": _ratio(busy_ps, self.duration_ps),
                        "idle_ps": self.duration_ps - busy_ps,
                        "unit_busy_s": _seconds(self._unit_busy_ps(jobs)),
                        "dynamic_aj": dynamic,
                        "static_aj": static,
                        "links_aj": ends[number],
                        **_energy(dynamic + static + ends[number]),
                        "weights_bytes": sum(each.weights for each in residences),
                        "memory_bytes": sum(each.peak for each in residences),
                    }
                )
        return rows

    @cached_property
    def programs(self) -> list[Row]:
        """A row for each program: its jobs, their latencies, and what they cost."""
        plan, rows = self.compiled.plan, []
        for number, program in enumerate(plan.programs):
            jobs = self._jobs_of[number]
            cost = [_cost(job) for job in jobs]
            dynamic = sum(each.dynamic_aj for each in cost)
            static = self._charged_aj[number]
            took = sum(job.end_ps - job.start_ps for job in jobs)
            alone = sum(job.job.steps.alone_ps for job in jobs)
            deadline = self._deadlines.get(program.name)
            misses = sum(job.end_ps - job.came_ps > deadline for job in jobs) if deadline else None
            rows.append(
                {
                    "program": program.name,
                    "on": self._homes[program.name],
                    "jobs": len(jobs),
                    "dropped": self.played.dropped[number],
                    "jobs_per_s": _ratio(len(jobs) * PS_PER_S, self.duration_ps),
                    "macs": sum(each.macs for each in cost),
                    **_latencies([job.end_ps - job.came_ps for job in jobs]),
                    "wait_mean_s": _mean_s([job.start_ps - job.ready_ps for job in jobs]),
                    "alone_mean_s": _mean_s([job.job.steps.alone_ps for job in jobs]),
                    "slowdown": _ratio(took, alone) if alone else 1.0,
                    "deadline_s": deadline / PS_PER_S if deadline else None,
                    "misses": misses,
                    "charged_ps": self._charged_ps[number],
                    "dynamic_aj": dynamic,
                    "static_aj": static,
                    **_energy(dynamic + static),
                    "energy_per_job_j": _ratio(dynamic + static, len(jobs) * AJ_PER_J),
                    "weights_bytes": self.compiled.residences[program.name].weights,
                    "memory_bytes": self.compiled.residences[program.name].peak,
                }
            )
        return rows

    @cached_property
    def links(self) -> list[Row]:
        """A row for each link: what passed, how long it was occupied, and energy at both ends."""
        rows = []
        for number, (name, link) in enumerate(self.compiled.scenario.links.items()):
            messages, attached = self.played.messages[number], self.compiled.attached[number]
            idle = link.idle * self.duration_ps * len(attached)
            send = sum(each.passage.send_aj for each in messages)
            receive = sum(each.passage.receive_aj for each in messages)
            occupied = sum(each.passage.occupied_ps for each in messages)
            busiest = max(self._ports_ps(number).values(), default=0)
            rows.append(
                {
                    "link": name,
                    "devices": len(attached),
                    "messages": len(messages),
                    "bytes": sum(each.bytes for each in messages),
                    "wire_bytes": sum(each.passage.wire_bytes for each in messages),
                    "repeats": sum(each.repeats for each in messages),
                    "occupied_s": occupied / PS_PER_S,
                    "busiest_port_ps": busiest,
                    "utilization": _ratio(busiest, self.duration_ps),
                    **_latencies([each.end_ps - each.ready_ps for each in messages]),
                    "wait_mean_s": _mean_s([each.start_ps - each.ready_ps for each in messages]),
                    "send_aj": send,
                    "receive_aj": receive,
                    "idle_aj": idle,
                    **_energy(send + receive + idle),
                }
            )
        return rows

    @cached_property
    def sources(self) -> list[Row]:
        """A row for each program at which frames arrive: how long until their last consequence.

        `bound_per_s`: the rate at which the busiest device or port would never rest, were there
        more of all frames alike.
        """
        frames: dict[int, list[Frame]] = defaultdict(list)
        for frame in self.played.frames:
            frames[frame.program].append(frame)
        return [
            {
                "source": self.compiled.plan.programs[number].name,
                "frames": len(each),
                "frames_per_s": _ratio(len(each) * PS_PER_S, self.duration_ps),
                "bound_per_s": _ratio(len(each) * PS_PER_S, self._busiest[0]),
                **_latencies([frame.end_ps - frame.came_ps for frame in each]),
            }
            for number, each in sorted(frames.items())
        ]

    @cached_property
    def rounds(self) -> list[Row]:
        """A row for each round of training."""
        return [
            {
                "rounds": self.compiled.plan.rounds[each.rounds].name,
                "number": each.number,
                "start_s": each.start_ps / PS_PER_S,
                "duration_s": (each.end_ps - each.start_ps) / PS_PER_S,
                "duration_ps": each.end_ps - each.start_ps,
                "answers": each.answers,
            }
            for each in self.played.rounds
        ]

    @cached_property
    def total(self) -> Row:
        """The sums over all devices, and what is the busiest among devices and links."""
        frames, duration = len(self.played.frames), self.duration_ps
        energy = sum(row["energy_aj"] for row in self.devices)
        return {
            "duration_ps": duration,
            "duration_s": duration / PS_PER_S,
            "frames": frames,
            "frames_per_s": _ratio(frames * PS_PER_S, duration),
            "bound_per_s": _ratio(frames * PS_PER_S, self._busiest[0]),
            "busiest": self._busiest[1],
            "macs": sum(row["macs"] for row in self.devices),
            "bytes": sum(row["bytes"] for row in self.links),
            **_energy(energy),
            "energy_per_frame_j": _ratio(energy, frames * AJ_PER_J),
            "idle_aj": self._idle_aj,
            "average_power_w": _ratio(energy, duration * 10**6),
        }

    def as_dict(self) -> Row:
        """Return the result in its published schema."""
        return {
            "schema": SCHEMA,
            "scenario": self.compiled.scenario.name,
            "provenance": dict(self.provenance),
            "total": self.total,
            "sources": self.sources,
            "devices": self.devices,
            "programs": self.programs,
            "links": self.links,
            "rounds": self.rounds,
        }

    @cached_property
    def _busiest(self) -> tuple[int, str]:
        """How long the busiest device or port of a link works, and its name."""
        devices = [(row["busy_ps"], row["device"]) for row in self.devices]
        links = [(row["busiest_port_ps"], row["link"]) for row in self.links]
        return max(devices + links, key=lambda each: each[0])

    @cached_property
    def _homes(self) -> dict[str, str]:
        """The device of each program."""
        scenario = self.compiled.scenario
        homes = {name: each.on for name, each in scenario.programs.items()}
        for name, each in scenario.rounds.items():
            homes |= {f"{name}.train": each.clients, f"{name}.average": each.server}
        return homes

    @property
    def _deadlines(self) -> dict[str, int]:
        programs = self.compiled.scenario.programs.items()
        return {name: each.deadline for name, each in programs if each.deadline}

    @cached_property
    def _jobs_on(self) -> Mapping[int, list[JobRun]]:
        return _grouped(self.played.jobs, lambda job: job.device)

    @cached_property
    def _jobs_of(self) -> Mapping[int, list[JobRun]]:
        return _grouped(self.played.jobs, lambda job: job.program)

    @cached_property
    def _charged(self) -> list[Counter[int]]:
        """The time of each device that is charged to each program, by numbers."""
        return [charged_ps(self._jobs_on[n]) for n in range(len(self.compiled.plan.devices))]

    @cached_property
    def _charged_ps(self) -> Counter[int]:
        return sum(self._charged, Counter())

    @cached_property
    def _charged_aj(self) -> Counter[int]:
        """The static energy that is charged to each program."""
        charged: Counter[int] = Counter()
        for kind in self.compiled.kinds:
            for number in kind.numbers:
                for program, ps in self._charged[number].items():
                    charged[program] += kind.static_uw * ps
        return charged

    @property
    def _idle_aj(self) -> int:
        """The static energy of devices while nothing runs on them."""
        static: int = sum(row["static_aj"] for row in self.devices)
        return static - sum(self._charged_aj.values())

    @cached_property
    def _link_ends_aj(self) -> Counter[int]:
        """The energy of all links at each device."""
        ends: Counter[int] = Counter()
        for link, messages, attached in zip(
            self.compiled.plan.links, self.played.messages, self.compiled.attached, strict=True
        ):
            for device in attached:
                ends[device] += link.idle * self.duration_ps
            for each in messages:
                ends[each.sender] += each.passage.send_aj
                ends[each.receiver] += each.passage.receive_aj
        return ends

    def _ports_ps(self, number: int) -> Counter[tuple[int, str]]:
        """Return how long each port of a link was occupied, or its medium."""
        plan, ports = self.compiled.plan, Counter[tuple[int, str]]()
        medium, hub = plan.links[number].medium, plan.hubs.get(number, frozenset())
        for each in self.played.messages[number]:
            for end in ports_of(medium, each.sender, each.receiver, hub):
                ports[end] += each.passage.occupied_ps
        return ports

    def _unit_busy_ps(self, jobs: Iterable[JobRun]) -> Counter[str]:
        busy: Counter[str] = Counter()
        for job in jobs:
            busy.update(job.busy_ps or _cost(job).busy_ps)
        return busy


def charged_ps(jobs: Sequence[JobRun]) -> Counter[int]:
    """Return the time of a device that is charged to each program with jobs on it.

    Time in which jobs of several programs run is divided equally among these, its remainders in
    picoseconds to the first; all parts add up to the time in which any job runs.
    """
    starts = sorted((job.start_ps, 1, job.program) for job in jobs)
    ends = sorted((job.end_ps, -1, job.program) for job in jobs)
    charged, running, since = Counter[int](), Counter[int](), 0
    for now, change, program in merge(ends, starts):
        present = sorted(each for each, count in running.items() if count)
        if present:
            part, rest = divmod(now - since, len(present))
            for place, each in enumerate(present):
                charged[each] += part + (place < rest)
        since = now
        running[program] += change
    return charged


def percentile(values: Sequence[int], percent: int) -> int:
    """Return the nearest-rank percentile of sorted values."""
    return values[max(0, -(-len(values) * percent // 100) - 1)]


def _cost(job: JobRun) -> JobCost:
    assert isinstance(job.job, JobCost), "scenarios run jobs that they have costed"
    return job.job


def _grouped(jobs: Iterable[JobRun], key: Any) -> Mapping[int, list[JobRun]]:
    groups: dict[int, list[JobRun]] = defaultdict(list)
    for job in jobs:
        groups[key(job)].append(job)
    return groups


def _energy(aj: int) -> Row:
    return {"energy_aj": aj, "energy_j": aj / AJ_PER_J}


def _latencies(values: Iterable[int]) -> Row:
    ordered = sorted(values)
    row: Row = {"latency_mean_s": _mean_s(ordered)}
    for percent in PERCENTILES:
        value = percentile(ordered, percent) if ordered else 0
        row[f"latency_p{percent}_s"] = value / PS_PER_S
    return row | {"latency_max_s": ordered[-1] / PS_PER_S if ordered else 0.0}


def _mean_s(values: Sequence[int]) -> float:
    return _ratio(sum(values), len(values) * PS_PER_S)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0


def _seconds(times_ps: Mapping[str, int]) -> dict[str, float]:
    return {name: ps / PS_PER_S for name, ps in times_ps.items()}
