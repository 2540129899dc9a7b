"""Replaying a training run on a machine: each distinct step once cold and once steady."""

import platform
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from simulator.activity import StepRun
from simulator.code import version_of
from simulator.collector import paused_collector
from simulator.energy.area import areas
from simulator.energy.boundary import USUAL, Boundary
from simulator.energy.formats import format_notes
from simulator.energy.fpga import check_fits, resources
from simulator.energy.prices import prices
from simulator.errors import Infeasible, InputError, a_or_an
from simulator.hardware import Hardware
from simulator.lowering.fusion import fusion_of
from simulator.lowering.lower import Carry, Lowering
from simulator.machine.soc import FIDELITIES
from simulator.machine.step import MOST_TILES, StepRunner
from simulator.pattern_store import kept_samples
from simulator.results.fusion import fusion_document
from simulator.results.methods import bits_by_epoch
from simulator.results.metrics import metric
from simulator.results.notes import notes_of, voltage_notes
from simulator.results.record import StepRecord
from simulator.results.result import Identity, Result
from simulator.results.sparsity import sparsity_document
from simulator.si import si
from simulator.step_run import SectionedRun
from simulator.timing.compiled import compiled_on
from simulator.timing.sharing import sharing_of
from simulator.trace.memory import footprint, with_copies
from simulator.trace.passes.overlay import resolved
from simulator.trace.storage import load_trace
from simulator.trace.trace import Step, StepKind, Trace

if TYPE_CHECKING:
    from simulator.placing import Placed
    from simulator.results.step_documents import StepDocument

StepProgress = Callable[[Iterable[int], int, str], Iterable[int]]


def _silently(items: Iterable[int], _total: int, _what: str) -> Iterable[int]:
    return items


class Recording(Protocol):
    """A capture that holds a trace."""

    @property
    def trace(self) -> Trace:
        """The captured run."""


class Machine:
    """A SoC that runs steps of any trace and lowers each one once."""

    def __init__(
        self,
        hardware: Hardware,
        fidelity: str = "flow",
        most_tiles: int = MOST_TILES,
        boundary: Boundary = USUAL,
    ) -> None:
        """Build `hardware`; see `Replay` for the other parameters."""
        if fidelity not in FIDELITIES:
            names = " or ".join(FIDELITIES)
            raise InputError(f"no fidelity {fidelity!r}: choose {names}")
        self.hardware, self.fidelity = hardware, fidelity
        self.lowering, self.prices = Lowering(hardware), prices(hardware, boundary)
        sharing = sharing_of(hardware)
        self._runner = StepRunner(sharing, fidelity, most_tiles)
        flows = fidelity == FIDELITIES[0]
        self._recorder = self._runner if flows else StepRunner(sharing)

    def run(
        self, step: Step, carry: Carry, units: Sequence[str] | None
    ) -> tuple[SectionedRun, Carry]:
        """Run one step after what left `carry`, op i on `units[i]` or where the rules place it.

        Returns what happened and what the step leaves. Raises Infeasible when the DRAM cannot hold
        it.
        """
        lowered, after = self.lowering.lowered(step, carry, units)
        memory = with_copies(step, lowered.program.copies)
        _check_capacity(self.hardware, step, memory["peak_bytes"], memory["copies"])
        return self._runner.run(lowered), after

    def record(
        self, step: Step, carry: Carry, units: Sequence[str] | None
    ) -> tuple[StepRun, SectionedRun]:
        """Return what `run` does, with the memory traffic over time and by sections, at fidelity
        "flow".
        """
        lowered, _ = self.lowering.lowered(step, carry, units)
        return self._recorder.record(lowered), self._recorder.run(lowered)


def replay(
    machine: Machine,
    trace: Trace,
    placed: "Placed | None" = None,
    progress: StepProgress = _silently,
) -> tuple[StepRecord, ...]:
    """Return the records of a run of `trace`, without methods, on `machine`.

    Each distinct step runs once cold, after the one that comes before it, and once steady, after
    itself. Its ops run where they are `placed`, or where the rules place them.
    """
    carry = Carry()
    records: list[StepRecord] = []
    order = _in_order_of_use(trace)
    for index in progress(order, len(order), f"replaying on {machine.hardware.name}"):
        step, units = trace.steps[index], placed[index] if placed else None
        cold_run, after = machine.run(step, carry, units)
        first, rest = _first_and_rest(trace, index)
        if after == carry:
            first, rest = _merged(first, rest), {}
        records.append(_record(machine, step, index, cold_run, first))
        if rest:
            steady_run, _ = machine.run(step, after, units)
            records.append(_record(machine, step, index, steady_run, rest))
        carry = after
    return tuple(records)


