"""A whole step of the offload study, batch 4: measured beside predicted, and part by part.

No constant is fitted to these rows: all are those of single layers at batch 32. The notebook
`04_validation.ipynb` prints them, `tests/system/test_offload_study.py` bounds their errors.
"""

from collections.abc import Iterable
from functools import cache

from simulator.trace.trace import Trace
from tests.offload_study import stages_ms
from tests.reference import rows
from tests.validation import Pair

Stages = dict[tuple[str, str], float]  # milliseconds by phase and stage
CPU_STAGES = ("op", "view")  # what is no convolution
STAGES = {
    "load": ("load",),
    "refit": ("refit",),
    "reshape, replicate": ("reshape", "replicate"),
    "launch": ("launch",),
    "kernels, store": ("gemm", "synchronise", "store", "reduce"),
}
"""Stages of a convolution, and those of the simulator that belong to each."""
COLUMNS = {
    "load": "load",
    "refit": "refit",
    "reshape, replicate": "reshape",
    "launch": "compute",  # the asynchronous enqueue alone
    "kernels, store": "sync",
}
"""Where the study has them, as `fwd_` and `bwd_`."""
HANDING = ("load", "refit", "reshape, replicate")


@cache
def offloaded() -> Stages:
    """Return the predicted step with copies. Needs torch."""
    return stages_ms("jetson-xavier-offload", resnet20())


@cache
def zero_copy() -> Stages:
    """Return the predicted step on the same machine without copies. Needs torch."""
    return stages_ms("jetson-xavier-zero-copy", resnet20())


def whole(column: str, setup: str = "TensorRT") -> float:
    """Return the measured milliseconds of one step, or of a part of it."""
    (found,) = (row for row in rows("systems/yonas_full_network.csv") if setup in row["setup"])
    return 10 * float(found[column])  # seconds of 100 steps


def slowdown() -> Pair:
    """Return how much longer an offloaded step takes than the study's own on the GPU alone."""
    alone = whole("total_s", "everything on GPU")
    name = "time of a step, of that on the GPU alone"
    return Pair(name, whole("total_s") / alone, sum(offloaded().values()) / alone)


def handing_share() -> Pair:
    """Return the share of convolutions that is load, refit and reshape."""
    both, handing = _convolutions(), _handing()
    measured, predicted = handing.measured / both.measured, handing.predicted / both.predicted
    return Pair("share of load, refit, reshape in convolutions", measured, predicted)


def speedup_without() -> Pair:
    """Return how many times as fast a step is without load, refit and reshape."""
    _, *ends = _step()
    _, *handing = _handing()
    measured, predicted = (a / (a - b) for a, b in zip(ends, handing, strict=True))
    return Pair("speed-up of a step without these", measured, predicted)


def parts_ms() -> list[Pair]:
    """Return the step, its phases with their convolutions, the rest, and stages, in ms."""
    back = ("dgrad", "wgrad")
    forward = Pair("forward", whole("forward_s"), _phases(("forward",)))
    backward = Pair("backward", whole("backward_s"), _phases(back))
    measured = whole("total_s") - forward.measured - backward.measured
    rest = Pair("optimizer, loss", measured, _phases(("optimizer", "loss")))
    inside = [
        Pair("convolutions, forward", whole("fwd_conv_s"), _phases(("forward",), convolution=True)),
        Pair("convolutions, backward", whole("bwd_conv_s"), _phases(back, convolution=True)),
    ]
    return [_step(), forward, backward, rest, *inside, *(_stage(name) for name in STAGES)]


def _step() -> Pair:
    return Pair("step", whole("total_s"), sum(offloaded().values()))


def _phases(names: Iterable[str], convolution: bool = False) -> float:
    return sum(
        ms
        for (phase, stage), ms in offloaded().items()
        if phase in names and not (convolution and stage in CPU_STAGES)
    )


def _convolutions() -> Pair:
    predicted = sum(ms for (_, stage), ms in offloaded().items() if stage not in CPU_STAGES)
    return Pair("convolutions", whole("fwd_conv_s") + whole("bwd_conv_s"), predicted)


def _handing() -> Pair:
    found = [_stage(name) for name in HANDING]
    return Pair("handing", sum(p.measured for p in found), sum(p.predicted for p in found))


def _stage(name: str) -> Pair:
    measured = sum(whole(f"{phase}_{COLUMNS[name]}") for phase in ("fwd", "bwd"))
    predicted = sum(ms for (_, stage), ms in offloaded().items() if stage in STAGES[name])
    return Pair(name, measured, predicted)


def resnet20(batch: int = 4) -> Trace:
    """Return one step of ResNet-20 on CIFAR-10, shortcuts without parameters (inferred from the
    study's 19 convolutions). Needs torch.
    """
    from torch import Tensor, nn
    from torch.nn import functional

    from workloads.models.model import Model
    from workloads.models.step import capture_step
    from workloads.recipes.resnet20_digits import ResNet20

    class Padded(nn.Module):
        """Every second pixel, and zeros for the new channels (He et al., 2015, option A)."""

        def forward(self, x: Tensor) -> Tensor:
            new = x.shape[1] // 2
            return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, new, new))

    def build() -> ResNet20:
        network = ResNet20()
        for block in (network.layer2[0], network.layer3[0]):
            block.shortcut = Padded()
        return network

    model = Model("resnet20", "ResNet-20 on CIFAR-10", build, (3, 32, 32), 10, batch)
    return capture_step(model)
