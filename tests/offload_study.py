"""The published study of offloaded convolutions, predicted: ResNet-20 on a Jetson Xavier.

What `jetson-xavier-offload` calls CALIBRATED is fitted here on single layers at batch 32, so that
a test can hold the file to it; whole steps at batch 4 are predictions.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from simulator.activity import Stage
from simulator.hardware import Hardware, load_hardware
from simulator.lowering.lower import Carry, Lowering
from simulator.replay import Replay
from simulator.timing.shares import WHOLE
from simulator.trace.op import Conv, Gemm, Op, OpKind, Phase, Role, convolution
from simulator.trace.trace import Trace
from tests.builders import StepBuilder, one_step_trace
from tests.reference import rows

# Channels in and out, height in and out of the layers measured: [32, c, h, h], 3 x 3 kernels. The
# first layer was measured on images of 224 x 224, which its neighbours do not fit: left out.
LAYERS = {
    "L2-6": (16, 16, 32, 32),
    "L7": (16, 32, 32, 16),
    "L8-12": (32, 32, 16, 16),
    "L13": (32, 64, 16, 8),
    "L14-18": (64, 64, 8, 8),
}
PER_LAYER = "systems/yonas_tensorrt_xavier_per_layer.csv"
COLUMNS = {
    "load": "load_input_s",
    "refit": "weight_refit_s",
    "launch": "compute_enqueue_s",
    "synchronise": "stream_sync_s",
    "reshape": "reshape_s",
}
"""Stages of the product, and where the study has them, in seconds per 100 iterations."""


class Fit(NamedTuple):
    """A fixed time per call in us, and a rate in GB/s, 0 without one."""

    fixed_us: float
    rate: float = 0.0


class Sizes(NamedTuple):
    """Bytes of a layer's tensors in fp32, and how often its gradient is replicated."""

    x: int
    y: int
    w: int
    partial: int
    times: int


def sizes(layer: str, batch: int = 32) -> Sizes:
    """Return what the tensors of `layer` take; `partial` is a weight gradient per image."""
    channels, filters, height, out = LAYERS[layer]
    weights = 4 * 9 * channels * filters
    x, y = 4 * batch * channels * height**2, 4 * batch * filters * out**2
    return Sizes(x, y, weights, batch * weights, channels)


