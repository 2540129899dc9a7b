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
from simulator.results.metric_row import CostRow, Metric
from simulator.results.metrics import (
    AREAS,
    COST_BREAKDOWNS,
    MEMORY,
    METRICS,
    PHASES,
    TRAINING,
    TRAINING_PART,
    UNIT_BREAKDOWNS,
    using,
)
from simulator.results.result import Result
from simulator.sweeps.sampled import sampled_columns
from simulator.trace.op import Phase
from simulator.trace.passes.overlay import scheduled
from simulator.trace.passes.treatment import MethodSchedule
from simulator.trace.trace import Trace
from simulator.uncertainty.account import account
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import draw
from simulator.views.design_space import Cell, PointRow

AS_TRACED = "as-traced"
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Training:
    """The runs that a sweep replays: traces and methods by name, and the trainsoc that sweeps.

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
        """Raise InputError where this process has another trainsoc than the one that sweeps."""
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
    columns: PointRow
    full: bool = False
    samples: int = 0
    seed: int = 0


class Done(NamedTuple):
    """A row of the table, and the whole result as text where the job is `full`."""

    row: PointRow
    document: str = ""

    @property
    def address(self) -> str:
        """The address of the point."""
        return str(self.row["point"])

    @property
    def feasible(self) -> bool:
        """Whether the point can run."""
        return bool(self.row["feasible"])


def address_of(hardware: Hardware, trace: Trace, code: str, samples: int = 0, seed: int = 0) -> str:
    """Return the name of a point by its content: its hardware, trace and method, and trainsoc.

    One that is sampled has another name, to which the ranges of its constants belong.
    """
    parts: tuple[Any, ...] = (hardware.digest, trace.digest, code)
    if samples:
        ranges = [astuple(each) for each in hardware.constants if each.is_uncertain]
        parts = (*parts, samples, seed, ranges)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def replay(job: Job, training: Training) -> Done:
    """Return what a point costs; one that cannot run has its reason instead."""
    training.check()
    row: dict[str, Cell] = {"point": job.address, **job.columns}
    try:
        trace = training.trace(job.trace, job.method)
        result = Replay(job.hardware, trace, job.settings).run()
        sampled = _sampled(job, trace, result) if job.samples else {}
    except Infeasible as error:
        return Done(row | {"feasible": False, "reason": error.reason})
    document = result.to_json() if job.full else ""
    return Done(row | {"feasible": True, "reason": ""} | _metrics(result) | sampled, document)


def _sampled(job: Job, trace: Trace, result: Result) -> dict[str, Cell]:
    """Return the columns of the samples of a point, and let its result say how sure it is."""
    (samples,) = draw([Subject(job.hardware, trace)], job.samples, job.seed, most_processes=1)
    if job.full:
        result.uncertainty = account(samples)
    return sampled_columns(samples)


def _metrics(result: Result) -> dict[str, Cell]:
    total = result.total
    row: dict[str, Cell] = {"epochs": len(result.epochs)}
    row |= {each.key: _storable(each, each.get(total)) for each in METRICS if each.key in total}
    for costs in COST_BREAKDOWNS:
        row |= costs.columns(costs.of(total))
    row |= AREAS.columns(result.area_mm2)
    row |= MEMORY.columns({name.removesuffix("_bytes"): n for name, n in result.memory.items()})
    in_eval: CostRow = {}
    for phase in result.phases:
        name = phase["phase"]
        row |= {f"{name}_{each.key}": _storable(each, each.get(phase)) for each in using(PHASES)}
        for units in UNIT_BREAKDOWNS:
            row |= {f"{name}_{key}": n for key, n in units.columns(units.of(phase)).items()}
        in_eval = phase if name == Phase.EVAL.value else in_eval
    for each in using(TRAINING):
        row[f"{TRAINING_PART}_{each.key}"] = each.of(total) - each.of(in_eval)
    return row


def _storable(metric: Metric, value: float | None) -> str | float | None:
    """Return a value as tables hold it: exact energies go beyond 64 bits in long runs."""
    if metric.is_text:
        return str(value)
    return float(value) if isinstance(value, int) and value > _LARGEST else value
