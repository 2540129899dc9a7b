"""One Parquet file per trace: a row per op of each distinct step, the rest as JSON beside it."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from simulator.collector import paused_collector
from simulator.errors import InputError, shown
from simulator.parquet_file import read_columns, read_metadata, read_types
from simulator.trace.bounds import check_bounds
from simulator.trace.header import AGAIN, SCHEMA, header_text, read_header
from simulator.trace.trace import Trace

__all__ = ["SCHEMA", "check_writable", "load_trace", "save_trace"]

BUNDLED = Path(__file__).resolve().parents[2] / "workloads" / "traces"
_KEY = "trainsoc.trace"
_MAGIC = b"PAR1"


def save_trace(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write `trace` to `path`, replacing it in one move so that no reader sees half a file.

    Raises InputError if the place cannot be written, or a number is beyond 64 bits.
    """
    from simulator.trace.rows import frame_of  # noqa: PLC0415 - polars costs 0.1 s to import

    target = Path(path)
    try:
        check_bounds(trace)
    except InputError as error:
        raise InputError(f"{target} cannot hold the trace: {error}") from None
    temporary = _temporary(target)
    try:
        with temporary.open("wb") as file:
            frame_of(trace).write_parquet(
                file, compression="zstd", metadata={_KEY: header_text(trace)}
            )
        temporary.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise InputError now if `save_trace` could not write there after a long capture."""
    target = Path(path)
    temporary = _temporary(target)
    try:
        if not target.name or target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise _unwritable(target, error) from None


def _temporary(target: Path) -> Path:
    return target.parent / f".{target.name}.{os.getpid()}"


def _unwritable(target: Path, error: OSError) -> InputError:
    reason = error.strerror or error
    return InputError(f"cannot write {target}: {reason}; choose another place")


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
    return bundled if os.path.isfile(bundled) and not os.path.exists(path) else path


def _check_file(source: Path) -> None:
    try:
        with source.open("rb") as file:
            head = file.read(4)
            file.seek(0, os.SEEK_END)
            file.seek(-min(4, file.tell()), os.SEEK_END)
            tail = file.read()
    except FileNotFoundError:
        raise InputError(f"no trace at {source}: check the path, or capture one there") from None
    except ValueError:  # a name with a null character
        raise InputError(f"no trace at {shown(str(source))}: check the path") from None
    except OSError as error:
        raise InputError(f"cannot read {source} as a trace: {error.strerror or error}") from None
    if head != _MAGIC:
        raise InputError(_not_a_trace(source))
    if tail != _MAGIC:
        raise InputError(f"{source} is cut short: {AGAIN}")


def _not_a_trace(source: Path) -> str:
    return f"{source} is not a trainsoc trace: make one with trainsoc capture or trainsoc import"


def _read(source: Path) -> Trace:
    from simulator.trace import check, rows  # noqa: PLC0415 - polars costs 0.1 s to import

    metadata = read_metadata(source, AGAIN)
    if _KEY not in metadata:
        raise InputError(_not_a_trace(source))
    header = read_header(metadata[_KEY], str(source))
    check.check_types(read_types(source, AGAIN), header, str(source))
    measured = header.measured_ps is not None
    frame = read_columns(source, list(rows.schema(measured=measured)), AGAIN)
    check.check_rows(frame, header, str(source))
    with paused_collector():
        steps = header.steps_of(rows.ops_of(frame, len(header.steps)))
    timings = header.timings_of(rows.times_of(frame, len(steps))) if measured else ()
    return header.trace_of(steps, timings)
