"""Parquet of the product: its bytes, and reading it back; a damaged file is one sentence."""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import InputError

if TYPE_CHECKING:
    import polars


def parquet_bytes(frame: "polars.DataFrame", metadata: Mapping[str, str] | None = None) -> bytes:
    """Return a table as the content of a file, with text beside its columns.

    Written to memory first: polars would tell of a full disk in its own words.
    """
    data = io.BytesIO()
    frame.write_parquet(data, compression="zstd", metadata=dict(metadata) if metadata else None)
    return data.getvalue()


def read_metadata(path: Path, fix: str) -> dict[str, str]:
    """Return the text that stands beside the columns. Raises InputError if `path` is damaged."""
    import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

    try:
        with path.open("rb") as file, _silent():
            return pl.read_parquet_metadata(file)
    except BaseException as error:
        raise _refusal(path, error, fix) from None


def read_types(path: Path, fix: str) -> "polars.Schema":
    """Return the columns with their types. Raises InputError if `path` is damaged."""
    import polars as pl  # noqa: PLC0415

    try:
        with path.open("rb") as file, _silent():
            return pl.Schema(pl.read_parquet_schema(file))
    except BaseException as error:
        raise _refusal(path, error, fix) from None


def read_columns(path: Path, columns: Sequence[str] | None, fix: str) -> "polars.DataFrame":
    """Return some columns, or all of them. Raises InputError if `path` is damaged."""
    import polars as pl  # noqa: PLC0415

    try:
        with path.open("rb") as file, _silent():
            return pl.read_parquet(file, columns=None if columns is None else list(columns))
    except BaseException as error:
        raise _refusal(path, error, fix) from None


@contextmanager
def _silent() -> Iterator[None]:
    """Drop what polars, a library of Rust, prints when it panics over a damaged file."""
    try:
        stderr = os.dup(2)
    except OSError:  # closed, as of a daemon
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(nowhere)
        os.close(stderr)


def _refusal(path: Path, error: BaseException, fix: str) -> BaseException:
    """Return what to raise: a panic of polars, which is no Exception, is damage too."""
    import polars as pl  # noqa: PLC0415

    if isinstance(error, Exception | pl.exceptions.PanicException):
        return InputError(f"{path} is damaged, no Parquet that can be read: {fix}")
    return error