def conv(layer: str, batch: int = 32) -> Conv:
    """Return the convolution of `layer`."""
    channels, filters, height, out = LAYERS[layer]
    stride = (height // out,) * 2
    return Conv(batch, channels, filters, (height,) * 2, (out,) * 2, (3, 3), stride, (1, 1), (1, 1))


def training(layer: str, batch: int = 32) -> Trace:
    """Return a trace of the layer's forward and backward alone."""
    it, builder = conv(layer, batch), StepBuilder()
    x = builder.tensor(batch, it.in_channels, *it.input)
    w = builder.tensor(it.out_channels, it.in_channels, *it.kernel)
    y = builder.tensor(batch, it.out_channels, *it.output)
    dx, dw = builder.tensor(*x.shape), builder.tensor(*w.shape)
    forward = (convolution(it),)
    name = "aten.convolution.default"
    builder.ops.append(Op(name, OpKind.GEMM, Phase.FORWARD, layer, (x, w), (y,), forward))
    dgrad = Gemm(Role.DGRAD, 1, *it.product(Role.DGRAD), 0, 2, 0, it)
    wgrad = Gemm(Role.WGRAD, 1, *it.product(Role.WGRAD), 0, 1, 1, it)
    name, back = "aten.convolution_backward.default", (dgrad, wgrad)
    builder.ops.append(Op(name, OpKind.GEMM, Phase.DGRAD, layer, (y, x, w), (dx, dw), back))
    return one_step_trace(builder)


def measured(stage: str) -> Iterator[tuple[str, bool, float]]:
    """Yield layer, whether it is the backward pass, and milliseconds of one iteration."""
    for row in rows(PER_LAYER):
        if row["layer"] in LAYERS:
            yield row["layer"], row["phase"] == "backward", 10 * float(row[COLUMNS[stage]])


def handled(stage: str, layer: str, backward: bool) -> tuple[int, int]:
    """Return how often a stage happens in a pass, and the bytes that it handles then."""
    x, y, w, partial, times = sizes(layer)
    forward, back = {
        "load": ((1, x), (2, y + x)),
        "refit": ((1, w), (2, w + times * y)),
        "reshape": ((1, y), (3, x + times * y + partial)),
    }.get(stage, ((1, 0), (2, 0)))
    return back if backward else forward


def fitted(stage: str) -> Fit:
    """Return the fit of a stage over forward and backward passes, by least relative squares.

    What waiting takes beyond the kernels is negative in places: there squares are absolute.
    """
    found = list(measured(stage))
    asked = np.array([handled(stage, layer, back) for layer, back, _ in found], float)
    took = np.array([ms for *_, ms in found])
    weight = np.ones(len(took)) if stage == "synchronise" else 1 / took
    if stage == "synchronise":
        took = took - [kernels_ms(layer, back) for layer, back, _ in found]
    if not asked[:, 1].any():
        asked = asked[:, :1]
    fixed, *slope = np.linalg.lstsq(asked * weight[:, None], took * weight, rcond=None)[0]
    return Fit(1e3 * max(0.0, float(fixed)), 1e-6 / float(slope[0]) if slope else 0.0)


def rest_ms(layer: str) -> float:
    """Return what an iteration of `layer` was measured to take beside both of its passes."""
    found = [row for row in rows(PER_LAYER) if row["layer"] == layer]
    passes = sum(float(row["phase_total_s"]) for row in found)
    return 10 * (float(found[0]["layer_total_s"]) - passes)


def fitted_dispatch_us() -> float:
    """Return what each operation on the CPU takes beyond its arithmetic, in us. Needs torch.

    The study does not list what else a layer's iteration runs: taken to be what belongs to a
    layer in the network, its batch norm, activation, loss gradient and updates.
    """
    idle = load_hardware(
        "jetson-xavier-offload", {"cpu.op_overhead": "0 cycles", "cpu.view_overhead": "0 cycles"}
    )
    each = []
    for layer in LAYERS:
        trace = whole_layer(layer)
        found = _summed(Replay(idle, trace).run().ops)
        busy = sum(ms for (_, stage), ms in found.items() if stage == "op")
        count = sum(op.kind is not OpKind.VIEW and not op.gemms for op in trace.steps[-1].ops)
        each.append((count / rest_ms(layer), 1 - busy / rest_ms(layer)))
    counts, left = np.array(each).T
    return 1e3 * float(counts @ left / (counts @ counts))


def kernels_ms(layer: str, backward: bool) -> float:
    """Return what the simulated accelerator computes in a pass of `layer`, batch 32."""
    phases = ("dgrad", "wgrad") if backward else ("forward",)
    found = layer_ms(layer)
    return sum(found.get((phase, "gemm"), 0.0) for phase in phases)


@cache
def layer_ms(layer: str) -> dict[tuple[str, str], float]:
    """Return milliseconds of each phase and stage of `layer` on the study's machine."""
    return stages_ms("jetson-xavier-offload", training(layer))


def stages_ms(machine: str, trace: Trace) -> dict[tuple[str, str], float]:
    """Return milliseconds of each phase and stage of the last distinct step on `machine`."""
    return _summed(Replay(load_hardware(machine), trace).run().ops)


def _summed(ops: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Add up the last step of `ops`, the steady one; every step numbers its work from 0."""
    last = max(range(len(ops)), key=lambda i: (ops[i]["index"] == 0, i))
    found: dict[tuple[str, str], float] = {}
    for op in ops[last:]:
        key = op["phase"], op["stage"]
        found[key] = found.get(key, 0.0) + 1e3 * (op["end_s"] - op["start_s"])
    return found


def handed_over(machine: Hardware, layer: str, phase: str) -> int:
    """Return the bytes that reach the accelerator's buffers in a phase of `layer`, batch 32."""
    uncached = load_hardware(machine, {"cpu.llc.size": "0 B"})
    tasks, _ = Lowering(uncached).lower(training(layer).steps[0], Carry())
    arrives = (Stage.LOAD, Stage.REFIT)
    works = [task.work for task in tasks if task.phase == phase and task.work.stage in arrives]
    return sum(work.counts.dram_write_bytes for work in works)


def pytorch_load_ms(layer: str, phase: str) -> float:
    """Return the time of copies to the GPU as the study's other runtime, PyTorch, made them.

    Its 1.09 ms per call are shared by the two operands of a product.
    """
    settings = {
        f"runtime.{stage}.{key}": value
        for stage in ("load", "refit")
        for key, value in (("fixed", "545 us"), ("rate", "4.7 GB/s"))
    }
    machine = load_hardware("jetson-xavier-offload", settings)
    step = training(layer).steps[0]
    tasks, _ = Lowering(machine).lower(step, Carry())
    named = {"fwd": "forward"}.get(phase, phase)
    arrives = (Stage.LOAD, Stage.REFIT)
    found = [t.work for t in tasks if t.phase == named and t.work.stage in arrives]
    return sum(work.progress.duration_ps(WHOLE) for work in found) / 10**9


def whole_layer(layer: str, batch: int = 32) -> Trace:
    """Return one step of a layer as the network has it, with all that stays on the CPU."""
    import torch
    from torch import nn

    from workloads.models.model import Model
    from workloads.models.step import capture_step

    channels, filters, height, out = LAYERS[layer]

    class Layer(nn.Module):
        """The input needs a gradient, as if there were a layer before."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(channels, filters, 3, height // out, 1, bias=False)
            self.norm = nn.BatchNorm2d(filters)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.norm(self.conv(x.detach().requires_grad_())))

    class Sum(nn.Module):
        def forward(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            return y.sum()

    shape = (channels, height, height)
    return capture_step(Model(layer, "one layer", Layer, shape, 2, batch, Sum))
