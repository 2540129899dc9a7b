"""How large a GEMM must be for the accelerator to be worth its while, phase by phase."""

from collections.abc import Iterable, Sequence
from typing import Any

from simulator.hardware import Hardware, load_hardware
from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.lower import Carry, Lowering
from simulator.machine.step import run_step
from simulator.pattern_store import kept_samples
from simulator.timing.sharing import Sharing, sharing_of
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor
from simulator.trace.trace import Step, StepKind, Storage, StorageKind

PHASES = (Phase.FORWARD, Phase.DGRAD, Phase.WGRAD)
SIZES = range(8, 513, 8)
_COPIES = {"none": "zero-copy", "in_out": "copies in and out"}


def break_even(hardware: Hardware, sizes: Sequence[int] = SIZES) -> dict[Phase, int | None]:
    """Return per phase the least n of `sizes` from which on offloading n x n x n products wins.

    They are those of one linear layer's training step, all on the CPU or all on the accelerator,
    in the steady state: a tensor converted in one phase serves the next. None: not within `sizes`.
    """
    lowering, sharing = Lowering(hardware), sharing_of(hardware)
    worth: dict[Phase, int | None] = dict.fromkeys(PHASES)
    with kept_samples(hardware.dram.device):
        for n in sizes:
            step = linear_layer(n)
            cpu, array = (
                _by_phase(hardware, lowering, sharing, step, unit) for unit in (HOST, ACCELERATOR)
            )
            for phase in PHASES:
                wins = array[phase] < cpu[phase]
                worth[phase] = (worth[phase] or n) if wins else None
    return worth


def break_even_rows(hardware: Hardware, sizes: Sequence[int] = SIZES) -> list[dict[str, Any]]:
    """Return `break_even` with and without copies, a row per phase."""
    thresholds = {
        name: break_even(load_hardware(hardware, {"runtime.copies": copies}), sizes)
        for copies, name in _COPIES.items()
    }
    return [
        {"phase": phase.value, **{name: worth[phase] for name, worth in thresholds.items()}}
        for phase in PHASES
    ]


def break_even_table(hardware: Hardware, sizes: Sequence[int] = SIZES) -> str:
    """Return `break_even_rows` as a table in Markdown."""
    rows = break_even_rows(hardware, sizes)
    lines = [rows[0].keys(), ["---"] * len(rows[0]), *(map(_cell, row.values()) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: str | int | None) -> str:
    return "never" if value is None else f"n = {value}" if isinstance(value, int) else value


def linear_layer(n: int) -> Step:
    """Return a training step of a layer of n inputs and outputs on n samples, without bias, and
    of plain gradient descent."""
    names = ("x", "w", "y", "dy", "dx", "dw")
    kinds = [StorageKind.PARAMETER if name == "w" else StorageKind.ACTIVATION for name in names]
    x, w, y, dy, dx, dw = (Tensor(i, "float32", (n, n), (n, 1)) for i in range(len(names)))
    products = (
        (Phase.FORWARD, x, w, y),
        (Phase.DGRAD, dy, _transposed(w), dx),
        (Phase.WGRAD, _transposed(x), dy, dw),
    )
    update = Op("aten.add_", OpKind.ELEMENTWISE, Phase.OPTIMIZER, "fc", (w, dw), (w,))
    ops = (*(_product(n, phase, tensors) for phase, *tensors in products), update)
    storages = (Storage(4 * n * n, kind, name) for kind, name in zip(kinds, names, strict=True))
    return Step(StepKind.TRAIN, ops, tuple(storages))


def _product(n: int, phase: Phase, tensors: Sequence[Tensor]) -> Op:
    a, b, c = tensors
    gemm = Gemm(Role(phase.value), 1, n, n, n, 0, 1, 0)
    return Op("aten.mm.default", OpKind.GEMM, phase, "fc", (a, b), (c,), (gemm,))


def _transposed(tensor: Tensor) -> Tensor:
    shape, strides = tensor.shape[::-1], tensor.strides[::-1]
    return Tensor(tensor.storage, tensor.dtype, shape, strides)


def _by_phase(
    hardware: Hardware, lowering: Lowering, sharing: Sharing, step: Step, unit: str
) -> dict[Phase, int]:
    """Return the picoseconds of each phase in a steady step with every product on `unit`."""
    placed = (unit,) * len(step.ops)
    _, carry = lowering.lower(step, Carry(), placed)
    tasks, _ = lowering.lower(step, carry, placed)
    run = run_step(tasks, hardware.runtime.issue, sharing=sharing)
    return _sums((task.phase for task in tasks), run.attributed_ps)


def _sums(phases: Iterable[Phase], charged: Iterable[int]) -> dict[Phase, int]:
    sums = dict.fromkeys((*PHASES, Phase.OPTIMIZER), 0)
    for phase, ps in zip(phases, charged, strict=True):
        sums[phase] += ps
    return sums
