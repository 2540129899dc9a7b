"""A microbenchmark of the simulated array: shapes in, cycles out."""

from pathlib import Path
from typing import Any

from simulator.activity import Task
from simulator.energy.prices import prices
from simulator.errors import Infeasible, InputError
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.precision import PRECISION_BITS
from simulator.hardware.unit import ACCELERATOR
from simulator.lowering.placement import Placement
from simulator.lowering.works import Templates
from simulator.machine.step import MOST_TILES, run_step
from simulator.mapping.layout import layout
from simulator.pattern_store import kept_samples
from simulator.probes.table import read_rows, write_rows
from simulator.trace.op import Gemm, Phase, Role, convolution, valid_convolution
from simulator.units import AJ_PER_J, Clock

_GEMM = ("m", "n", "k")
_CONV = ("ifmap_h", "ifmap_w", "filt_h", "filt_w", "channels", "num_filters", "stride")
_MEMORIES = ("scratchpad_bytes", "accumulator_bytes")
_ADDED = (
    "compute_cycles", "stall_cycles", "total_cycles", "utilization",
    "dram_read_bytes", "dram_write_bytes", "energy_j", "mapping_used", "mapped",
)  # fmt: skip


def probe_array(
    hardware: Hardware,
    shapes: Path,
    out: Path,
    fidelity: str = "flow",
    most_tiles: int = MOST_TILES,
) -> int:
    """Time every row of the CSV `shapes` alone on the accelerator and write `out`.

    Rows have m, n, k, or a convolution's ifmap_h, ifmap_w, filt_h, filt_w,
    channels, num_filters, stride, where ifmap sizes include padding; optionally batch (of
    products, or of images), groups, role (forward, dgrad, wgrad), mapping, scratchpad_bytes and
    accumulator_bytes. Operands and results are in the array's own precision. Returns the number
    of rows; raises InputError naming the row and the fix.
    """
    array = hardware.accelerator
    if array is None:
        raise InputError(f"{hardware.name} has no accelerator to probe")
    probes: dict[tuple[str | None, ...], _ArrayProbe] = {}
    measured = []
    with kept_samples(hardware.dram.device):
        for line, row in _shapes(shapes):
            where = f"{shapes}: line {line}"
            fixed = tuple(row.get(name) for name in _MEMORIES)
            if fixed not in probes:
                probes[fixed] = _ArrayProbe(_with_memories(hardware, row, where))
            probe = probes[fixed]
            gemm = _gemm(row, where, rounded_up=array.output_size == "ceil")
            try:
                metrics = probe.measure(
                    gemm, (row.get("mapping") or "").strip(), fidelity, most_tiles
                )
            except (Infeasible, InputError) as error:
                raise InputError(f"{where}: {error}") from None
            measured.append(row | metrics)
    write_rows(out, measured)
    return len(measured)


class _ArrayProbe:
    """Times GEMMs, one at a time, on one machine."""

    def __init__(self, hardware: Hardware) -> None:
        assert hardware.accelerator is not None, "checked before"
        self._array = hardware.accelerator
        self._templates, self._prices = Templates(hardware), prices(hardware)

    def measure(self, gemm: Gemm, mapping: str, fidelity: str, most_tiles: int) -> dict[str, Any]:
        """Return what the probe adds to a row."""
        array = self._array
        native = Placement(ACCELERATOR, array.precision)
        bits = PRECISION_BITS[array.precision]
        work = self._templates.array_gemm(gemm, layout(gemm, array), native, bits, mapping)
        task = Task(work, 0, Phase.FORWARD, "", ())
        run = run_step((task,), "in_order", fidelity, most_tiles=most_tiles)
        duration = run.duration_ps
        total = max(work.compute_cycles, Clock(array.clock).ps_to_cycles(duration))
        energy = self._prices.dynamic_aj_of(work.counts)
        energy += self._prices.whole_static_uw * duration
        values = (
            work.compute_cycles,
            total - work.compute_cycles,
            total,
            gemm.macs * array.steps_per_mac / (array.elements * total),
            work.counts.dram_read_bytes,
            work.counts.dram_write_bytes,
            energy / AJ_PER_J,
            work.mapping,
            work.mapping_reason,
        )
        return dict(zip(_ADDED, values, strict=True))


def _with_memories(hardware: Hardware, row: dict[str, str], where: str) -> Hardware:
    """Return the machine with the memories that the row fixes."""
    sizes = {
        name.removesuffix("_bytes"): f"{_number(row, name, where)} B"
        for name in _MEMORIES
        if row.get(name)
    }
    return load_hardware(hardware, {f"accelerator.{part}": size for part, size in sizes.items()})


def _shapes(path: Path) -> list[tuple[int, dict[str, str]]]:
    rows = read_rows(path, "shapes")
    columns = set(rows[0][1])
    if not (set(_GEMM) <= columns or set(_CONV) <= columns):
        raise InputError(f"{path}: needs the columns {','.join(_GEMM)} or {','.join(_CONV)}")
    return rows


def _gemm(row: dict[str, str], where: str, *, rounded_up: bool) -> Gemm:
    role, batch = _role(row, where), _optional(row, "batch", where)
    if row.get("m"):
        if _optional(row, "groups", where) > 1:
            raise InputError(f"{where}: groups belong to a convolution; give a GEMM's as batch")
        m, n, k = (_number(row, name, where) for name in _GEMM)
        return Gemm(role, batch, m, n, k, 0, 1, 0)
    height, width, kernel_h, kernel_w, channels, filters, stride = (
        _number(row, name, where) for name in _CONV
    )
    try:
        conv = valid_convolution(
            channels, filters, (height, width), (kernel_h, kernel_w), stride,
            images=batch, groups=_optional(row, "groups", where), rounded_up=rounded_up,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    return convolution(conv, role)


def _role(row: dict[str, str], where: str) -> Role:
    text = (row.get("role") or Role.FORWARD.value).strip()
    roles = (Role.FORWARD, Role.DGRAD, Role.WGRAD)
    if text not in roles:
        raise InputError(f"{where}: role = {text!r} must be one of {', '.join(roles)}")
    return Role(text)


def _optional(row: dict[str, str], name: str, where: str) -> int:
    return _number(row, name, where) if row.get(name) else 1


def _number(row: dict[str, str], name: str, where: str) -> int:
    text = (row.get(name) or "").strip()
    if not text.isdigit() or not int(text):
        raise InputError(f"{where}: {name} = {text!r} must be a whole number of 1 or more")
    return int(text)