def _record(
    machine: Machine, step: Step, index: int, run: SectionedRun, runs: dict[int, int]
) -> StepRecord:
    dram = machine.hardware.dram
    return StepRecord(index, run, machine.prices, step.op_names, runs, dram, step.tokens)


class Replay:
    """One trace on one machine, placed by the rules or as a search finds best."""

    def __init__(
        self,
        hardware: Hardware,
        trace: Trace,
        settings: Iterable[str] = (),
        fidelity: str = "flow",
        most_tiles: int = MOST_TILES,
        boundary: Boundary = USUAL,
    ) -> None:
        """Prepare to replay `trace`. Raises Infeasible when a step does not fit the DRAM, or the
        arrays their FPGA.

        `settings` are the overrides "key=value" that made `hardware`; the result names them.
        `fidelity` is one of `machine.soc.FIDELITIES`; "tile" takes `most_tiles` in a step.
        `boundary` says whose joules the result is of.
        """
        check_fits(hardware)
        self.machine = Machine(hardware, fidelity, most_tiles, boundary)
        self.hardware = hardware
        self._best_placed: Placed | None = None  # None before the search
        self._settings = tuple(settings)
        self._unfused = resolved(trace)
        self.trace = resolved(self._unfused, fusion_of(hardware))
        self._method = _method_name(trace)
        self._bits = bits_by_epoch(trace)
        for step in self.trace.steps:
            _check_capacity(hardware, step, footprint(step).peak_bytes)

    def run(self, progress: StepProgress = _silently) -> Result:
        """Return what the whole run costs; `progress` wraps the loop over distinct steps."""
        with kept_samples(self.hardware.dram.device), paused_collector():
            if not self._searches:
                return self._result(None, replay(self.machine, self.trace, None, progress))
            self._best_placed, result = self._best(progress)
            return result

    @property
    def _searches(self) -> bool:
        return self.hardware.runtime.placement != "rules" and bool(self.hardware.drivers)

    def _best(self, progress: StepProgress) -> "tuple[Placed, Result]":
        """Return the best placement of some candidates, each simulated, and its result."""
        from simulator.placing import candidates  # noqa: PLC0415 - for searches alone

        cost = metric("energy_aj" if self.hardware.runtime.placement == "frugal" else "latency_ps")
        machine, results = self.machine, []
        options = candidates(self.hardware, self.trace, machine.lowering, machine.prices)
        refusals: list[Infeasible] = []
        for name, placed in options.items():
            try:
                result = self._result(placed, replay(machine, self.trace, placed, progress))
            except Infeasible as refusal:
                refusals.append(refusal)
                continue
            result.identity.provenance["placement"] = name
            results.append((placed, result))
        if not results:
            raise refusals[0]
        return min(results, key=lambda item: cost.of(item[1].total))

    @property
    def placed(self) -> "Placed | None":
        """The placement of the ops, None where the rules place them."""
        if self._searches and self._best_placed is None:
            self.run()
        return self._best_placed

    def _result(self, placed: "Placed | None", records: tuple[StepRecord, ...]) -> Result:
        result = Result(
            lambda: self._identity(placed, records),
            records,
            self.machine.prices,
            self._macs_per_s,
            self._memory(records),
            areas(self.hardware),
            resources(self.hardware),
        )
        result.source = self.hardware, self._unfused
        return result

    def typical_step(self) -> "StepDocument":
        """Return one steady run of the most frequent training step over time, as a document."""
        from simulator.results.step import step_document  # noqa: PLC0415 - for runs into folders

        index = self.trace.typical_step
        step, after = self.trace.steps[index], self._after_itself(index)
        step_run, sections = self.machine.record(*after)
        states = _record(self.machine, step, index, sections, {}).states
        prices = self.machine.prices
        return step_document(self.hardware, prices, step_run, states, step, self.trace.name)

    def steady_step(self, index: int) -> StepRun:
        """Return a run of distinct step `index` after itself, with what flowed when."""
        return self.machine.record(*self._after_itself(index))[0]

    def steady_run(self, index: int) -> SectionedRun:
        """Return a run of distinct step `index` after itself, without what flowed: sooner."""
        return self.machine.run(*self._after_itself(index))[0]

    def _after_itself(self, index: int) -> tuple[Step, Carry, Sequence[str] | None]:
        """Return a step, what it leaves to itself, and where its ops run."""
        step, placed = self.trace.steps[index], self.placed
        units = placed[index] if placed else None
        _, carry = self.machine.lowering.lowered(step, Carry(), units)
        return step, carry, units

    @property
    def typical_trace(self) -> Trace:
        """One run of the typical step, as traced: what this machine fuses is apart in it."""
        return self._unfused.typical_run

    def _memory(self, records: Sequence[StepRecord]) -> dict[str, int]:
        """Return the footprint of the training step that holds most (of any step without one)."""
        steps = [self.trace.steps[record.step] for record in records]
        training = any(step.kind is StepKind.TRAIN for step in steps)
        footprints = [
            with_copies(step, record.run.lowered.program.copies)
            for step, record in zip(steps, records, strict=True)
            if step.kind is StepKind.TRAIN or not training
        ]
        return max(footprints, key=lambda each: each["peak_bytes"])

    @property
    def _macs_per_s(self) -> int:
        array = self.hardware.accelerator
        return array.peak_macs_per_s if array else 0

    def _identity(self, placed: "Placed | None", records: tuple[StepRecord, ...]) -> Identity:
        hardware, trace = self.hardware, self.trace
        notes = [*format_notes(hardware), *voltage_notes(hardware), *notes_of(records)]
        return Identity(
            hardware.name,
            trace.name,
            self._method,
            self.machine.fidelity,
            precisions(self.machine, trace, placed) | ({"bits": self._bits} if self._bits else {}),
            {
                "trainsoc": version_of("trainsoc"),
                "simpy": version_of("simpy"),
                "python": ".".join(platform.python_version_tuple()[:2]),
                "hardware_digest": hardware.digest,
                "energy_digest": self.machine.prices.digest,
                "trace_digest": self._unfused.digest,
                "trace_origin": trace.origin,
                "command": self._command,
                **({"notes": notes} if notes else {}),
            },
            fusion_document(
                hardware.runtime.fusion,
                self._unfused,
                trace,
                records,
                compiled=compiled_on(hardware.cpu, hardware.runtime) is not None,
            ),
            sparsity_document(trace, records),
        )

    @property
    def _command(self) -> str:
        """The command that gives this result, whatever files it was read from."""
        fidelity = self.machine.fidelity
        options = [word for setting in self._settings for word in ("--set", setting)]
        part = self.trace.origin.get("part")
        options += ["--part", part] if part else []
        options += ["--fidelity", fidelity] if fidelity != FIDELITIES[0] else []
        return shlex.join(["trainsoc", "run", self.hardware.name, self.trace.name, *options])


