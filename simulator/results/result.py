"""The versioned result of a replay: totals, phases, layers, epochs, ops, memory, provenance."""

import json
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from simulator.activity import Span, Task, Unit, Work
from simulator.energy.area import Area
from simulator.energy.prices import Prices
from simulator.errors import InputError
from simulator.results.tally import Tally, union_ps
from simulator.timing.shares import WHOLE
from simulator.trace.op import Phase
from simulator.units import AJ_PER_J, PS_PER_S

SCHEMA = "1.0"
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One simulated kind of step: which distinct step, its tasks, and how often it ran.

    `runs` counts it per epoch.
    """

    step: int
    tasks: tuple[Task, ...]
    spans: tuple[Span, ...]
    attributed_ps: tuple[int, ...]
    peaks_uw: tuple[int, ...]
    op_names: tuple[str, ...]
    runs: dict[int, int]

    @property
    def count(self) -> int:
        """How often this kind ran in all."""
        return sum(self.runs.values())


@dataclass(frozen=True, slots=True)
class Identity:
    """What the result is of: names and digests of everything that went in."""

    hardware: str
    trace: str
    method: str
    fidelity: str
    precision: dict[str, Any]
    provenance: dict[str, Any]


class Result:
    """What a training run costs. Every sum is exact; shares and rates are derived from it."""

    def __init__(
        self,
        identity: Identity,
        records: tuple[StepRecord, ...],
        prices: Prices,
        macs_per_s: int,
        memory: dict[str, int],
        area: tuple[Area, ...] = (),
    ) -> None:
        """Sum `records`; `macs_per_s` is the array's peak rate, 0 without one."""
        self.identity = identity
        self.records = records
        self.prices = prices
        self.memory = memory
        self.area = area
        self.macs_per_s = macs_per_s
        self._by_layer: dict[tuple[str, Phase], Tally] = {}
        self._by_phase: dict[Phase, Tally] = {}
        self._by_epoch: dict[int, Tally] = {}
        for record in records:
            self._sum(record)

    @property
    def total(self) -> dict[str, Any]:
        """Return the totals of the run."""
        whole = Tally()
        for tally in self._by_epoch.values():
            whole.add(tally)
        return self._view(whole)

    @property
    def area_mm2(self) -> dict[str, float]:
        """Return the area of each component that has one, and their sum, which is no die size."""
        parts = {part.component: part.mm2 for part in self.area}
        return parts | {"total": sum(parts.values())}

    @property
    def phases(self) -> list[dict[str, Any]]:
        """Return the sums of each phase, in the order of a training step."""
        found = [phase for phase in Phase if phase in self._by_phase]
        return [{"phase": phase.value, **self._view(self._by_phase[phase])} for phase in found]

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Return the sums of each layer and phase, in order of appearance."""
        return [
            {"layer": layer, "phase": phase.value, **self._view(tally)}
            for (layer, phase), tally in self._by_layer.items()
        ]

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """Return the sums of each epoch."""
        return [
            {"epoch": epoch, **self._view(self._by_epoch[epoch])}
            for epoch in sorted(self._by_epoch)
        ]

    @property
    def ops(self) -> list[dict[str, Any]]:
        """Return one row per piece of work of each distinct step, with how often it ran."""
        return [row for record in self.records for row in self._op_rows(record)]

    def as_dict(self, *, ops: bool = False) -> dict[str, Any]:
        """Return the result in its published schema."""
        identity = self.identity
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "provenance": identity.provenance,
            "hardware": identity.hardware,
            "trace": identity.trace,
            "method": identity.method,
            "fidelity": identity.fidelity,
            "precision": identity.precision,
            "epochs_simulated": len(self._by_epoch),
            "steps_simulated": sum(record.count for record in self.records),
            "total": self.total,
            "phases": self.phases,
            "layers": self.layers,
            "epochs": self.epochs,
            "memory": self.memory,
            "area_mm2": self.area_mm2,
            "area": [part.as_dict() for part in self.area],
        }
        return document | ({"ops": self.ops} if ops else {})

    def to_json(self, *, ops: bool = False) -> str:
        """Return `as_dict` as JSON text; equal results give equal text."""
        return json.dumps(self.as_dict(ops=ops), indent=1, ensure_ascii=False) + "\n"

    def _view(self, tally: Tally) -> dict[str, Any]:
        return tally.as_dict(self.prices, self.macs_per_s)

    def _sum(self, record: StepRecord) -> None:
        layers = _layer_tallies(record)
        phases: dict[Phase, Tally] = {}
        for (layer, phase), tally in layers.items():
            self._by_layer.setdefault((layer, phase), Tally()).add(tally, record.count)
            phases.setdefault(phase, Tally()).add(tally)
        _set_active(phases, record, lambda task: task.phase)
        step = Tally()
        for phase, tally in phases.items():
            self._by_phase.setdefault(phase, Tally()).add(tally, record.count)
            step.add(tally)
        step.active_ps = step.latency_ps
        for epoch, runs in record.runs.items():
            self._by_epoch.setdefault(epoch, Tally()).add(step, runs)

    def _op_rows(self, record: StepRecord) -> list[dict[str, Any]]:
        return [self._op_row(record, index) for index in range(len(record.tasks))]

    def _op_row(self, record: StepRecord, index: int) -> dict[str, Any]:
        task, span = record.tasks[index], record.spans[index]
        work, attributed = task.work, record.attributed_ps[index]
        counts = work.counts
        energy = self.prices.dynamic_aj_of(counts)
        energy += sum(self.prices.static_by_component_aj(attributed))
        duration = span.end_ps - span.start_ps
        total_cycles = _cycles(work.compute_cycles, work.compute_ps, duration)
        return {
            "index": index,
            "step": record.step,
            "count": record.count,
            "phase": task.phase.value,
            "layer": task.layer,
            "op": record.op_names[task.op],
            "stage": work.stage.value,
            "unit": work.unit.value,
            "start_s": span.start_ps / PS_PER_S,
            "end_s": span.end_ps / PS_PER_S,
            "attributed_s": attributed / PS_PER_S,
            "attributed_ps": attributed,
            "contention_s": _contention_ps(work, span) / PS_PER_S,
            "batch": work.batch,
            "m": work.m,
            "n": work.n,
            "k": work.k,
            "compute_cycles": work.compute_cycles,
            "stall_cycles": total_cycles - work.compute_cycles,
            "total_cycles": total_cycles,
            "bound": _bound(work),
            "mapping": work.mapping,
            "mapped": work.mapped,
            "macs": counts.macs,
            "macs_issued": counts.macs_issued,
            "dram_read_bytes": counts.dram_read_bytes,
            "dram_write_bytes": counts.dram_write_bytes,
            "energy_j": energy / AJ_PER_J,
            "energy_aj": energy,
        }


def _layer_tallies(record: StepRecord) -> dict[tuple[str, Phase], Tally]:
    """Return the sums of one step by layer and phase."""
    tallies: dict[tuple[str, Phase], Tally] = {}
    for task, span, attributed, peak in zip(
        record.tasks, record.spans, record.attributed_ps, record.peaks_uw, strict=True
    ):
        tally = tallies.setdefault((task.layer, task.phase), Tally())
        tally.add(_tally(task.work, span, attributed, peak))
    _set_active(tallies, record, lambda task: (task.layer, task.phase))
    return tallies


def _set_active(
    tallies: dict[Key, Tally], record: StepRecord, key_of: Callable[[Task], Key]
) -> None:
    """Fill in the time in which the tasks of each tally ran, overlaps counted once."""
    spans: dict[Key, list[Span]] = {}
    for task, span in zip(record.tasks, record.spans, strict=True):
        spans.setdefault(key_of(task), []).append(span)
    for key, tally in tallies.items():
        tally.active_ps = union_ps(spans[key])


def _tally(work: Work, span: Span, attributed_ps: int, peak_uw: int) -> Tally:
    busy = span.end_ps - span.start_ps
    on_cpu = work.unit is Unit.CPU
    return Tally(
        latency_ps=attributed_ps,
        cpu_busy_ps=busy if on_cpu else 0,
        accelerator_busy_ps=0 if on_cpu else busy,
        contention_ps=_contention_ps(work, span),
        cpu_dram_bytes=work.counts.dram_read_bytes + work.counts.dram_write_bytes if on_cpu else 0,
        peak_uw=peak_uw,
        counts=list(work.counts),
    )


def _contention_ps(work: Work, span: Span) -> int:
    """Return what the work took longer than it would have alone."""
    return max(0, span.end_ps - span.start_ps - work.progress.duration_ps(WHOLE))


def _cycles(compute_cycles: int, compute_ps: int, duration_ps: int) -> int:
    """Return the duration in the unit's cycles, whose length the computation gives."""
    if not compute_cycles or not compute_ps:
        return 0
    return max(compute_cycles, duration_ps * compute_cycles // compute_ps)


def _bound(work: Work) -> str:
    """Return what the work's duration alone is mostly made of."""
    parts = {"compute": work.compute_ps, "memory": work.memory_ps, "launch": work.overhead_ps}
    return max(parts, key=lambda name: parts[name])


def write_result(path: Path, result: Result, *, ops: bool = False) -> None:
    """Write `result` as JSON: to a temporary name first, so that no half file is ever seen."""
    write_text(path, result.to_json(ops=ops))


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in one piece. Raises InputError when the place is not writable."""
    if not path.name or path.is_dir():
        raise InputError(f"{path}: is a folder: give the name of a file in it")
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def read_result(directory: Path) -> dict[str, Any]:
    """Return the document that `write_result` left in `directory`.

    Raises InputError when there is none, or when it is of a newer major schema.
    """
    path = directory / "result.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{directory}: no result.json here: run `trainsoc run -o` first") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}): run `trainsoc run -o` again") from None
    if not isinstance(document, dict) or "schema" not in document:
        raise InputError(f"{path}: not a result of trainsoc: run `trainsoc run -o` again")
    if _major(document["schema"]) > _major(SCHEMA):
        raise InputError(
            f"{path}: result schema {document['schema']} is newer than this trainsoc reads "
            f"({SCHEMA}): upgrade trainsoc"
        )
    return document


def _major(schema: object) -> int:
    return int(str(schema).split(".", maxsplit=1)[0])
