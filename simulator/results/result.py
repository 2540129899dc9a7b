"""The versioned result of a replay: totals, phases, layers, epochs, ops, memory, provenance."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import TypeAdapter

from simulator.activity import Counts, DramStates
from simulator.energy.area import Area
from simulator.energy.fpga import Resources
from simulator.energy.prices import Prices
from simulator.errors import InputError
from simulator.files.json import parse_json, read_document
from simulator.files.writing import write_text
from simulator.hardware import Hardware
from simulator.html import html_table
from simulator.results.documents import (
    AGAIN,
    AreaRow,
    DvfsDocument,
    FpgaDocument,
    FusionDocument,
    HeatDocument,
    MemoryDocument,
    OpRow,
    PrecisionDocument,
    ProvenanceDocument,
    ResultDocument,
    SparsityDocument,
    UncertaintyDocument,
    Version,
)
from simulator.results.metric_row import CostRow
from simulator.results.metrics import cost_row
from simulator.results.op_rows import op_rows
from simulator.results.priced import Priced
from simulator.results.record import LayerPhase, Record
from simulator.results.tally import Key, Tally, summed
from simulator.si import si
from simulator.trace.op import Phase
from simulator.trace.passes.treatment import AS_TRACED
from simulator.trace.trace import Trace

SCHEMA = "1.0"
MACHINE, STEP = "machine.yaml", "step.trace"
"""What a folder has of the run's inputs: its SoC as a description, its typical step as a trace."""

_DOCUMENT = TypeAdapter(ResultDocument)


@dataclass(frozen=True, slots=True)
class Identity:
    """Names and digests of all inputs of a result."""

    hardware: str
    trace: str
    method: str
    fidelity: str
    precision: dict[str, Any]
    provenance: dict[str, Any]
    fusion: FusionDocument | None = None
    sparsity: SparsityDocument | None = None


class Amount(NamedTuple):
    """Latency, counts and states of the memory in a part of a run: all that its energy depends
    on.
    """

    latency_ps: int
    counts: Counts
    states: DramStates


