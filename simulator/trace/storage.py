"""One Parquet file per trace: a row per op of each distinct step, and a JSON header."""

import os
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from simulator.collector import paused_collector
from simulator.errors import InputError, nearest, reason
from simulator.files.cache import LARGEST, FileParser, recall
from simulator.files.parquet import parquet_bytes, read_columns, read_metadata, read_types
from simulator.files.text import check_readable, is_file
from simulator.files.writing import put, try_place
from simulator.trace.bounds import check_bounds
from simulator.trace.header import AGAIN, SCHEMA, header_text, read_header
from simulator.trace.plain_rows import by_step
from simulator.trace.trace import Trace

__all__ = [
    "SCHEMA",
    "check_writable",
    "load_trace",
    "rescue",
    "rescue_trace",
    "save_trace",
    "unwritable",
]

BUNDLED = Path(__file__).resolve().parents[2] / "workloads" / "traces"
_KEY = "trainsoc.trace"
_MAGIC = b"PAR1"
_HERE = Path(__file__).parent
_FILES = _HERE.parent / "files"
_PARSER = FileParser(
    "trace", "polars", [*sorted(_HERE.glob("*.py")), _FILES / "columns.py", _FILES / "parquet.py"]
)


def save_trace(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write `trace` to `path`, replacing it in one move so that no reader sees half a file.

    Raises InputError if the place cannot be written, or a number is beyond 64 bits.
    """
    data = _parquet(trace, path)
    try:
        put(Path(path), data, durable=True)
    except OSError as error:
        raise unwritable(path, error) from None


def rescue_trace(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a newly recorded `trace` to `path`, or else to the temporary folder.

    Raises InputError if `path` cannot be written; it says where the trace was saved.
    """
    rescue(_parquet(trace, path), path, "recorded")


def rescue(data: bytes, path: str | os.PathLike[str], how: str) -> None:
    """Write `data`, which took long to compute, to `path`, or else to the temporary folder.

    Raises InputError if `path` cannot be written; it says where the data was saved. `how` is the
    verb of the message, such as "recorded".
    """
    target = Path(path)
    spare = Path(tempfile.gettempdir()) / f"{target.stem}-{uuid.uuid4().hex[:8]}{target.suffix}"
    try:
        put(Path(path), data, durable=True)
    except OSError as error:
        try:
            put(spare, data, durable=True)
        except OSError as second:
            lost = f"nor {spare}: {reason(second)}; what was {how} is lost"
            raise unwritable(path, error, lost) from None
        raise unwritable(path, error, f"what was {how} is in {spare}") from None


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise InputError now if `save_trace` could not write there after a long capture."""
    try:
        try_place(Path(path))
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from None


def unwritable(
    path: str | os.PathLike[str], error: OSError | ValueError, then: str = "choose another place"
) -> InputError:
    """Return an error with the reason why `path` cannot be written, and `then` as its fix."""
    return InputError(f"cannot write {Path(path)}: {reason(error)}; {then}")


def _parquet(trace: Trace, path: str | os.PathLike[str]) -> bytes:
    from simulator.trace.rows import frame_of  # noqa: PLC0415 - polars costs 0.1 s to import

    try:
        check_bounds(trace)
    except InputError as error:
        raise InputError(f"{Path(path)} cannot hold the trace: {error}") from None
    return parquet_bytes(frame_of(trace), {_KEY: header_text(trace)})


def load_trace(path: str | os.PathLike[str]) -> Trace:
    """Read a trace that `save_trace` wrote, or one that comes with the product, by its name.

    Raises InputError if the file is missing, is no trace, is cut short, is of a newer major schema,
    or holds a value that no trace can have; then the sentence names op and field. A newer minor
    schema is read, its additions ignored.
    """
    source = _find(Path(path))
    _check_file(source)
    return _read(source)


def _find(path: Path) -> Path:
    bundled = BUNDLED / f"{path}.trace"
    # os.path takes names that no file can have, which pathlib raises for.
    return bundled if is_file(bundled) and not os.path.exists(path) else path


def _check_file(source: Path) -> None:
    try:
        if source.is_dir():
            raise InputError(f"{source} is a folder, not a trainsoc trace: {_holds(source)}")
        if not source.exists():
            raise InputError(f"no trace at {source}: {_hint(source)}")
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
        raise InputError(f"{source} is cut short: {AGAIN}")


def bundled_names() -> list[str]:
    """Return the names of the traces that ship with the product."""
    return sorted(path.stem for path in BUNDLED.glob("*.trace"))


def _hint(source: Path) -> str:
    capture = "check the path, or capture one there; {} come with trainsoc"
    return nearest(str(source), bundled_names(), capture)


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
    text, rows = _content(source)
    header = read_header(text, str(source))
    with paused_collector():
        parts = by_step(rows, len(header.steps))
    steps = header.steps_of([part.ops for part in parts])
    timings = header.timings_of([part.times_ps for part in parts])
    return header.trace_of(steps, timings, str(source))


def _content(source: Path) -> tuple[str, Iterable[Sequence[Any]]]:
    """Return the text of a trace file's header, and the values of its rows, all checked."""
    with source.open("rb") as file:
        start = file.read(LARGEST + 1)
    if len(start) > LARGEST:
        return _checked(source)
    text, rows = recall(_PARSER, start, partial(_plain_content, source))
    return text, rows


def _plain_content(source: Path) -> list[Any]:
    text, rows = _checked(source)
    return [text, [list(row) for row in rows]]


def _checked(source: Path) -> tuple[str, Iterable[Sequence[Any]]]:
    from simulator.trace import check, rows  # noqa: PLC0415 - polars costs 0.1 s to import

    metadata = read_metadata(source, AGAIN)
    if _KEY not in metadata:
        raise InputError(_not_a_trace(source))
    header = read_header(metadata[_KEY], str(source))
    check.check_types(read_types(source, AGAIN), header, str(source))
    columns = list(rows.schema(measured=header.measured_ps is not None))
    frame = read_columns(source, columns, AGAIN)
    check.check_rows(frame, header, str(source))
    return metadata[_KEY], frame.select(columns).iter_rows()
