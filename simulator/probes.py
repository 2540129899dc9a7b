"""Microbenchmarks of the simulated machine: shapes in, cycles out."""

import csv
import io
from pathlib import Path
from typing import Any

from simulator.activity import Unit
from simulator.energy.prices import prices
from simulator.errors import InputError
from simulator.hardware import Hardware
from simulator.hardware.soc import PRECISION_BITS
from simulator.lowering.placement import Placement
from simulator.lowering.works import Templates
from simulator.results.result import write_text
from simulator.timing.shares import WHOLE
from simulator.trace.op import Conv, Gemm, Role
from simulator.units import AJ_PER_J, Clock

_GEMM = ("m", "n", "k")
_CONV = ("ifmap_h", "ifmap_w", "filt_h", "filt_w", "channels", "num_filters", "stride")
_ADDED = (
    "compute_cycles", "stall_cycles", "total_cycles", "utilization",
    "dram_read_bytes", "dram_write_bytes", "energy_j",
)  # fmt: skip


def probe_array(hardware: Hardware, shapes: Path, out: Path) -> int:
    """Time every row of the CSV `shapes` alone on the accelerator and write `out`.

    Rows have m, n, k (and optionally batch), or a convolution's ifmap_h, ifmap_w, filt_h, filt_w,
    channels, num_filters, stride, where ifmap sizes include padding. Operands and results are in
    the array's own precision. Returns the number of rows; raises InputError naming the row and
    the fix.
    """
    array = hardware.accelerator
    if array is None:
        raise InputError(f"{hardware.name} has no accelerator to probe")
    rows = _read(shapes)
    templates, table = Templates(hardware), prices(hardware)
    static_uw = sum(table.static_uw)
    native = Placement(Unit.ACCELERATOR, array.precision)
    measured = []
    for line, row in rows:
        gemm = _gemm(row, f"{shapes}: line {line}")
        work = templates.array_gemm(gemm, native, PRECISION_BITS[array.precision])
        duration = work.progress.duration_ps(WHOLE)
        total = max(work.compute_cycles, Clock(array.clock).ps_to_cycles(duration))
        energy = table.dynamic_aj_of(work.counts) + static_uw * duration
        values = (
            work.compute_cycles,
            total - work.compute_cycles,
            total,
            gemm.macs / (array.rows * array.cols * total),
            work.counts.dram_read_bytes,
            work.counts.dram_write_bytes,
            energy / AJ_PER_J,
        )
        measured.append(row | dict(zip(_ADDED, values, strict=True)))
    write_text(out, _csv(measured))
    return len(measured)


def _read(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    columns = set(reader.fieldnames or ())
    if not (set(_GEMM) <= columns or set(_CONV) <= columns):
        raise InputError(f"{path}: needs the columns {','.join(_GEMM)} or {','.join(_CONV)}")
    rows = [(reader.line_num, row) for row in reader]
    if not rows:
        raise InputError(f"{path}: no shapes below the header")
    return rows


def _gemm(row: dict[str, str], where: str) -> Gemm:
    if row.get("m"):
        m, n, k = (_number(row, name, where) for name in _GEMM)
        batch = _number(row, "batch", where) if row.get("batch") else 1
        return Gemm(Role.FORWARD, batch, m, n, k, 0, 1, 0)
    height, width, kernel_h, kernel_w, channels, filters, stride = (
        _number(row, name, where) for name in _CONV
    )
    if height < kernel_h or width < kernel_w:
        raise InputError(f"{where}: the filter is larger than the input")
    out = ((height - kernel_h) // stride + 1, (width - kernel_w) // stride + 1)
    conv = Conv(
        1, channels, filters, (height, width), out, (kernel_h, kernel_w), (stride, stride),
        (0, 0), (1, 1),
    )  # fmt: skip
    k = channels * kernel_h * kernel_w
    return Gemm(Role.FORWARD, 1, out[0] * out[1], filters, k, 0, 1, 0, conv)


def _number(row: dict[str, str], name: str, where: str) -> int:
    text = (row.get(name) or "").strip()
    if not text.isdigit() or not int(text):
        raise InputError(f"{where}: {name} = {text!r} must be a whole number of 1 or more")
    return int(text)


def _csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
