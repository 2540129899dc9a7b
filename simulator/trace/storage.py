"""One Parquet file per trace: a row per op of each distinct step, the rest as JSON beside it."""

import io
import json
import os
import tempfile
import uuid
from dataclasses import asdict, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from simulator.errors import InputError, reason
from simulator.files import put, try_place
from simulator.text_file import check_readable, is_file
from simulator.trace.method.treatment import AS_TRACED, Method, Treatment
from simulator.trace.op import Conv, Gemm, Op, OpKind, Phase, Role, Tensor
from simulator.trace.trace import Segment, Step, StepKind, Storage, StorageKind, Timing, Trace

if TYPE_CHECKING:
    import polars

SCHEMA = "1.2"
BUNDLED = Path(__file__).resolve().parents[2] / "workloads" / "traces"
_KEY = "trainsoc.trace"
_MEASURED = "measured_ps"
_MAGIC = b"PAR1"
_AGAIN = "capture or copy the trace again"
_GEMM = tuple(field.name for field in fields(Gemm) if field.name not in ("conv", "precision"))
_CONV = tuple(field.name for field in fields(Conv))
_E = TypeVar("_E", bound=StrEnum)


def save_trace(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write `trace` to `path`, replacing it in one move so that no reader sees half a file.

    Raises InputError if the place cannot be written.
    """
    try:
        put(Path(path), _parquet(trace), durable=True)
    except OSError as error:
        raise unwritable(path, error) from None


def rescue_trace(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write `trace`, which took a run to make, to `path` or else to the folder for temporary files.

    Raises InputError if `path` cannot be written, and says where the trace is then.
    """
    data = _parquet(trace)
    spare = Path(tempfile.gettempdir()) / f"{Path(path).stem}-{uuid.uuid4().hex[:8]}.trace"
    try:
        put(Path(path), data, durable=True)
    except OSError as error:
        try:
            put(spare, data, durable=True)
        except OSError as second:
            lost = f"nor {spare}: {second.strerror or second}; what was recorded is lost"
            raise unwritable(path, error, lost) from None
        raise unwritable(path, error, f"what was recorded is in {spare}") from None


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise InputError now if `save_trace` could not write there after a long capture."""
    try:
        try_place(Path(path))
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(
    path: str | os.PathLike[str], error: OSError, then: str = "choose another place"
) -> InputError:
    """Return the error that says why `path` cannot be written, and what follows from it."""
    return InputError(f"cannot write {Path(path)}: {error.strerror or error}; {then}")


def load_trace(path: str | os.PathLike[str]) -> Trace:
    """Read a trace that `save_trace` wrote, or one that comes with the product, by its name.

    Raises InputError if the file is missing, is no trace, is cut short, or is of a newer major
    schema. A newer minor schema is read, its additions ignored.
    """
    source = _find(Path(path))
    _check_file(source)
    try:
        return _read(source)
    except InputError:
        raise
    except Exception as error:
        told = " ".join(str(error).split())[:80]
        raise InputError(f"{source} is damaged ({told}): {_AGAIN}") from None


def _find(path: Path) -> Path:
    bundled = BUNDLED / f"{path}.trace"
    return bundled if is_file(bundled) and not path.exists() else path


# Writing


def _parquet(trace: Trace) -> bytes:
    data = io.BytesIO()  # polars would tell of a full disk in its own words
    _frame(trace).write_parquet(data, compression="zstd", metadata={_KEY: _header(trace)})
    return data.getvalue()


def _header(trace: Trace) -> str:
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "name": trace.name,
        "origin": trace.origin,
        "segments": [_segment(segment) for segment in trace.segments],
        "steps": [
            {"kind": step.kind, "storages": [[s.bytes, s.kind, s.name] for s in step.storages]}
            for step in trace.steps
        ],
    }
    if trace.methods != (AS_TRACED,):
        content["methods"] = [asdict(method) for method in trace.methods]
    if trace.timings:
        content["measured_ps"] = [timing.step_ps for timing in trace.timings]
    return json.dumps(content, separators=(",", ":"))


def _segment(segment: Segment) -> list[int]:
    method = [segment.method] if segment.method else []
    return [segment.epoch, segment.step, segment.count, *method]


def _frame(trace: Trace) -> "polars.DataFrame":
    import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

    rows = [_row(index, op) for index, step in enumerate(trace.steps) for op in step.ops]
    frame = pl.DataFrame(rows, schema=_schema(), orient="row")
    if not trace.timings:
        return frame
    measured = [ps for timing in trace.timings for ps in timing.ops_ps]
    return frame.with_columns(pl.Series(_MEASURED, measured, pl.Int64))


def _row(step: int, op: Op) -> tuple[Any, ...]:
    return (
        step,
        op.name,
        op.kind.value,
        op.phase.value,
        op.layer,
        [asdict(tensor) for tensor in op.inputs],
        [asdict(tensor) for tensor in op.outputs],
        [_plain(gemm) for gemm in op.gemms],
        op.forward,
        op.random,
    )


def _plain(gemm: Gemm) -> dict[str, Any]:
    """Return a product as it was executed; what a method makes of it is not stored."""
    values = asdict(gemm)
    return {name: values[name] for name in (*_GEMM, "conv")} | {"role": gemm.role.value}


def _schema() -> dict[str, Any]:
    import polars as pl  # noqa: PLC0415

    whole, text, sizes = pl.Int64(), pl.String(), pl.List(pl.Int64)
    tensor = pl.Struct(
        {"storage": whole, "dtype": text, "shape": sizes, "strides": sizes, "offset": whole}
    )
    scalar = {"images", "in_channels", "out_channels", "groups"}
    conv: dict[str, Any] = {
        field.name: whole if field.name in scalar else sizes for field in fields(Conv)
    }
    conv["transposed"] = pl.Boolean()
    gemm = {"role": text} | dict.fromkeys(("batch", "m", "n", "k", "a", "b", "c"), whole)
    return {
        "step": whole,
        "name": text,
        "kind": text,
        "phase": text,
        "layer": text,
        "inputs": pl.List(tensor),
        "outputs": pl.List(tensor),
        "gemms": pl.List(pl.Struct(gemm | {"conv": pl.Struct(conv)})),
        "forward": whole,
        "random": pl.Boolean(),
    }


# Reading


def _check_file(source: Path) -> None:
    try:
        if source.is_dir():
            raise InputError(f"{source} is a folder, not a trainsoc trace: {_holds(source)}")
        if not source.exists():
            raise InputError(f"no trace at {source}: check the path, or capture one there")
        check_readable(source)
        with source.open("rb") as file:
            head = file.read(4)
            file.seek(0, os.SEEK_END)
            file.seek(-min(4, file.tell()), os.SEEK_END)
            tail = file.read()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {source} as a trace: {reason(error)}") from None
    if head != _MAGIC:
        raise InputError(_not_a_trace(source))
    if tail != _MAGIC:
        raise InputError(f"{source} is cut short: {_AGAIN}")


def _holds(folder: Path) -> str:
    if (folder / "result.json").is_file():
        return f"it holds a run; draw it with trainsoc plot {folder}"
    if (folder / "sweep.yaml").is_file():
        return f"it holds a sweep; draw it with trainsoc plot {folder}"
    return "give the name of a file in it"


def _not_a_trace(source: Path) -> str:
    from simulator.trace.importers import not_a_trace  # noqa: PLC0415 - for a mistake alone

    return not_a_trace(source)


def _read(source: Path) -> Trace:
    import polars as pl  # noqa: PLC0415

    with source.open("rb") as file:
        metadata = pl.read_parquet_metadata(file)
    if _KEY not in metadata:
        raise InputError(_not_a_trace(source))
    header = json.loads(metadata[_KEY])
    _check_schema(header["schema"])
    with source.open("rb") as file:
        rows = pl.read_parquet(file, columns=list(_schema())).rows()
    ops: list[list[Op]] = [[] for _ in header["steps"]]
    for step, *row in rows:
        ops[step].append(_op(row))
    steps = (_step(entry, part) for entry, part in zip(header["steps"], ops, strict=True))
    segments = tuple(Segment(*entry) for entry in header["segments"])
    timings = _timings(source, header)
    methods = tuple(map(_method, header["methods"])) if "methods" in header else (AS_TRACED,)
    origin = dict(header["origin"])
    trace = Trace(header["name"], tuple(steps), segments, origin, timings, methods)
    _validate(trace)
    return trace


def _method(entry: dict[str, Any]) -> Method:
    known = {field.name for field in fields(Treatment)}
    layers = (
        (pattern, Treatment(**{key: value for key, value in each.items() if key in known}))
        for pattern, each in entry["layers"]
    )
    return Method(entry["name"], tuple(layers))


def _timings(source: Path, header: dict[str, Any]) -> tuple[Timing, ...]:
    """Return what was measured; traces of schema 1.0, and most others, have nothing."""
    import polars as pl  # noqa: PLC0415

    if _MEASURED not in header:
        return ()
    with source.open("rb") as file:
        rows = pl.read_parquet(file, columns=["step", _MEASURED]).rows()
    ops: list[list[int]] = [[] for _ in header["steps"]]
    for step, ps in rows:
        ops[step].append(int(ps))
    pairs = zip(header[_MEASURED], ops, strict=True)
    return tuple(Timing(int(step_ps), tuple(part)) for step_ps, part in pairs)


def _validate(trace: Trace) -> None:
    """Raise ValueError where the parts of a trace do not fit each other."""
    if not trace.segments:
        raise ValueError("no step ever runs")
    for segment in trace.segments:
        if not 0 <= segment.step < len(trace.steps) or segment.count < 1 or segment.epoch < 0:
            raise ValueError(f"{segment} fits none of {len(trace.steps)} steps")
        if not 0 <= segment.method < len(trace.methods):
            raise ValueError(f"{segment} fits none of {len(trace.methods)} methods")
    for step in trace.steps:
        for op in step.ops:
            if op.name is None or op.layer is None:
                raise ValueError("an op without a name or a layer")
            if any(t.storage >= len(step.storages) for t in (*op.inputs, *op.outputs)):
                raise ValueError(f"{op.name} uses a storage that the step does not have")


def _check_schema(version: str) -> None:
    ours = SCHEMA.split(".", maxsplit=1)[0]
    if int(version.split(".", maxsplit=1)[0]) > int(ours):
        raise InputError(
            f"trace schema {version} is newer than this trainsoc reads ({ours}.x): upgrade trainsoc"
        )


def _step(entry: dict[str, Any], ops: list[Op]) -> Step:
    storages = (
        Storage(size, _member(StorageKind, kind, StorageKind.ACTIVATION), name)
        for size, kind, name in entry["storages"]
    )
    return Step(_member(StepKind, entry["kind"], StepKind.OTHER), tuple(ops), tuple(storages))


def _member(enum: type[_E], value: str, fallback: _E) -> _E:
    """Return the member of that value; what a newer minor schema added becomes the fallback."""
    return enum(value) if value in enum.__members__.values() else fallback


def _op(row: list[Any]) -> Op:
    name, kind, phase, layer, inputs, outputs, gemms, forward, random = row
    return Op(
        name,
        _member(OpKind, kind, OpKind.OTHER),
        _member(Phase, phase, Phase.OTHER),
        layer,
        tuple(_tensor(entry) for entry in inputs),
        tuple(_tensor(entry) for entry in outputs),
        tuple(_gemm(entry) for entry in gemms),
        forward,
        random,
    )


def _tensor(entry: dict[str, Any]) -> Tensor:
    shape, strides = tuple(entry["shape"]), tuple(entry["strides"])
    return Tensor(entry["storage"], entry["dtype"], shape, strides, entry["offset"])


def _gemm(entry: dict[str, Any]) -> Gemm:
    values = {name: entry[name] for name in _GEMM}
    values["role"] = _member(Role, entry["role"], Role.OTHER)
    values["conv"] = _conv(entry["conv"])
    return Gemm(**values)


def _conv(entry: dict[str, Any] | None) -> Conv | None:
    # Parquet readers give a null struct as None or as a struct of nulls.
    if entry is None or entry["kernel"] is None:
        return None
    values: dict[str, Any] = {
        name: tuple(entry[name]) if isinstance(entry[name], list) else entry[name] for name in _CONV
    }
    return Conv(**values)
