"""Small traces and machines made by hand, for tests that need no torch."""

from itertools import product

from simulator.activity import Counts, Work
from simulator.energy.price_file import STANDARD_ACTIONS
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.unit import ACCELERATOR
from simulator.lowering.placement import Placement
from simulator.lowering.works import Templates
from simulator.mapping.layout import layout
from simulator.replay import Replay
from simulator.timing.shares import WHOLE
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor
from simulator.trace.storage import save_trace
from simulator.trace.trace import Segment, Step, StepKind, Storage, StorageKind, Trace


def small_trace(folder):
    """Write the trace of five steps, a GEMM and what follows it, and return the file."""
    builder = StepBuilder()
    builder.elementwise(builder.gemm(64, 64, 64))
    path = folder / "small.trace"
    save_trace(one_step_trace(builder, 5), path)
    return path


class StepBuilder:
    """Collects ops over storages that it numbers itself."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.storages: list[Storage] = []

    def tensor(
        self,
        *shape: int,
        kind: StorageKind = StorageKind.ACTIVATION,
        dtype: str = "float32",
        name: str = "",
    ) -> Tensor:
        """Allocate a contiguous tensor."""
        strides = [1]
        for size in reversed(shape[1:]):
            strides.insert(0, strides[0] * size)
        tensor = Tensor(len(self.storages), dtype, tuple(shape), tuple(strides[: len(shape)]))
        self.storages.append(Storage(tensor.bytes, kind, name))
        return tensor

    def gemm(
        self,
        m: int,
        n: int,
        k: int,
        *,
        a: Tensor | None = None,
        phase: Phase = Phase.FORWARD,
        role: Role = Role.FORWARD,
        layer: str = "fc",
        batch: int = 1,
    ) -> Tensor:
        """Append C[m,n] = A[m,k] B[k,n] and return C."""
        lead = (batch,) if batch > 1 else ()
        left = a if a is not None else self.tensor(*lead, m, k)
        right = self.tensor(*lead, k, n, kind=StorageKind.PARAMETER, name=f"w{len(self.ops)}")
        out = self.tensor(*lead, m, n)
        product = Gemm(role, batch, m, n, k, 0, 1, 0)
        self.ops.append(
            Op("aten.mm.default", OpKind.GEMM, phase, layer, (left, right), (out,), (product,))
        )
        return out

    def elementwise(
        self, *inputs: Tensor, phase: Phase = Phase.FORWARD, layer: str = "act"
    ) -> Tensor:
        """Append an elementwise op over `inputs` and return its output."""
        out = self.tensor(*inputs[0].shape, dtype=inputs[0].dtype)
        op = Op("aten.relu.default", OpKind.ELEMENTWISE, phase, layer, inputs, (out,))
        self.ops.append(op)
        return out

    def step(self, kind: StepKind = StepKind.TRAIN) -> Step:
        """Return the step built so far."""
        return Step(kind, tuple(self.ops), tuple(self.storages))


def one_step_trace(builder: StepBuilder, count: int = 1) -> Trace:
    """Return a trace that runs the step `count` times in one epoch."""
    return Trace("built", (builder.step(),), (Segment(0, 0, count),))


def gemm_at_both_fidelities(hardware: Hardware, m: int, n: int, k: int) -> list[int]:
    """Return the picoseconds that a step of one GEMM takes in flows and tile by tile."""
    builder = StepBuilder()
    builder.gemm(m, n, k)
    trace = one_step_trace(builder)
    runs = [Replay(hardware, trace, fidelity=each).run() for each in ("flow", "tile")]
    return [run.whole.tally.latency_ps for run in runs]


ACTIONS = {action.key: action for action in STANDARD_ACTIONS}


def counts(macs=0, macs_issued=0, **amounts):
    """Return counts of actions by their keys."""
    return Counts({ACTIONS[key]: n for key, n in amounts.items()}, macs, macs_issued)


def machine(base: str = "edge-16x16", **overrides: object) -> Hardware:
    """Return `base` with overrides, dots written as double underscores."""
    return load_hardware(base, {k.replace("__", "."): v for k, v in overrides.items()})


def array_work(hardware: Hardware, gemm: Gemm, out_bits: int) -> Work:
    """Return a GEMM on the accelerator of `hardware`, in its own precision."""
    array = hardware.accelerator
    native = Placement(ACCELERATOR, array.precision)
    return Templates(hardware).array_gemm(gemm, layout(gemm, array), native, out_bits)


def time_and_traffic(progress, counts):
    """Return the time in ps and the bytes that a plan takes and moves."""
    return progress.duration_ps(WHOLE), counts.dram_read_bytes + counts.dram_write_bytes


def best_within_slack(plans, slack=20):
    """Return time and bytes of the plan that moves least, then is fastest, of all whose time is at
    most so many permille above the least.
    """
    times = [plan.progress.duration_ps(WHOLE) for plan in plans]
    limit = min(times) * (1000 + slack) // 1000
    costs = [
        time_and_traffic(plan.progress, plan.work(1, "").counts)
        for plan, time_ps in zip(plans, times, strict=True)
        if time_ps <= limit
    ]
    return min(costs, key=lambda cost: cost[::-1])


def unrolled(body):
    """Yield the tiles of nested repeats one by one."""
    for node in body:
        if hasattr(node, "times"):
            for _ in range(node.times):
                yield from unrolled(node.body)
        else:
            yield node


def tiles_of(extents, loops):
    """Yield the counters of all loops and the range along each axis, tile by tile."""
    counts = [-(-extents[loop.axis] // loop.step) for loop in loops]
    for counters in product(*map(range, counts)):
        ranges = {axis: (0, size) for axis, size in extents.items()}
        for number, (axis, step) in zip(counters, loops, strict=True):
            ranges[axis] = number * step, min((number + 1) * step, extents[axis])
        yield counters, ranges
