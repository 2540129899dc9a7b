"""Replaying a training run on a machine: each distinct step once cold and once steady."""

import json
import platform
import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from simulator.activity import StepRun, Task
from simulator.code import version_of
from simulator.collector import paused_collector
from simulator.energy.area import areas
from simulator.energy.prices import prices
from simulator.errors import Infeasible, InputError, a_or_an
from simulator.files.writing import write_text
from simulator.hardware import Hardware, load_hardware
from simulator.lowering.lower import Carry, Lowering
from simulator.lowering.placement import place, traced_precision
from simulator.machine.interconnect import Interconnect
from simulator.machine.soc import FIDELITIES, MOST_TILES, run_step
from simulator.memo import Memo
from simulator.pattern_store import kept_samples
from simulator.placing import Placed, candidates
from simulator.results.constants import constants_document
from simulator.results.methods import bits_by_epoch
from simulator.results.metrics import metric
from simulator.results.power import peaks_of
from simulator.results.recost import save_costs
from simulator.results.result import Identity, Result, StepRecord, write_result
from simulator.results.samples import discard_samples
from simulator.results.step import step_document
from simulator.results.step_documents import StepDocument
from simulator.si import si
from simulator.trace.memory import Footprint, footprint
from simulator.trace.passes.overlay import resolved
from simulator.trace.storage import load_trace
from simulator.trace.trace import Step, StepKind, Trace

Progress = Callable[[Iterable[int], int, str], Iterable[int]]


def _silently(items: Iterable[int], _total: int, _what: str) -> Iterable[int]:
    return items


class Recording(Protocol):
    """A capture that holds a trace."""

    @property
    def trace(self) -> Trace:
        """The captured run."""


