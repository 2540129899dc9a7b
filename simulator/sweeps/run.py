"""Replaying every point of a space, on all cores, into one table."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import Infeasible, InputError
from simulator.hardware import load_hardware
from simulator.replay import as_trace, simulate
from simulator.sweeps.pareto import pareto_front
from simulator.sweeps.space import Point, Space, points
from simulator.trace.trace import Trace

if TYPE_CHECKING:
    import polars

Progress = Callable[..., Any]
_CHUNKS_PER_WORKER = 8


def sweep(
    hardware: str,
    trace: str,
    space: Space,
    out: Path | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> "polars.DataFrame":
    """Replay `trace` on every point of `space` over `hardware` and return the table of points.

    `space` maps settings to their values, {"accelerator.rows": ["8", "16"]}; `out` is a folder
    for the table. Every point is checked before the first one runs. An infeasible point is a row
    with its reason. The table is ordered as the space, whatever finished first.
    """
    import polars

    grid = list(points(space))
    for point in grid:
        load_hardware(hardware, point)
    as_trace(trace)
    rows = _replay_all(hardware, trace, grid, workers or os.cpu_count() or 1, progress)
    table = polars.DataFrame(_with_front(rows), infer_schema_length=None)
    if out is not None:
        _write(table, out)
    return table


def _replay_all(
    hardware: str, trace: str, grid: list[Point], workers: int, progress: Progress | None
) -> list[dict[str, Any]]:
    chunks = _chunked(grid, workers * _CHUNKS_PER_WORKER)
    if workers == 1 or len(grid) == 1:
        done = (_replay_chunk(hardware, trace, chunk) for chunk in chunks)
        watched = progress(done, len(chunks), "sweeping") if progress else done
        return [row for rows in watched for row in rows]
    with ProcessPoolExecutor(min(workers, len(chunks)), get_context("spawn")) as pool:
        futures = {
            pool.submit(_replay_chunk, hardware, trace, chunk): position
            for position, chunk in enumerate(chunks)
        }
        finished = ((futures[future], future.result()) for future in as_completed(futures))
        watched = progress(finished, len(chunks), "sweeping") if progress else finished
        results = dict(watched)
    return [row for position in sorted(results) for row in results[position]]


def _chunked(grid: list[Point], count: int) -> list[list[Point]]:
    size = max(1, -(-len(grid) // count))
    return [grid[start : start + size] for start in range(0, len(grid), size)]


def _replay_chunk(hardware: str, trace: str, chunk: list[Point]) -> list[dict[str, Any]]:
    return [_row(hardware, _trace(trace), point) for point in chunk]


@lru_cache(maxsize=1)
def _trace(source: str) -> Trace:
    return as_trace(source)


def _row(hardware: str, trace: Trace, point: Point) -> dict[str, Any]:
    knobs = {key: int(value) if value.isdigit() else value for key, value in point.items()}
    try:
        result = simulate(hardware, trace, point)
    except Infeasible as error:
        return {**knobs, "feasible": False, "reason": error.reason}
    total = result.total
    areas = {f"area_{name}_mm2": value for name, value in result.area_mm2.items()}
    parts = total.pop("energy_by_component_j")
    energies = {f"energy_{name}_j": value for name, value in parts.items()}
    exact = {"energy_aj": str(total.pop("energy_aj"))}  # beyond 64 bits in long runs
    return {**knobs, "feasible": True, "reason": "", **total, **energies, **areas, **exact}


def _with_front(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    feasible = [row for row in rows if row["feasible"]]
    front = pareto_front([(row["latency_s"], row["energy_j"]) for row in feasible])
    on_front = {id(row): keep for row, keep in zip(feasible, front, strict=True)}
    return [row | {"pareto": on_front.get(id(row), False)} for row in rows]


def _write(table: "polars.DataFrame", out: Path) -> None:
    target = out / "points.parquet"
    temporary = target.with_name(target.name + ".part")
    try:
        out.mkdir(parents=True, exist_ok=True)
        table.write_parquet(temporary)
        temporary.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from None
