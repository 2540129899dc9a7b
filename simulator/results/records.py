"""The steps of a run as one Parquet file, a row per task: all that its result is summed from."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.activity import Work
from simulator.energy.price_file import plain_prices, read_plain_prices
from simulator.energy.prices import Prices
from simulator.errors import InputError
from simulator.files import write_bytes
from simulator.results.op_rows import Record
from simulator.results.result import Result
from simulator.results.saved import AGAIN, OF_WORK, TOLD_OF_WORK, SavedTasks, telling
from simulator.timing.shares import WHOLE

if TYPE_CHECKING:
    import polars

FILE = "records.parquet"
_KEY = "trainsoc.records"
_SCHEMA = 2
_PLACES = ("record", "op", "phase", "layer", "start_ps", "end_ps", "attributed_ps")
_COLUMNS = (*_PLACES, "work", *OF_WORK)
_TEXTS = ("phase", "layer", "unit", "stage", "mapping", "mapped")


class Records(NamedTuple):
    """What a saved run keeps of its steps, and the prices that it paid."""

    saved: SavedTasks
    told: list[dict[str, Any]]
    macs_per_s: int
    paid: Prices

    def at(self, prices: Prices) -> tuple[Record, ...]:
        """Return the steps, their peaks at `prices`. Raises InputError if they are damaged."""
        return self.saved.records(self.told, prices)


def write_records(directory: Path, result: Result) -> None:
    """Write the steps of `result` into `directory`, at once. Raises InputError if it cannot."""
    import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

    works = dict.fromkeys(task.work for record in result.records for task in record.tasks)
    cells = {work: (number, *_of_work(work)) for number, work in enumerate(works)}
    rows = [
        (number, *place, *cells[task.work])
        for number, record in enumerate(result.records)
        for task, place in zip(record.tasks, _places(record), strict=True)
    ]
    header = {
        "schema": _SCHEMA,
        "macs_per_s": result.macs_per_s,
        "prices": plain_prices(result.prices),
        "records": [_told(record) for record in result.records],
    }
    _write(directory / FILE, pl.DataFrame(rows, schema=_schema(), orient="row"), header)


def write_repriced(source: Path, directory: Path, prices: Prices) -> None:
    """Write the steps of the run in `source`, which no price changes, as one that paid `prices`.

    Raises InputError when they cannot be read or written.
    """
    header, frame = _read(source)
    _write(directory / FILE, frame, header | {"prices": plain_prices(prices)})


def read_records(directory: Path) -> Records:
    """Return the steps that `write_records` left.

    Raises InputError when there are none, or of another schema.
    """
    header, frame = _read(directory)
    path = directory / FILE
    with telling(path):
        paid = read_plain_prices(header["prices"])
        return Records(SavedTasks(path, frame), header["records"], header["macs_per_s"], paid)


def _told(record: Record) -> dict[str, Any]:
    return {"step": record.step, "runs": list(record.runs.items()), "ops": record.op_names}


def _places(record: Record) -> list[tuple[Any, ...]]:
    ran = record.ran
    return [
        (task.op, task.phase.value, task.layer, *span, attributed)
        for task, span, attributed in zip(record.tasks, ran.spans, ran.attributed_ps, strict=True)
    ]


def _of_work(work: Work) -> tuple[Any, ...]:
    return (
        work.unit.value, work.stage.value,
        work.progress.channel_ps, work.progress.duration_ps(WHOLE),
        *(getattr(work, name) for name in TOLD_OF_WORK),
        *work.counts,
    )  # fmt: skip


def _write(path: Path, frame: "polars.DataFrame", header: dict[str, Any]) -> None:
    text, data = json.dumps(header, separators=(",", ":")), io.BytesIO()
    frame.write_parquet(data, compression="zstd", metadata={_KEY: text})
    write_bytes(path, data.getvalue())


def _read(directory: Path) -> tuple[dict[str, Any], "polars.DataFrame"]:
    import polars as pl  # noqa: PLC0415

    path = directory / FILE
    if not path.is_file():
        raise InputError(f"{directory}: no {FILE} here: {AGAIN}")
    with telling(path):
        header = json.loads(pl.read_parquet_metadata(path)[_KEY])
        if header["schema"] != _SCHEMA:
            raise InputError(f"{path}: schema {header['schema']} is not {_SCHEMA}: {AGAIN}")
        frame = pl.read_parquet(path, columns=list(_COLUMNS))
        if dict(frame.schema) != _schema() or frame.null_count().max_horizontal().item():
            raise ValueError("cells are missing or of another type")
        return header, frame


def _schema() -> dict[str, "type[polars.DataType]"]:
    import polars as pl  # noqa: PLC0415

    return {name: pl.String if name in _TEXTS else pl.Int64 for name in _COLUMNS}
