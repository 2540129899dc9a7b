"""The steps of a run as one Parquet file, a row per task: all that its result is summed from."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.activity import Action, DramStates, Stage, Work
from simulator.energy.price_file import plain_prices, read_plain_prices
from simulator.energy.prices import Prices
from simulator.errors import InputError, shown
from simulator.files.json import parse_json
from simulator.files.parquet import parquet_bytes, read_columns, read_metadata, read_types
from simulator.files.writing import write_bytes
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.results.documents import AGAIN, RecordEntry, RecordsHeader, RecordsVersion
from simulator.results.record import Record
from simulator.results.result import Result
from simulator.results.saved import MACS, OF_WORK, WORK_FIELDS, SavedTasks
from simulator.timing.shares import WHOLE
from simulator.trace.op import Phase

if TYPE_CHECKING:
    import polars

FILE = "records.parquet"
_KEY = "trainsoc.records"
_SCHEMA = 4
_PLACES = (
    "record",
    "op",
    "phase",
    "layer",
    "start_ps",
    "end_ps",
    "attributed_ps",
    *DramStates._fields,
)
_FIXED = (*_PLACES, "work", *OF_WORK)
_TEXTS = ("phase", "layer", "unit", "stage", "mapping", "mapped")


class Records(NamedTuple):
    """What a saved run keeps of its steps, and its prices."""

    saved: SavedTasks
    entries: Sequence[RecordEntry]
    macs_per_s: int
    prices: Prices

    def at(self, prices: Prices) -> tuple[Record, ...]:
        """Return the steps, their peaks at `prices`."""
        return self.saved.records(self.entries, prices)


def write_records(directory: Path, result: Result) -> None:
    """Write the steps of `result` into `directory`, at once. Raises InputError if it cannot."""
    import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

    actions = tuple(result.prices.dynamic_aj)
    works = dict.fromkeys(task.work for record in result.records for task in record.tasks)
    cells = {work: (number, *_of_work(work, actions)) for number, work in enumerate(works)}
    rows = [
        (number, *place, *cells[task.work])
        for number, record in enumerate(result.records)
        for task, place in zip(record.tasks, _places(record), strict=True)
    ]
    header = {
        "schema": _SCHEMA,
        "macs_per_s": result.macs_per_s,
        "prices": plain_prices(result.prices),
        "records": [_entry(record) for record in result.records],
    }
    frame = pl.DataFrame(rows, schema=_schema(_columns(actions)), orient="row")
    _write(directory / FILE, frame, header)


def write_repriced(source: Path, directory: Path, prices: Prices) -> None:
    """Write the steps of the run in `source`, which no price changes, as one at `prices`.

    Raises InputError when they cannot be read or written.
    """
    header, frame = _read(source)
    same = header.model_dump(by_alias=True, exclude_unset=True)
    _write(directory / FILE, frame, same | {"prices": plain_prices(prices)})


def read_records(directory: Path) -> Records:
    """Return the steps that `write_records` left.

    Raises InputError when there are none, of another schema, or with a value that no run has.
    """
    header, frame = _read(directory)
    prices = read_plain_prices(header.prices.model_dump())
    saved = SavedTasks(frame, tuple(prices.dynamic_aj))
    return Records(saved, header.records, header.macs_per_s, prices)


def _entry(record: Record) -> dict[str, Any]:
    tokens = {"tokens": record.tokens} if record.tokens else {}
    runs = list(record.runs.items())
    return {"step": record.step, "runs": runs, "ops": record.op_names, **tokens}


def _places(record: Record) -> list[tuple[Any, ...]]:
    ran = record.ran
    return [
        (task.op, task.phase.value, task.layer, *span, attributed, *states)
        for task, span, attributed, states in zip(
            record.tasks, ran.spans, ran.attributed_ps, ran.states, strict=True
        )
    ]


def _of_work(work: Work, actions: Sequence[Action]) -> tuple[Any, ...]:
    counts = work.counts
    return (
        work.unit, work.stage.value,
        work.progress.channel_ps, work.progress.duration_ps(WHOLE),
        *(getattr(work, name) for name in WORK_FIELDS.values()),
        *(getattr(counts, name) for name in MACS),
        *(counts[action] for action in actions),
    )  # fmt: skip


def _columns(actions: Iterable[Action]) -> tuple[str, ...]:
    """Return all columns: a task's place, its work, and how often each action happened."""
    return (*_FIXED, *(action.key for action in actions))


def _write(path: Path, frame: "polars.DataFrame", header: dict[str, Any]) -> None:
    text = json.dumps(header, separators=(",", ":"))
    write_bytes(path, parquet_bytes(frame, {_KEY: text}))


def _read(directory: Path) -> tuple[RecordsHeader, "polars.DataFrame"]:
    path = directory / FILE
    if not path.is_file():
        raise InputError(f"{directory}: no {FILE} here: {AGAIN}")
    text = read_metadata(path, AGAIN).get(_KEY, "")
    version = parse_json(RecordsVersion, text, str(path), AGAIN).version
    if version != _SCHEMA:
        raise InputError(f"{path}: schema {shown(version)} is not {_SCHEMA}: {AGAIN}")
    header = parse_json(RecordsHeader, text, str(path), AGAIN)
    columns = _columns(Action(*action) for *action, _ in header.prices.actions)
    types = read_types(path, AGAIN)
    for name, kind in _schema(columns).items():
        if types.get(name) != kind:
            raise InputError(f"{path}: {name}: no column of {kind.__name__}: {AGAIN}")
    frame = read_columns(path, columns, AGAIN)
    _check(frame, header, path)
    return header, frame


def _check(frame: "polars.DataFrame", header: RecordsHeader, path: Path) -> None:
    """Raise InputError that names row, field and value where a row is no task of a run."""
    import polars as pl  # noqa: PLC0415

    from simulator.files.columns import ColumnRule, at_least, first_broken, one_of, present  # noqa: PLC0415

    ops = {number: len(entry.ops) for number, entry in enumerate(header.records)}
    record, last = pl.col("record"), len(header.records) - 1
    units = {HOST, ACCELERATOR} | {unit for unit, *_ in header.prices.actions}
    words = {"phase": [*Phase], "stage": [*Stage], "unit": sorted(units)}
    of_work = [name for name in frame.columns if name not in (*_PLACES, "work")]
    shared = pl.struct(of_work).n_unique().over("work") == 1
    numbers = (at_least(name, 0) for name in frame.columns if name not in _TEXTS)
    rules = [
        [*map(present, _TEXTS), *numbers, *(one_of(name, each) for name, each in words.items())],
        [
            ColumnRule("record", record <= last, f"the file has {last + 1} records"),
            ColumnRule("record", record.diff().fill_null(0) >= 0, "out of order"),
            ColumnRule("end_ps", pl.col("end_ps") >= pl.col("start_ps"), "before start_ps"),
            ColumnRule("work", shared, "rows of the same work differ"),
        ],
        [ColumnRule("op", pl.col("op") < pl.col("_ops"), "no op of its step")],
    ]
    numbered = frame.with_row_index("row").with_columns(
        _ops=record.replace_strict(ops, default=0, return_dtype=pl.Int64)
    )
    broken = first_broken(numbered, rules)
    if broken:
        field = broken.rule.field
        where = f"row {broken.row['row']}: {field}: {shown(broken.row[field])}"
        raise InputError(f"{path}: {where}: {broken.rule.says}: {AGAIN}")


def _schema(columns: Iterable[str]) -> dict[str, "type[polars.DataType]"]:
    import polars as pl  # noqa: PLC0415

    return {name: pl.String if name in _TEXTS else pl.Int64 for name in columns}
