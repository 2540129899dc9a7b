"""The steps of a run as one Parquet file, a row per task: all that its result is summed from."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from simulator.activity import Counts, Span, Stage, Task, Unit, Work
from simulator.energy.prices import Prices
from simulator.errors import InputError
from simulator.results.power import peaks_of
from simulator.results.result import Result, StepRecord
from simulator.timing.shares import WHOLE
from simulator.trace.op import Phase

FILE = "records.parquet"
_KEY = "trainsoc.records"
_SCHEMA = 1
_TIMES = ("overhead_ps", "compute_ps", "memory_ps")
_SIZES = ("batch", "m", "n", "k", "compute_cycles")
_NAMES = ("mapping", "mapped")
_AGAIN = "run `trainsoc run -o` again"


class Finished(NamedTuple):
    """The progress of work that has run: how long it takes alone is all that is known of it."""

    channel_ps: int
    alone_ps: int

    def duration_ps(self, share: int) -> int:
        """Return the time that the work takes with all of the memory."""
        if share != WHOLE:
            raise ValueError("of finished work only the time alone is kept")
        return self.alone_ps


class Records(NamedTuple):
    """What a saved run keeps of its steps, apart from what they cost."""

    steps: tuple[StepRecord, ...]
    macs_per_s: int


def write_records(directory: Path, result: Result) -> None:
    """Write the steps of `result` into `directory`, at once. Raises InputError if it cannot."""
    import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

    rows = [
        (number, *_row(record, index))
        for number, record in enumerate(result.records)
        for index in range(len(record.tasks))
    ]
    frame = pl.DataFrame(rows, schema=_schema(), orient="row")
    path = directory / FILE
    temporary = path.with_name(f"{FILE}.part")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            frame.write_parquet(file, compression="zstd", metadata={_KEY: _header(result)})
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def read_records(directory: Path, prices: Prices) -> Records:
    """Return the steps that `write_records` left, their peaks at `prices`.

    Raises InputError when there are none, or of another schema.
    """
    path = directory / FILE
    if not path.is_file():
        raise InputError(f"{directory}: no {FILE} here: {_AGAIN}")
    try:
        return _read(path, prices)
    except InputError:
        raise
    except Exception as error:
        told = " ".join(str(error).split())[:80]
        raise InputError(f"{path} is damaged ({told}): {_AGAIN}") from None


def _header(result: Result) -> str:
    records = [
        {"step": record.step, "runs": list(record.runs.items()), "ops": record.op_names}
        for record in result.records
    ]
    content = {"schema": _SCHEMA, "macs_per_s": result.macs_per_s, "records": records}
    return json.dumps(content, separators=(",", ":"))


def _row(record: StepRecord, index: int) -> tuple[Any, ...]:
    task, span = record.tasks[index], record.spans[index]
    work = task.work
    return (
        task.op, task.phase.value, task.layer, *span, record.attributed_ps[index],
        work.unit.value, work.stage.value,
        work.progress.channel_ps, work.progress.duration_ps(WHOLE),
        *(getattr(work, name) for name in (*_TIMES, *_SIZES, *_NAMES)),
        *work.counts,
    )  # fmt: skip


def _schema() -> dict[str, Any]:
    import polars as pl  # noqa: PLC0415

    places = {"record": pl.Int64, "op": pl.Int64, "phase": pl.String, "layer": pl.String}
    times = ("start_ps", "end_ps", "attributed_ps")
    kinds = {"unit": pl.String, "stage": pl.String}
    alone = ("channel_ps", "alone_ps", *_TIMES, *_SIZES)
    return {
        **places, **dict.fromkeys(times, pl.Int64), **kinds, **dict.fromkeys(alone, pl.Int64),
        **dict.fromkeys(_NAMES, pl.String), **dict.fromkeys(Counts._fields, pl.Int64),
    }  # fmt: skip


def _read(path: Path, prices: Prices) -> Records:
    import polars as pl  # noqa: PLC0415

    header = json.loads(pl.read_parquet_metadata(path)[_KEY])
    if header["schema"] != _SCHEMA:
        raise InputError(f"{path}: schema {header['schema']} is not {_SCHEMA}: {_AGAIN}")
    parts: list[list[tuple[Any, ...]]] = [[] for _ in header["records"]]
    for record, *row in pl.read_parquet(path, columns=list(_schema())).rows():
        parts[record].append(tuple(row))
    works: dict[tuple[Any, ...], Work] = {}  # equal work is one object, as in the run
    steps = [
        _record(told, rows, prices, works)
        for told, rows in zip(header["records"], parts, strict=True)
    ]
    return Records(tuple(steps), header["macs_per_s"])


def _record(
    told: dict[str, Any],
    rows: list[tuple[Any, ...]],
    prices: Prices,
    works: dict[tuple[Any, ...], Work],
) -> StepRecord:
    tasks, spans, attributed = [], [], []
    for op, phase, layer, start_ps, end_ps, attributed_ps, *rest in rows:
        key = tuple(rest)
        if key not in works:
            works[key] = _work(*rest)
        tasks.append(Task(works[key], op, Phase(phase), layer, ()))
        spans.append(Span(start_ps, end_ps))
        attributed.append(attributed_ps)
    peaks = peaks_of(tasks, spans, prices)
    runs = dict(map(tuple, told["runs"]))
    return StepRecord(
        told["step"], tuple(tasks), tuple(spans), tuple(attributed), peaks, tuple(told["ops"]), runs
    )


def _work(unit: str, stage: str, channel_ps: int, alone_ps: int, *rest: Any) -> Work:
    names = (*_TIMES, *_SIZES, *_NAMES)
    told, counts = rest[: len(names)], rest[len(names) :]
    progress = Finished(channel_ps, alone_ps)
    return Work(
        Unit(unit), Stage(stage), progress, Counts(*counts), **dict(zip(names, told, strict=True))
    )
