"""The finished points of a sweep on disk, which survive whatever stops it.

Every process appends to a part of its own, a line of JSON per point, and turns it into Parquet
when it has grown. A line that was cut off is no point; parts are only ever added. A damaged part is
set aside, and its points are computed again.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from simulator.errors import InputError
from simulator.files.json import parse_json
from simulator.files.parquet import parquet_bytes
from simulator.files.writing import append_lines, unwritable, write_bytes, write_text
from simulator.results.documents import Version
from simulator.sweeps.job import Done
from simulator.sweeps.parts import framed, read_part, valid
from simulator.views.design_space import PointRow

if TYPE_CHECKING:
    import polars

_LINES = 2000  # of a part before it is compacted: so many are parsed one by one at most
_RESUME = "finished points are kept: rerun the same command to resume"


class Store(Protocol):
    """Where finished points are kept; `set_aside` says which parts of it were damaged."""

    set_aside: list[str]

    def __contains__(self, address: str) -> bool:
        """Return whether the point with this address is finished."""

    def add(self, points: Sequence[Done]) -> None:
        """Keep finished points."""

    def frame(self) -> "polars.DataFrame":
        """Return the rows of all finished points, each once, in any order."""

    def close(self) -> None:
        """Bring what was added into its final form."""


class MemoryStore:
    """Points that live as long as the process."""

    def __init__(self) -> None:
        """Start without points."""
        self.set_aside: list[str] = []
        self._rows: dict[str, PointRow] = {}

    def __contains__(self, address: str) -> bool:
        """Return whether the point with this address is finished."""
        return address in self._rows

    def add(self, points: Sequence[Done]) -> None:
        """Keep finished points."""
        self._rows.update((done.address, done.row) for done in points)

    def frame(self) -> "polars.DataFrame":
        """Return the rows of all finished points, each once, in any order."""
        return framed(self._rows.values())

    def close(self) -> None:
        """Do nothing: there is no other form."""


class FolderStore:
    """Points in the folder of a sweep, under `points`; whole results under `results`."""

    def __init__(self, folder: Path, *, full: bool = False) -> None:
        """Open the store in `folder`; with `full`, points without a whole result are not there."""
        self._parts, self._results = folder / "points", folder / "results"
        self._full = full
        self._own: Path | None = None
        self._rows: list[PointRow] = []  # those of the own part
        self._make(self._parts)
        self.set_aside: list[str] = []
        self._runs: dict[str, bool] = {}  # by address: whether the point runs
        for path in self._paths():
            self._open(path)

    def __contains__(self, address: str) -> bool:
        """Return whether the point with this address is finished."""
        runs = self._runs.get(address)
        if runs is None or not (self._full and runs):
            return runs is not None
        return self._has_result(address)

    def add(self, points: Sequence[Done]) -> None:
        """Keep finished points; raises InputError when they cannot be written."""
        for done in points:
            if done.document:
                write_text(self._result(done.address), done.document)
        self._append([done.row for done in points])
        self._runs.update((done.address, done.feasible) for done in points)
        if len(self._rows) >= _LINES:
            self.close()

    def frame(self) -> "polars.DataFrame":
        """Return the rows of all finished points, each once, in any order."""
        import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

        frames = [read_part(path).rows for path in self._paths()]
        frames = [frame for frame in frames if frame.height] or [framed(())]
        whole = pl.concat(frames, how="diagonal_relaxed")
        return whole.unique("point", keep="any") if whole.height else whole

    def close(self) -> None:
        """Turn this process's part into Parquet."""
        if self._own is None:
            return
        write_frame(valid(self._rows), self._own.with_suffix(".parquet"))
        self._own.unlink()
        self._own, self._rows = None, []

    def _append(self, rows: Sequence[PointRow]) -> None:
        self._own = self._own or self._parts / f"{uuid.uuid4().hex}.jsonl"
        try:
            append_lines(self._own, map(json.dumps, rows))
        except OSError as error:
            part, self._own = self._own, None  # it may end in a line cut off: no other goes there
            raise _unwritable(part, error) from None
        self._rows += rows

    def _open(self, path: Path) -> None:
        """Take the points of a part; set a damaged one aside, its good rows in a new part."""
        rows, damaged = read_part(path)
        if rows.height:
            self._runs.update(rows.select("point", "feasible").iter_rows())
        if not damaged:
            return
        if rows.height:
            write_frame(rows, self._parts / f"{uuid.uuid4().hex}.parquet")
        aside = path.with_name(f"{path.name}.damaged")
        try:
            path.replace(aside)
        except OSError as error:
            raise _unwritable(path, error) from None
        self.set_aside.append(
            f"{path} was damaged: it is {aside.name} now; {rows.height} points in it are kept, "
            "the others are computed again"
        )

    def _paths(self) -> Iterator[Path]:
        """Yield all parts, lines first: others turn theirs into Parquet meanwhile."""
        yield from self._files(".jsonl")
        yield from self._files(".parquet")

    def _files(self, suffix: str) -> list[Path]:
        return sorted(self._parts.glob(f"*{suffix}"))

    def _result(self, address: str) -> Path:
        return self._results / f"{address}.json"

    def _has_result(self, address: str) -> bool:
        path = self._result(address)
        try:
            parse_json(Version, path.read_bytes(), str(path), "")
        except (OSError, InputError):
            return False
        return True

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from None


def write_frame(frame: "polars.DataFrame", path: Path) -> None:
    """Write `frame` as Parquet in one piece; raises InputError when it cannot be written."""
    try:
        write_bytes(path, parquet_bytes(frame))
    except InputError as error:
        raise InputError(f"{error}; {_RESUME}") from None


def _unwritable(path: Path, error: OSError) -> InputError:
    return unwritable(path, error, f"; {_RESUME}")