class Replay:
    """One trace on one machine. Lowered work is kept, so that a step costs its tasks alone."""

    def __init__(
        self,
        hardware: Hardware,
        trace: Trace,
        settings: Iterable[str] = (),
        fidelity: str = "flow",
        most_tiles: int = MOST_TILES,
    ) -> None:
        """Prepare to replay `trace`. Raises Infeasible when a step does not fit the DRAM.

        `settings` are the overrides "key=value" that made `hardware`; the result names them.
        `fidelity` is one of `machine.soc.FIDELITIES`; "tile" takes `most_tiles` in a step.
        """
        if fidelity not in FIDELITIES:
            names = " or ".join(FIDELITIES)
            raise InputError(f"no fidelity {fidelity!r}: choose {names}")
        self.hardware = hardware
        self._fidelity = fidelity
        self._most_tiles = most_tiles
        self._settings = tuple(settings)
        self.trace, self._footprints = _prepared(trace)
        self._method = _method_name(trace)
        self._bits = bits_by_epoch(trace)
        self._lowering = Lowering(hardware)
        self._placed: Placed | None = None  # by the rules, until a search has found better
        self._interconnect = Interconnect(hardware)
        self._prices = prices(hardware)
        for step, held in zip(self.trace.steps, self._footprints, strict=True):
            _check_capacity(hardware, step, held)

    def run(self, progress: Progress = _silently) -> Result:
        """Return what the whole run costs; `progress` wraps the loop over distinct steps."""
        with kept_samples(self.hardware.dram.device), paused_collector():
            if self._searches:
                return self._best(progress)
            return self._run(progress)

    @property
    def _searches(self) -> bool:
        runtime, array = self.hardware.runtime, self.hardware.accelerator
        return runtime.placement != "rules" and array is not None

    def _best(self, progress: Progress) -> Result:
        """Return the best of some placements, each simulated, and keep to it."""
        cost = metric("energy_aj" if self.hardware.runtime.placement == "frugal" else "latency_ps")
        found: list[tuple[Placed, Result]] = []
        options = candidates(self.hardware, self.trace, self._lowering, self._prices)
        for name, self._placed in options.items():
            result = self._run(progress)
            result.identity.provenance["placement"] = name
            found.append((self._placed, result))
        self._placed, best = min(found, key=lambda item: cost.of(item[1].total))
        return best

    def _run(self, progress: Progress) -> Result:
        carry = Carry()
        records: list[StepRecord] = []
        order = _in_order_of_use(self.trace)
        for index in progress(order, len(order), f"replaying on {self.hardware.name}"):
            cold_run, after = self._simulate(index, carry)
            first, rest = _first_and_rest(self.trace, index)
            if after == carry:
                records.append(self._record(index, cold_run, _merged(first, rest)))
            else:
                records.append(self._record(index, cold_run, first))
                if rest:
                    steady_run, _ = self._simulate(index, after)
                    records.append(self._record(index, steady_run, rest))
            carry = after
        return Result(
            self._identity(),
            tuple(records),
            self._prices,
            self._macs_per_s,
            self._memory(),
            areas(self.hardware),
        )

    def typical_step(self) -> StepDocument:
        """Return one steady run of the most frequent training step over time, as a document."""
        if self._searches and self._placed is None:
            self.run()
        index = self.trace.typical_step
        step_run = self.steady_step(index)
        names = tuple(op.name for op in self.trace.steps[index].ops)
        return step_document(self.hardware, self._prices, step_run, names, self.trace.name)

    def steady_step(self, index: int) -> StepRun:
        """Return a run of distinct step `index` after itself, with what flowed when."""
        _, carry = self._lower(index, Carry())
        tasks, _ = self._lower(index, carry)
        issue = self.hardware.runtime.issue
        return run_step(tasks, issue, interconnect=self._interconnect, record=True)

    def _simulate(self, index: int, carry: Carry) -> tuple[StepRun, Carry]:
        tasks, after = self._lower(index, carry)
        run = run_step(
            tasks,
            self.hardware.runtime.issue,
            self._fidelity,
            self._interconnect,
            most_tiles=self._most_tiles,
        )
        return run, after

    def _lower(self, index: int, carry: Carry) -> tuple[tuple[Task, ...], Carry]:
        placed = self._placed[index] if self._placed else None
        return self._lowering.lower(self.trace.steps[index], carry, placed)

    def _record(self, index: int, run: StepRun, runs: dict[int, int]) -> StepRecord:
        peaks = peaks_of(run.tasks, run.spans, self._prices)
        names = tuple(op.name for op in self.trace.steps[index].ops)
        return StepRecord(index, run.tasks, run.spans, run.attributed_ps, peaks, names, runs)

    def _memory(self) -> dict[str, int]:
        """Return the footprint of the training step that holds most (of any step without one)."""
        pairs = list(zip(self.trace.steps, self._footprints, strict=True))
        training = [held for step, held in pairs if step.kind is StepKind.TRAIN]
        held = max(training or self._footprints, key=lambda held: held.peak_bytes)
        return held.as_dict()

    @property
    def _macs_per_s(self) -> int:
        array = self.hardware.accelerator
        return array.peak_macs_per_s if array else 0

    def _identity(self) -> Identity:
        hardware, trace = self.hardware, self.trace
        return Identity(
            hardware.name,
            trace.name,
            self._method,
            self._fidelity,
            precisions(hardware, trace, self._placed)
            | ({"bits": self._bits} if self._bits else {}),
            {
                "trainsoc": version_of("trainsoc"),
                "simpy": version_of("simpy"),
                "python": ".".join(platform.python_version_tuple()[:2]),
                "hardware_digest": hardware.digest,
                "energy_digest": self._prices.digest,
                "trace_digest": trace.digest,
                "trace_origin": trace.origin,
                "command": _command(hardware.name, trace.name, self._settings, self._fidelity),
            },
        )


_TRACES = 4  # a guess: a sweep has one, or one for each method that it compares
_PREPARED: Memo[tuple[Trace, Trace, tuple[Footprint, ...]]] = Memo(_TRACES)


def _prepared(trace: Trace) -> tuple[Trace, tuple[Footprint, ...]]:
    """Return `trace` without methods and what its steps hold, made once for all machines."""

    def prepare() -> tuple[Trace, Trace, tuple[Footprint, ...]]:
        plain = resolved(trace)
        return trace, plain, tuple(map(footprint, plain.steps))

    # The trace is kept too, and so no other one has its id.
    return _PREPARED.get(id(trace), prepare)[1:]