def as_trace(source: Trace | Recording | str | Path) -> Trace:
    """Return the trace that `source` is, holds, or names."""
    if isinstance(source, Trace):
        return source
    if isinstance(source, str | Path):
        return load_trace(source)
    return source.trace


def precisions(machine: Machine, trace: Trace, placed: "Placed | None" = None) -> dict[str, Any]:
    """Return the precisions of the GEMMs as traced and as executed, sorted by name."""
    steps = [
        machine.lowering.precisions(step, placed[number] if placed else None)
        for number, step in enumerate(trace.steps)
    ]
    array = machine.hardware.accelerator
    return {
        "traced": sorted({name for step in steps for name in step.traced}),
        "executed": sorted({name for step in steps for name in step.executed}),
        "array": array.precision if array else None,
        "rule": array.on_unsupported_precision if array else None,
    }


def _method_name(trace: Trace) -> str:
    """Return what the methods of a run are called, "as traced" without any."""
    return " + ".join(dict.fromkeys(method.name for method in trace.methods))


def _check_capacity(hardware: Hardware, step: Step, needed: int, copies: int = 0) -> None:
    if needed > hardware.dram.capacity:
        with_them = f" with {si(copies, 'B')} of copies for other units" if copies else ""
        raise Infeasible(
            "dram.capacity",
            needed,
            hardware.dram.capacity,
            f"{a_or_an(step.kind)} step holds {si(needed, 'B')} at its peak{with_them} but "
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
