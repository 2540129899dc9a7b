"""Microbenchmarks of the simulated CPU, on one core and on all: products and loops over memory."""

from typing import Any, NamedTuple

from simulator.activity import Work
from simulator.hardware import Hardware, load_hardware
from simulator.lowering.cache import Transfers
from simulator.lowering.works import Templates
from simulator.si import percent, si
from simulator.timing.shares import WHOLE
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor, bits_of
from simulator.units import PS_PER_S

_SIDE = 4096  # of the products: far beyond any cache, as in HPL
_VECTOR = 2**26  # words of a loop's operand: 256 MiB
_FLOP = 2  # of a multiply-add


class Loop(NamedTuple):
    """A loop that reads one tensor and writes another."""

    name: str
    kind: OpKind


_PRODUCTS = {"float64": "HPL (fp64 GEMM)", "float32": "fp32 GEMM", "bfloat16": "bf16 GEMM"}
_LOOPS = (
    Loop("copy loop", OpKind.ELEMENTWISE),
    Loop("memcpy", OpKind.COPY),
    Loop("exponential", OpKind.TRANSCENDENTAL),
)


def cpu_rows(hardware: Hardware) -> list[dict[str, Any]]:
    """Return each microbenchmark on one core and on all of them.

    Rates are FLOP per second of products of 4096 x 4096 x 4096 beside the share of the vector
    units' peak, and bytes read and written per second by loops over 256 MiB. A core alone keeps
    the whole memory to itself.
    """
    counts = dict.fromkeys((1, hardware.cpu.cores))
    rows = []
    for cores in counts:
        soc = load_hardware(hardware, {"cpu.cores": cores})
        templates = Templates(soc)
        rows += [_product(templates, name, dtype) for dtype, name in _PRODUCTS.items()]
        rows += [_loop(templates, loop) for loop in _LOOPS]
    return sorted(rows, key=lambda row: [*_PRODUCTS.values(), *_names()].index(row["benchmark"]))


def cpu_table(hardware: Hardware) -> str:
    """Return `cpu_rows` as a table in Markdown."""
    lines = [("benchmark", "cores", "rate", "of peak"), ("---",) * 4]
    for row in cpu_rows(hardware):
        peak = percent(row["rate"], row["peak"]) if row["peak"] else "-"
        lines.append((row["benchmark"], str(row["cores"]), si(row["rate"], row["unit"]), peak))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _names() -> list[str]:
    return [loop.name for loop in _LOOPS]


def _product(templates: Templates, name: str, dtype: str) -> dict[str, Any]:
    cpu, n = templates.hardware.cpu, _SIDE
    a, b, c = (_tensor(which, (n, n), dtype) for which in range(3))
    gemm = Gemm(Role.FORWARD, 1, n, n, n, 0, 1, 0)
    op = Op("aten.mm.default", OpKind.GEMM, Phase.FORWARD, "", (a, b), (c,), (gemm,))
    work = templates.cpu_gemm(op, (gemm,), Transfers((a.bytes, b.bytes), (c.bytes,)), 0, 0)
    lanes = cpu.simd * 8 // bits_of(dtype) * cpu.simd_pipes
    peak = _FLOP * lanes * cpu.clock * cpu.cores
    return _row(name, cpu.cores, _FLOP * n**3, work, "FLOP/s", peak)


def _loop(templates: Templates, loop: Loop) -> dict[str, Any]:
    source, target = (_tensor(which, (_VECTOR,), "float32") for which in range(2))
    op = Op("aten.copy_.default", loop.kind, Phase.FORWARD, "", (source,), (target,))
    work = templates.operation(op, Transfers((source.bytes,), (target.bytes,)), 0, 0)
    size = source.bytes + target.bytes
    return _row(loop.name, templates.hardware.cpu.cores, size, work, "B/s", 0)


def _row(name: str, cores: int, amount: int, work: Work, unit: str, peak: int) -> dict[str, Any]:
    rate = amount * PS_PER_S / work.progress.duration_ps(WHOLE)
    return {"benchmark": name, "cores": cores, "rate": rate, "unit": unit, "peak": peak}


def _tensor(storage: int, shape: tuple[int, ...], dtype: str) -> Tensor:
    strides = tuple(shape[-1] ** (len(shape) - 1 - i) for i in range(len(shape)))
    return Tensor(storage, dtype, shape, strides)
