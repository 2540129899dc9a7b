"""Memory microbenchmark: access patterns in, bandwidth, row hit rate and energy out."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.hardware import Hardware
from simulator.hardware.dram import DramDevice
from simulator.probes.table import read_rows, write_rows
from simulator.timing.dram.memory import Memory
from simulator.timing.dram.patterns import Pattern, pattern

Rows = Iterable[dict[str, Any]]
RowProgress = Callable[[Rows, int, str], Rows]
_FEW = 8  # patterns; fewer run faster than worker processes start


def _silently(rows: Rows, _total: int, _what: str) -> Rows:
    return rows


def probe_memory(
    hardware: Hardware,
    patterns: Path,
    out: Path,
    workers: int | None = None,
    progress: RowProgress = _silently,
) -> int:
    """Simulate every row of the CSV `patterns` on the memory alone and write `out`.

    A row is a pattern name and, as a JSON object, its params. Adds bandwidth_gbps (useful bytes of
    all streams, 10^9 per second), row_hit_rate, and pj_per_bit (total energy per bit on the bus, of
    the datasheet's currents or `technology.dram_typical` of them).
    `workers` processes share the rows; default one per core. Returns the number of rows. Raises
    InputError naming the row and the fix.
    """
    device = hardware.dram.device
    if device is None:
        raise InputError(
            f"dram.preset {hardware.dram.preset} has no banks to probe: choose another preset"
        )
    rows = _patterns(patterns, device)
    measure = partial(_measure, device, hardware.technology.dram_typical or 1000)
    name = f"probing {hardware.dram.preset}"
    if workers == 1 or len(rows) <= _FEW:
        measured = list(progress(map(measure, rows), len(rows), name))
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            measured = list(progress(pool.map(measure, rows, chunksize=4), len(rows), name))
    write_rows(out, measured)
    return len(measured)


def _patterns(path: Path, device: DramDevice) -> list[dict[str, str]]:
    """Return the rows of the file; all are checked before the first runs."""
    rows = read_rows(path, "patterns")
    for line, row in rows:
        if "pattern" not in row:
            raise InputError(f"{path}: needs the columns pattern,params")
        try:
            _pattern(device, row)
        except InputError as error:
            raise InputError(f"{path}: line {line}: {error}") from None
    return [row for _, row in rows]


def _pattern(device: DramDevice, row: dict[str, str]) -> Pattern:
    return pattern(device, row["pattern"].strip(), row.get("params") or "{}")


def _measure(device: DramDevice, typical_permille: int, row: dict[str, str]) -> dict[str, Any]:
    workload = _pattern(device, row)
    memory = Memory(device, workload.streams, workload.mapping, hashed=workload.hashed)
    stats = memory.run()
    return row | {
        "bandwidth_gbps": stats.useful_gbps,
        "row_hit_rate": stats.row_hit_rate,
        "pj_per_bit": stats.pj_per_bit_bus * typical_permille / 1000,
    }
