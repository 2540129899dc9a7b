"""What programs are made of: their jobs on a kind of device, the bytes that pass, their memory."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from simulator.energy.boundary import Boundary
from simulator.energy.prices import prices
from simulator.errors import InputError, shown
from simulator.hardware import Hardware, load_hardware
from simulator.machine.plan import JobSequence
from simulator.replay import Replay, as_trace
from simulator.scenario.description import ByteSpec, DeviceEntry, ProgramSource
from simulator.scenario.jobs import TraceJobs, fixed_job
from simulator.trace.memory import footprint
from simulator.trace.parts import Crossing, TracePart, crossing, part
from simulator.trace.passes.file import load_method
from simulator.trace.passes.overlay import resolved, scheduled
from simulator.trace.trace import Trace
from simulator.units import PS_PER_S, SIZE, ceil_div

Jobs = Callable[[], JobSequence]
"""The jobs of a program on a device, from a cold start on."""
ModelCapture = Callable[[str], Trace]
"""How to capture a model by its name; raises InputError for an unknown name."""

_WORDS = ("leaves", "enters", "inputs", "weights")


class DeviceKind(NamedTuple):
    """Equal devices: their numbers in the plan, and what each of them draws all the time."""

    name: str
    entry: DeviceEntry
    hardware: Hardware | None
    numbers: tuple[int, ...]
    static_uw: int


class Residence(NamedTuple):
    """The memory of a program on its device, in bytes: its weights, and its peak with them."""

    weights: int
    peak: int


def kind_of(name: str, entry: DeviceEntry, numbers: tuple[int, ...]) -> DeviceKind:
    """Return the devices of an entry. Raises InputError for what is wrong in their hardware."""
    if entry.hardware is None:
        return DeviceKind(name, entry, None, numbers, entry.idle)
    hardware = load_hardware(entry.hardware, entry.set)
    within = prices(hardware).at(Boundary(entry.boundary))
    return DeviceKind(name, entry, hardware, numbers, within.whole_static_uw)


class Sources:
    """Resolves the programs of a scenario; each trace is read once, each part replayed once."""

    def __init__(self, models: ModelCapture | None) -> None:
        """Capture models by name with `models`; without it only traces have names."""
        self._models = models
        self._traces: dict[str, Trace] = {}
        self._parts: dict[tuple[str, str, str], Trace] = {}
        self._jobs: dict[tuple[str, ...], TraceJobs] = {}

    def jobs(self, source: ProgramSource, kind: DeviceKind, where: str) -> tuple[Jobs, Residence]:
        """Return the jobs of a program on devices of a kind, and the memory that they need.

        Raises InputError with the fix, and Infeasible where the trace does not fit the device.
        """
        power = kind.entry.power
        if source.trace is None and source.time is not None:
            energy = source.energy + power * source.time
            time = source.setup + source.time
            return fixed_job(time, source.macs or 0, energy), Residence(0, 0)
        if kind.hardware is None:
            return self._at_rate(source, kind, where)
        if source.trace is None:
            raise InputError(
                f"{where}.macs: a SoC runs traces: name one, or give a time such as '5 ms'"
            )
        trace = self._part(source, where)
        key = (*_key(source), kind.name, source.job, str(source.setup))
        if key not in self._jobs:
            replay = Replay(kind.hardware, trace, boundary=Boundary(kind.entry.boundary))
            self._jobs[key] = TraceJobs(replay, source.job, source.setup)
        weights = self._crossing(source, where).weights
        return self._jobs[key].sequence, Residence(weights, self._jobs[key].peak_bytes)

    def size(self, size: ByteSpec, source: ProgramSource, where: str) -> int:
        """Return the bytes that pass: a size, or what crosses the cut around a part of a trace."""
        if size not in _WORDS:
            try:
                return SIZE.parse(size)
            except ValueError as error:
                raise InputError(f"{where}: {error}, or as {', '.join(_WORDS)}") from None
        if source.trace is None:
            raise InputError(
                f"{where}: {size}: this program has no trace: write bytes such as 32 B"
            )
        size_bytes: int = getattr(self._crossing(source, where), size)
        if not size_bytes:
            raise InputError(f"{where}: {size}: nothing crosses there: write bytes such as 32 B")
        return size_bytes

    def _at_rate(
        self, source: ProgramSource, kind: DeviceKind, where: str
    ) -> tuple[Jobs, Residence]:
        """Return jobs that take their MACs at the constant rate of a device."""
        entry = kind.entry
        if entry.rate is None:
            raise InputError(
                f"{where}: device {shown(kind.name)} has neither hardware nor a rate: add "
                "rate: 4 TMAC/s, or give the program a time"
            )
        macs, residence = source.macs or 0, Residence(0, 0)
        if source.macs is None:
            trace = self._part(source, where)
            macs = _macs(trace)
            residence = self._residence(source, trace, where)
        took = ceil_div(macs * PS_PER_S, entry.rate)
        energy = source.energy + entry.power * took
        return fixed_job(source.setup + took, macs, energy), residence

    def _residence(self, source: ProgramSource, trace: Trace, where: str) -> Residence:
        peak = max(footprint(step).peak_bytes for step in trace.steps)
        return Residence(self._crossing(source, where).weights, peak)

    def _crossing(self, source: ProgramSource, where: str) -> Crossing:
        """Return what crosses between a part and the rest of the phases that it has.

        Inference that is a part of training has nothing to pass to the backward pass.
        """
        spec = TracePart.parse(source.part) if source.part else TracePart()
        whole = self._whole(source, where)
        if spec.phases:
            whole = part(whole, TracePart(phases=spec.phases))
        return crossing(whole, replace(spec, phases=()))

    def _part(self, source: ProgramSource, where: str) -> Trace:
        key = _key(source)
        if key not in self._parts:
            whole = self._whole(source, where)
            spec = TracePart.parse(source.part) if source.part else None
            try:
                self._parts[key] = part(whole, spec) if spec else whole
            except InputError as error:
                raise InputError(f"{where}.{error}") from None
        return self._parts[key]

    def _whole(self, source: ProgramSource, where: str) -> Trace:
        """Return the trace of a source as its method trains it."""
        assert source.trace is not None, "a source without a trace has a time or MACs"
        trace = self.trace(source.trace, where)
        if source.method:
            trace = scheduled(trace, load_method(source.method))
        return resolved(trace)

    def trace(self, name: str, where: str) -> Trace:
        """Return a trace by name or file; raises InputError that begins with `where`."""
        if name not in self._traces:
            try:
                self._traces[name] = self._read(name)
            except InputError as error:
                raise InputError(f"{where}.trace: {error}") from None
        return self._traces[name]

    def _read(self, name: str) -> Trace:
        try:
            return as_trace(name)
        except InputError as error:
            if self._models is None or "." in name or "/" in name:
                raise
            try:
                return self._models(name)
            except InputError:
                raise error from None


def _key(source: ProgramSource) -> tuple[str, str, str]:
    """Return what makes a trace, or its part, another one."""
    return source.trace or "", source.part or "", source.method or ""


def _macs(trace: Trace) -> int:
    """Return the MACs of one step of a trace, on average over the run."""
    runs = [trace.runs_of(number) for number in range(len(trace.steps))]
    macs = [sum(gemm.macs for op in step.ops for gemm in op.gemms) for step in trace.steps]
    return sum(map(int.__mul__, runs, macs)) // max(1, sum(runs))