def simulate(
    hardware: Hardware | str | Path,
    trace: Trace | Recording | str | Path,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    fidelity: str = "flow",
) -> Result:
    """Return what training as in `trace` costs on `hardware`.

    `hardware` is a description, a YAML file or a name in `hwconfigs`, with `overrides` as dotted
    paths; `trace` a trace, a capture, a file, or the name of a trace that ships with the product.
    Raises InputError for bad input, Infeasible when the machine cannot run it.
    """
    if isinstance(overrides, Mapping):
        settings = [f"{key}={value}" for key, value in overrides.items()]
    else:
        overrides = settings = list(overrides)
    soc = load_hardware(hardware, overrides)
    return Replay(soc, as_trace(trace), settings, fidelity).run()


def save_run(replay: Replay, result: Result, directory: Path, *, ops: bool = False) -> None:
    """Write result, prices, steps, resolved hardware and one step over time into `directory`."""
    discard_samples(directory)
    known = {"constants": constants_document(replay.hardware)}
    resolved = json.dumps(replay.hardware.plain() | known, indent=1)
    write_text(directory / "hardware.json", resolved + "\n")
    write_text(directory / "step.json", json.dumps(replay.typical_step()) + "\n")
    save_costs(result, directory)
    write_result(directory / "result.json", result, ops=ops)


def discard_run(directory: Path) -> None:
    """Remove what an earlier run left in `directory`, so that nothing is compared with it."""
    discard_samples(directory)
    for name in ("hardware.json", "step.json", "records.parquet", "energy.yaml", "result.json"):
        with suppress(OSError):
            (directory / name).unlink()
    with suppress(OSError):
        directory.rmdir()


def as_trace(source: Trace | Recording | str | Path) -> Trace:
    """Return the trace that `source` is, holds, or names."""
    if isinstance(source, Trace):
        return source
    if isinstance(source, str | Path):
        return load_trace(source)
    return source.trace


def precisions(hardware: Hardware, trace: Trace, placed: Placed | None = None) -> dict[str, Any]:
    """Return the precisions of the GEMMs as traced and as executed, sorted by name."""
    traced, executed = set(), set()
    for number, step in enumerate(trace.steps):
        for index, op in enumerate(step.ops):
            told = placed[number][index] if placed else None
            for gemm in op.gemms:
                traced.add(traced_precision(op, gemm))
                executed.add(place(hardware, op, gemm, told).precision)
    array = hardware.accelerator
    return {
        "traced": sorted(traced),
        "executed": sorted(executed),
        "array": array.precision if array else None,
        "rule": array.on_unsupported_precision if array else None,
    }


def _method_name(trace: Trace) -> str:
    """Return what the methods of a run are called, "as traced" without any."""
    return " + ".join(dict.fromkeys(method.name for method in trace.methods))


def _check_capacity(hardware: Hardware, step: Step, held: Footprint) -> None:
    if held.peak_bytes > hardware.dram.capacity:
        raise Infeasible(
            "dram.capacity",
            held.peak_bytes,
            hardware.dram.capacity,
            f"{a_or_an(step.kind)} step holds {si(held.peak_bytes, 'B')} at its peak but "
            f"{hardware.name}'s DRAM has {si(hardware.dram.capacity, 'B')}: "
            "use a smaller batch or a larger dram.capacity",
        )


def _in_order_of_use(trace: Trace) -> list[int]:
    return list(dict.fromkeys(segment.step for segment in trace.segments))


def _first_and_rest(trace: Trace, step: int) -> tuple[dict[int, int], dict[int, int]]:
    """Return the runs of a step per epoch: the first one, and all others."""
    runs = trace.runs_by_epoch[step]
    epoch = next(iter(runs))
    rest = {**runs, epoch: runs[epoch] - 1}
    return {epoch: 1}, {key: count for key, count in rest.items() if count}


def _merged(first: dict[int, int], rest: dict[int, int]) -> dict[int, int]:
    (epoch,) = first
    return {epoch: rest.get(epoch, 0) + 1, **{k: n for k, n in rest.items() if k != epoch}}


def _command(hardware: str, trace: str, settings: Iterable[str], fidelity: str) -> str:
    """Return the command that gives this result, whatever files it was read from."""
    options = [part for setting in settings for part in ("--set", setting)]
    options += ["--fidelity", fidelity] if fidelity != FIDELITIES[0] else []
    return shlex.join(["trainsoc", "run", hardware, trace, *options])
