"""One point to replay, as it goes to a worker, and the row of the table that comes back."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, NamedTuple

from simulator.code import fingerprint
from simulator.errors import Infeasible, InputError
from simulator.hardware import Hardware
from simulator.replay import Replay
from simulator.results.result import Result
from simulator.sweeps.sampled import sampled_columns
from simulator.trace.passes.overlay import scheduled
from simulator.trace.passes.treatment import MethodSchedule
from simulator.trace.phases import FACTS
from simulator.trace.trace import Trace
from simulator.uncertainty.account import account
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import draw

AS_TRACED = "as-traced"
Row = dict[str, Any]
_OF_PHASES = (
    "latency_s", "energy_j", "cpu_busy_s", "accelerator_busy_s", "array_use",
    "array_utilization", "dram_read_bytes", "dram_write_bytes",
)  # fmt: skip
_OF_TRAINING = ("latency_s", "energy_j", "cpu_busy_s", "accelerator_busy_s")
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Training:
    """The runs that a sweep replays: traces and methods by name, and which trainsoc asks.

    Sent to every worker once.
    """

    traces: Mapping[str, Trace]
    methods: Mapping[str, MethodSchedule]
    code: str = field(default_factory=fingerprint)
    _treated: dict[tuple[str, str], Trace] = field(default_factory=dict, repr=False, compare=False)

    def trace(self, name: str, method: str) -> Trace:
        """Return a trace, with a method laid over it unless that is "as-traced"."""
        if method == AS_TRACED:
            return self.traces[name]
        key = name, method
        if key not in self._treated:
            self._treated[key] = scheduled(self.traces[name], self.methods[method])
        return self._treated[key]

    def check(self) -> None:
        """Raise InputError where this process has another trainsoc than the one that asks."""
        if self.code != fingerprint():
            raise InputError(
                f"a worker runs trainsoc {fingerprint()}, the sweep trainsoc {self.code}: "
                "install the same on both"
            )


@dataclass(frozen=True)
class Job:
    """A point with its hardware. Equal addresses mean equal results.

    `columns` tell it apart in the table; `settings` are those that made the hardware. With
    `samples` it has intervals.
    """

    address: str
    hardware: Hardware
    trace: str
    method: str
    settings: tuple[str, ...]
    columns: Mapping[str, Any]
    full: bool = False
    samples: int = 0
    seed: int = 0


class Done(NamedTuple):
    """A row of the table, and the whole result as text if that was asked for."""

    row: Row
    document: str = ""


def address_of(hardware: Hardware, trace: Trace, code: str, samples: int = 0, seed: int = 0) -> str:
    """Return the name of a point by its content: its hardware, trace and method, and trainsoc.

    One that is sampled has another name, to which the ranges of its constants belong.
    """
    parts: tuple[Any, ...] = (hardware.digest, trace.digest, code)
    if samples:
        known = [astuple(each) for each in hardware.constants if each.is_uncertain]
        parts = (*parts, samples, seed, known)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def replay(job: Job, training: Training) -> Done:
    """Return what a point costs; one that cannot run has its reason instead."""
    training.check()
    told = {"point": job.address, **job.columns}
    try:
        trace = training.trace(job.trace, job.method)
        result = Replay(job.hardware, trace, job.settings).run()
        sampled = _sampled(job, trace, result) if job.samples else {}
    except Infeasible as error:
        return Done(told | {"feasible": False, "reason": error.reason})
    document = result.to_json() if job.full else ""
    return Done(told | {"feasible": True, "reason": ""} | _measures(result) | sampled, document)


def _sampled(job: Job, trace: Trace, result: Result) -> Row:
    """Return the columns of the samples of a point, and let its result say how sure it is."""
    (drawn,) = draw([Subject(job.hardware, trace)], job.samples, job.seed, most_processes=1)
    if job.full:
        result.uncertainty = account(drawn)
    return sampled_columns(drawn)


def _measures(result: Result) -> Row:
    total = result.total
    parts = total.pop("energy_by_component_j")
    masters = total.pop("bandwidth_by_master_bytes_per_s")
    exact = str(total.pop("energy_aj"))  # beyond 64 bits in long runs
    row: Row = {"epochs": len(result.epochs), **total, "energy_aj": exact}
    row |= {f"energy_{name}_j": value for name, value in parts.items()}
    row |= {f"bandwidth_{name}_bytes_per_s": value for name, value in masters.items()}
    row |= {f"area_{name}_mm2": value for name, value in result.area_mm2.items()}
    row |= {f"memory_{name.removesuffix('_bytes')}_bytes": n for name, n in result.memory.items()}
    for phase in result.phases:
        row |= {f"{phase['phase']}_{name}": phase[name] for name in _OF_PHASES}
    row |= {f"training_{name}": row[name] - _untrained(row, name) for name in _OF_TRAINING}
    return {name: _storable(value) for name, value in row.items()}


def _untrained(row: Row, name: str) -> float:
    untrained = (phase for phase, facts in FACTS.items() if not facts.trains)
    return sum(float(row.get(f"{phase}_{name}", 0.0)) for phase in untrained)


def _storable(value: Any) -> Any:
    return float(value) if isinstance(value, int) and value > _LARGEST else value
