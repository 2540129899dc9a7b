"""The samples of a run, a row each: values of the constants, and metrics of the run with them."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError, shown
from simulator.files.json import Strict, parse_json
from simulator.files.parquet import parquet_bytes, read_columns, read_metadata
from simulator.files.writing import write_bytes
from simulator.hardware.constant import Constant, ConstantKind
from simulator.results.documents import AGAIN, Count, IntervalRow
from simulator.results.intervals import interval
from simulator.results.metrics import COMPARED, LATENCY

if TYPE_CHECKING:
    import polars

FILE = "samples.parquet"
_KEY = "trainsoc.samples"
Columns = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Samples:
    """The samples of one machine.

    `draws` holds the values of its uncertain `constants` by path, `columns` the sampled
    metrics by key, those of phase p as p_latency_s, NaN where it cannot run; `reasons` counts
    those samples.
    """

    hardware: str
    seed: int
    constants: tuple[Constant, ...]
    draws: Mapping[str, Sequence[int]]
    columns: Columns
    count: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def phases(self) -> list[str]:
        """The phases that have metrics, in the order of a step."""
        ending = f"_{LATENCY.key}"
        return [key.removesuffix(ending) for key in self.columns if key.endswith(ending)]

    def pairs_with(self, other: "Samples") -> bool:
        """Whether both drew the constants that they share alike: samples compare one by one."""
        return (self.count, self.seed) == (other.count, other.seed)


def ratios(ours: Samples, theirs: Samples) -> Columns:
    """Return speedup and energy ratio of every sample, of the run and of each phase of both."""
    starts = ["", *(f"{phase}_" for phase in ours.phases if phase in theirs.phases)]
    return {
        f"{start}{ratio.key}": list(map(_over, theirs.columns[key], ours.columns[key]))
        for start in starts
        for metric, ratio in COMPARED
        if (key := f"{start}{metric.key}") in ours.columns and key in theirs.columns
    }


def intervals_of(columns: Columns) -> dict[str, IntervalRow]:
    """Return the interval of each column that has a number in any sample."""
    intervals = {
        key: interval(column) for key, column in columns.items() if not all(map(math.isnan, column))
    }
    return {
        key: {"low": each.low, "median": each.median, "high": each.high}
        for key, each in intervals.items()
    }


def compared(left: Path, right: Path) -> dict[str, IntervalRow]:
    """Return the intervals of the right run's ratios over the left one's, by their keys.

    Empty where a folder has no samples, or where the two did not draw alike.
    """
    ours, theirs = read_samples(left), read_samples(right)
    if ours is None or theirs is None or not ours.pairs_with(theirs):
        return {}
    return intervals_of(ratios(ours, theirs))


def write_samples(directory: Path, samples: Samples) -> None:
    """Write `samples` into `directory`. Raises InputError if it cannot."""
    import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

    header = {
        "hardware": samples.hardware,
        "seed": samples.seed,
        "reasons": dict(samples.reasons),
        "constants": [asdict(each) for each in samples.constants],
    }
    numbers = {name: pl.Series(column, dtype=pl.Int64) for name, column in samples.draws.items()}
    measured = {key: pl.Series(column, dtype=pl.Float64) for key, column in samples.columns.items()}
    place = {"sample": pl.Series(range(samples.count), dtype=pl.Int64)}
    frame = pl.DataFrame(place | numbers | measured)
    text = json.dumps(header, separators=(",", ":"))
    write_bytes(directory / FILE, parquet_bytes(frame, {_KEY: text}))


def discard_samples(directory: Path) -> None:
    """Remove the samples of an earlier run from `directory`."""
    with suppress(OSError):
        (directory / FILE).unlink()


def read_samples(directory: Path) -> Samples | None:
    """Return the samples of the run in `directory`, None where it has none.

    Raises InputError where the file is damaged.
    """
    path = directory / FILE
    if not path.is_file():
        return None
    text = read_metadata(path, AGAIN).get(_KEY, "")
    header = parse_json(_SamplesHeader, text, str(path), AGAIN)
    frame = read_columns(path, None, AGAIN)
    try:
        constants = tuple(Constant(**each.model_dump()) for each in header.constants)
    except ValueError as error:
        raise InputError(f"{path}: {error}: {AGAIN}") from None
    draws, measured = _separated(frame, path)
    return Samples(
        header.hardware, header.seed, constants, draws, measured, frame.height, header.reasons
    )


class _ConstantRow(Strict):
    path: str
    value: int
    low: int
    high: int
    source: str
    kind: ConstantKind
    unit: str | None = None


class _SamplesHeader(Strict):
    hardware: str
    seed: Count
    reasons: dict[str, Count]
    constants: list[_ConstantRow]


def _separated(frame: "polars.DataFrame", path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return draws and metrics by column; settings have dots in their names."""
    draws: dict[str, Any] = {}
    measured: dict[str, Any] = {}
    for name in frame.columns:
        if name == "sample":
            continue
        kind, into = (int, draws) if "." in name else (float, measured)
        into[name] = frame[name].to_list()
        wrong = [cell for cell in into[name] if type(cell) is not kind or cell < 0]
        if wrong:
            raise InputError(f"{path}: {name}: {shown(wrong[0])}: no amount: {AGAIN}")
    return draws, measured


def _over(their: float, our: float) -> float:
    return their / our if our else math.nan
