"""The header of a trace file, as JSON: its steps, when each ran, under which method."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import Field

from simulator.errors import InputError
from simulator.files.json import Strict, parse_json
from simulator.trace.op import Op
from simulator.trace.passes.registry import from_plain, to_plain
from simulator.trace.passes.treatment import AS_TRACED, Method, Treatment
from simulator.trace.trace import Segment, Step, StepKind, Storage, StorageKind, Timing, Trace

SCHEMA = "1.5"
AGAIN = "capture or copy the trace again"
LARGEST = 2**63 - 1
"""The format stores signed integers of 64 bits."""
_SPARSE_EPOCHS = (
    10_000  # below it epochs may have gaps; each costs memory, whether a step ran or not
)
LARGEST_STORAGE = 2**56  # bytes: more than any machine addresses, and no sum of reaches overflows

Whole = Annotated[int, Field(ge=0, le=LARGEST)]
Bits = Annotated[int | None, Field(ge=1, le=64)]
_E = TypeVar("_E", bound=StrEnum)


class _TreatmentHeader(Strict):
    weights: Bits = None
    activations: Bits = None
    gradients: Bits = None
    master: bool = False
    density: int = Field(default=1000, ge=0, le=1000)
    frozen: bool = False
    passes: dict[str, Any] = Field(default_factory=dict)


class _MethodHeader(Strict):
    name: str
    layers: list[tuple[str, _TreatmentHeader]]


class _StepHeader(Strict):
    kind: str
    storages: list[tuple[Annotated[int, Field(ge=0, le=LARGEST_STORAGE)], str, str]]
    tokens: Whole = 0


class Header(Strict):
    """The header; `segments` are epoch, step, count and, unless 0, method."""

    version: str = Field(alias="schema", pattern=r"^\d{1,9}(\.\d{1,9})?$")
    name: str
    origin: dict[str, str]
    steps: list[_StepHeader]
    segments: list[Annotated[list[Whole], Field(min_length=3, max_length=4)]] = Field(min_length=1)
    methods: list[_MethodHeader] = Field(
        default_factory=lambda: [_MethodHeader(name=AS_TRACED.name, layers=[])], min_length=1
    )
    measured_ps: list[Whole] | None = None

    def steps_of(self, ops: list[list[Op]]) -> tuple[Step, ...]:
        """Return the distinct steps with these ops, a list for each."""
        return tuple(_step(entry, part) for entry, part in zip(self.steps, ops, strict=True))

    def timings_of(self, ops_ps: list[list[int]]) -> tuple[Timing, ...]:
        """Return the measured times of steps and of their ops; () without any."""
        pairs = zip(self.measured_ps or (), ops_ps, strict=False)
        return tuple(Timing(step_ps, tuple(part)) for step_ps, part in pairs)

    def trace_of(self, steps: tuple[Step, ...], timings: tuple[Timing, ...], source: str) -> Trace:
        """Return the trace of these distinct steps, from the file `source`.

        Raises InputError for a method with a pass that is not installed.
        """
        segments = tuple(Segment(*entry) for entry in self.segments)
        methods = tuple(
            _method(each, f"{source}: methods.{n}") for n, each in enumerate(self.methods)
        )
        return Trace(self.name, steps, segments, self.origin, timings, methods)


def read_header(text: str, source: str) -> Header:
    """Return the header in `text`, the metadata of the file `source`.

    Raises InputError that names file, field and value where a value is not as FORMAT.md has it.
    """
    header = parse_json(Header, text, source, AGAIN)
    _check_schema(source, header.version)
    for index, segment in enumerate(header.segments):
        _check_segment(header, segment, f"{source}: segments.{index}")
    if header.measured_ps is not None and len(header.measured_ps) != len(header.steps):
        raise InputError(
            f"{source}: measured_ps: {len(header.measured_ps)} values for {len(header.steps)} "
            f"steps: {AGAIN}"
        )
    return header


def header_text(trace: Trace) -> str:
    """Return the header of `trace` as JSON."""
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "name": trace.name,
        "origin": trace.origin,
        "segments": [_plain(segment) for segment in trace.segments],
        "steps": [_plain_step(step) for step in trace.steps],
    }
    if trace.methods != (AS_TRACED,):
        content["methods"] = [_plain_method(method) for method in trace.methods]
    if trace.timings:
        content["measured_ps"] = [timing.step_ps for timing in trace.timings]
    return json.dumps(content, separators=(",", ":"))


def member(enum: type[_E], value: str, fallback: _E) -> _E:
    """Return the member of `enum` with this value; values of newer minor schemas are `fallback`."""
    return enum(value) if value in enum.__members__.values() else fallback


def _plain_step(step: Step) -> dict[str, Any]:
    storages = [[each.bytes, each.kind, each.name] for each in step.storages]
    tokens = {"tokens": step.tokens} if step.tokens else {}
    return {"kind": step.kind, "storages": storages, **tokens}


def _plain_method(method: Method) -> dict[str, Any]:
    return {"name": method.name, "layers": [[p, _plain_treatment(t)] for p, t in method.layers]}


def _plain_treatment(treatment: Treatment) -> dict[str, Any]:
    plain = asdict(treatment)
    del plain["settings"]
    return plain | ({"passes": to_plain(treatment.settings)} if treatment.settings else {})


def _plain(segment: Segment) -> list[int]:
    method = [segment.method] if segment.method else []
    return [segment.epoch, segment.step, segment.count, *method]


def _step(entry: _StepHeader, ops: list[Op]) -> Step:
    storages = (
        Storage(size, member(StorageKind, kind, StorageKind.ACTIVATION), name)
        for size, kind, name in entry.storages
    )
    kind = member(StepKind, entry.kind, StepKind.OTHER)
    return Step(kind, tuple(ops), tuple(storages), entry.tokens)


def _method(entry: _MethodHeader, where: str) -> Method:
    layers = ((pattern, _treatment(each, where)) for pattern, each in entry.layers)
    return Method(entry.name, tuple(layers))


def _treatment(entry: _TreatmentHeader, where: str) -> Treatment:
    settings = ((key, from_plain(key, plain, where)) for key, plain in entry.passes.items())
    return Treatment(**entry.model_dump(exclude={"passes"}), settings=tuple(settings))


def _check_schema(source: str, version: str) -> None:
    ours = SCHEMA.split(".", maxsplit=1)[0]
    if int(version.split(".", maxsplit=1)[0]) > int(ours):
        raise InputError(
            f"{source}: trace schema {version} is newer than this trainsoc reads ({ours}.x): "
            "upgrade trainsoc"
        )


def _check_segment(header: Header, segment: list[int], where: str) -> None:
    epoch, step, count, method = (*segment, 0)[:4]
    epochs = max(len(header.segments), _SPARSE_EPOCHS)
    if step >= len(header.steps):
        raise InputError(f"{where}: step {step}: the trace has {len(header.steps)} steps: {AGAIN}")
    if method >= len(header.methods):
        raise InputError(
            f"{where}: method {method}: the trace has {len(header.methods)} methods: {AGAIN}"
        )
    if not count:
        raise InputError(f"{where}: count 0: a segment runs at least once: {AGAIN}")
    if epoch >= epochs:
        raise InputError(
            f"{where}: epoch {epoch}: number the epochs from 0 without gaps, here below {epochs}"
        )