class Result:
    """What a training run costs. Every sum is exact; shares and rates are derived from it."""

    def __init__(
        self,
        identity: Callable[[], Identity],
        records: tuple[Record, ...],
        prices: Prices,
        macs_per_s: int,
        memory: Mapping[str, int],
        area: tuple[Area, ...] = (),
        resources: Resources | None = None,
    ) -> None:
        """Sum `records` when a sum is first needed; `macs_per_s` is the array's peak, or 0.

        `identity` returns the names and digests of the inputs, which documents alone need.
        """
        self._identify = identity
        self.records = records
        self.prices = prices
        self.memory = memory
        self.area = area
        self.resources = resources
        self.macs_per_s = macs_per_s
        self.uncertainty: UncertaintyDocument | None = None  # until samples say how sure it is
        self.heat: HeatDocument | None = None  # of a SoC that describes how it cools
        self.dvfs: DvfsDocument | None = None  # of a SoC whose governor chooses clocks
        self.source: tuple[Hardware, Trace] | None = None  # of a run that was simulated here

    def __repr__(self) -> str:
        """Return what it is of, time and energy on one line."""
        return f"{type(self).__name__}({self._headline})"

    def _repr_html_(self) -> str:
        parts = {phase.value: part for phase, part in self.by_phase.items()} | {"total": self.whole}
        rows = [
            (name, si(part.latency_s, "s"), si(part.energy_j, "J"), si(part.bandwidth, "B/s"))
            for name, part in parts.items()
        ]
        return html_table(self._headline, ("phase", "latency", "energy", "DRAM"), rows)

    @property
    def _headline(self) -> str:
        """What the result is of, and what all of it costs."""
        identity, epochs = self.identity, len(self.epoch_numbers)
        method = f", {identity.method}" if identity.method != AS_TRACED.name else ""
        return (
            f"{identity.trace} on {identity.hardware}{method}: "
            f"{epochs} epoch{'s' * (epochs != 1)}, {sum(each.count for each in self.records)} "
            f"steps, {si(self.whole.latency_s, 's')}, {si(self.whole.energy_j, 'J')}"
        )

    @cached_property
    def identity(self) -> Identity:
        """The names and digests of all inputs."""
        return self._identify()

    @cached_property
    def whole(self) -> Priced:
        """The sums of the run, which is active for as long as it takes."""
        run = summed([(tally, 1) for tally in self._by_phase.values()])
        run.active_ps = run.latency_ps
        return self._priced(run)

    @cached_property
    def by_phase(self) -> dict[Phase, Priced]:
        """The sums of each phase, in the order of a training step."""
        sums = self._by_phase
        return {phase: self._priced(sums[phase]) for phase in Phase if phase in sums}

    @cached_property
    def epoch_numbers(self) -> list[int]:
        """The epochs that have steps."""
        return sorted({epoch for record in self.records for epoch in record.runs})

    @property
    def total(self) -> CostRow:
        """Return the totals of the run."""
        return cost_row(self.whole)

    @property
    def amounts(self) -> dict[str, Amount]:
        """Return what the run and each phase cost before any price; the whole run's name is ""."""
        whole = summed([(tally, 1) for tally in self._by_phase.values()])
        parts = {"": whole} | {phase.value: tally for phase, tally in self._by_phase.items()}
        return {name: Amount(t.latency_ps, t.counts, t.states) for name, t in parts.items()}

    @property
    def area_mm2(self) -> dict[str, float]:
        """Return the area of each component that has one, and their sum: not a die area."""
        parts = {part.component: part.mm2 for part in self.area}
        return parts | {"total": sum(parts.values())}

    @property
    def phases(self) -> list[CostRow]:
        """Return the sums of each phase, in the order of a training step."""
        return [{"phase": phase.value, **cost_row(part)} for phase, part in self.by_phase.items()]

    @property
    def layers(self) -> list[CostRow]:
        """Return the sums of each layer and phase, in order of appearance."""
        return [
            {"layer": layer, "phase": phase.value, **cost_row(self._priced(tally))}
            for (layer, phase), tally in self._by_layer.items()
        ]

    @property
    def epochs(self) -> list[CostRow]:
        """Return the sums of each epoch."""
        rows: list[CostRow] = []
        for epoch in self.epoch_numbers:
            ran = [(step, record.runs) for step, record in self._steps if epoch in record.runs]
            tally = summed([(step, runs[epoch]) for step, runs in ran])
            rows.append({"epoch": epoch, **cost_row(self._priced(tally))})
        return rows

    @property
    def ops(self) -> list[OpRow]:
        """Return one row per piece of work of each distinct step, with how often it ran."""
        rows = [row for record in self.records for row in op_rows(record, self.prices)]
        return cast(list[OpRow], rows)

    def as_dict(self, *, ops: bool = False) -> ResultDocument:
        """Return the result in its published schema."""
        identity = self.identity
        document: ResultDocument = {
            "schema": SCHEMA,
            "provenance": cast(ProvenanceDocument, identity.provenance),
            "hardware": identity.hardware,
            "trace": identity.trace,
            "method": identity.method,
            "fidelity": identity.fidelity,
            "boundary": self.prices.boundary.value,
            "precision": cast(PrecisionDocument, identity.precision),
            "epochs_simulated": len(self.epoch_numbers),
            "steps_simulated": sum(record.count for record in self.records),
            "total": self.total,
            "phases": self.phases,
            "layers": self.layers,
            "epochs": self.epochs,
            "memory": cast(MemoryDocument, self.memory),
            "area_mm2": self.area_mm2,
            "area": [cast(AreaRow, part.as_dict()) for part in self.area],
        }
        if self.resources:
            document["fpga"] = cast(FpgaDocument, self.resources._asdict())
        if identity.fusion:
            document["fusion"] = identity.fusion
        if identity.sparsity:
            document["sparsity"] = identity.sparsity
        if self.heat:
            document["heat"] = self.heat
        if self.dvfs:
            document["dvfs"] = self.dvfs
        if self.uncertainty:
            document["uncertainty"] = self.uncertainty
        if ops:
            document["ops"] = self.ops
        return document

    def to_json(self, *, ops: bool = False) -> str:
        """Return `as_dict` as JSON text; equal results give equal text."""
        return json.dumps(self.as_dict(ops=ops), indent=1, ensure_ascii=False) + "\n"

    def _priced(self, tally: Tally) -> Priced:
        return Priced(tally, self.prices, self.macs_per_s)

    @cached_property
    def _by_layer(self) -> dict[LayerPhase, Tally]:
        return _by_key(self.records, lambda record: record.by_layer)

    @cached_property
    def _by_phase(self) -> dict[Phase, Tally]:
        return _by_key(self.records, lambda record: record.by_phase)

    @cached_property
    def _steps(self) -> list[tuple[Tally, Record]]:
        """The sums of each kind of step, which is active for as long as it takes."""
        steps = []
        for record in self.records:
            step = summed([(tally, 1) for tally in record.by_phase.values()])
            step.active_ps = step.latency_ps
            steps.append((step, record))
        return steps


def _by_key(
    records: Iterable[Record], sums_of: Callable[[Record], Mapping[Key, Tally]]
) -> dict[Key, Tally]:
    """Return the sums over all steps of what each of them sums by some key."""
    parts: dict[Key, list[tuple[Tally, int]]] = {}
    for record in records:
        for key, tally in sums_of(record).items():
            parts.setdefault(key, []).append((tally, record.count))
    return {key: summed(each) for key, each in parts.items()}


def write_result(path: Path, result: Result, *, ops: bool = False) -> None:
    """Write `result` as JSON: to a temporary name first, so that no half file is ever seen."""
    write_text(path, result.to_json(ops=ops))


def read_result(directory: Path) -> ResultDocument:
    """Return the document that `write_result` left in `directory`.

    Raises InputError when there is none, when it is of a newer major schema, and where a value is
    none that a result can have.
    """
    path = directory / "result.json"
    try:
        _check_schema(path, parse_json(Version, path.read_bytes(), str(path), AGAIN).version)
        return read_document(_DOCUMENT, path, AGAIN)
    except OSError:
        raise InputError(f"{directory}: no result.json here: run `trainsoc run -o` first") from None


def _check_schema(path: Path, version: str) -> None:
    ours, theirs = (int(each.split(".", maxsplit=1)[0]) for each in (SCHEMA, version))
    if theirs > ours:
        raise InputError(
            f"{path}: result schema {version} is newer than this trainsoc reads "
            f"({SCHEMA}): upgrade trainsoc"
        )
