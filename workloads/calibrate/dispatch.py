"""Time of eager PyTorch per operation in each phase, from networks of tiny tensors."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn

from simulator.trace.op import OpKind
from simulator.trace.phases import FACTS, StepPart
from simulator.trace.trace import Step
from workloads.capture import capture

_PARTS = tuple(part for part in StepPart if part)
_DEPTHS = (2, 16)
_STEPS = 40
_FLUSHED = 2**22  # bytes: more than the caches of a core


@dataclass(frozen=True)
class Overheads:
    """Picoseconds per operation in each phase, per view, and at the start of each phase."""

    forward: int
    backward: int
    optimizer: int
    view: int
    begin: dict[str, int]


class _TinyBlock(nn.Module):
    """Modules and plain calls in a mix typical of networks."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.act(self.norm(self.linear(x)))
        return x + y


def overheads(call_ps: Callable[[str], float]) -> Overheads:
    """Return the times beyond what `call_ps` gives for a call of the kernel of that name.

    Networks of two depths separate the cost per operation from the start of each phase.
    """
    view_ps = _view_ps()
    own: dict[str, list[float]] = {phase: [] for phase in _PARTS}
    begin: dict[str, list[float]] = {phase: [] for phase in _PARTS}
    for make in (sgd, torch.optim.AdamW):
        small, large = (_measure(make, depth, view_ps, call_ps) for depth in _DEPTHS)
        for phase in _PARTS:
            (few, least_ps), (many, most_ps) = small[phase], large[phase]
            each = max(0.0, (most_ps - least_ps) / (many - few))
            own[phase].append(each)
            begin[phase].append(max(0.0, least_ps - few * each))
    mean = {phase: round(sum(each) / len(each)) for phase, each in own.items()}
    first = {phase: round(sum(each) / len(each)) for phase, each in begin.items()}
    return Overheads(mean["forward"], mean["backward"], mean["optimizer"], view_ps, first)


def sgd(parameters: object) -> torch.optim.Optimizer:
    """Return SGD with momentum and weight decay."""
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=1e-4)  # type: ignore[arg-type]


def _measure(
    make: Callable[..., torch.optim.Optimizer],
    depth: int,
    view_ps: int,
    call_ps: Callable[[str], float],
) -> dict[str, tuple[int, float]]:
    """Return how many operations each phase has, and their time beyond views and kernels."""
    model = nn.Sequential(*[_TinyBlock() for _ in range(depth)])
    optimizer = make(model.parameters())
    times = phase_times(model, optimizer)
    step = _record_step(model, optimizer)
    work_by_phase = {}
    for phase, ps in times.items():
        ops = [op for op in step.ops if FACTS[op.phase].part == phase]
        work = [op for op in ops if op.kind is not OpKind.VIEW]
        kernels_ps = sum(call_ps(op.base_name) for op in work)
        work_by_phase[phase] = len(work), ps - (len(ops) - len(work)) * view_ps - kernels_ps
    return work_by_phase


def phase_times(
    model: nn.Module, optimizer: torch.optim.Optimizer, *, compiled: bool = False
) -> dict[str, float]:
    """Return the median time of each phase in ps, with caches used by others before; the `model`
    may be `compiled`.
    """
    x, loss = torch.rand(4, 6), torch.zeros(())
    network = torch.compile(model, dynamic=False) if compiled else model

    def forward() -> None:
        nonlocal loss
        loss = network(x).mean()

    def backward() -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def update() -> None:
        optimizer.step()
        optimizer.zero_grad()

    parts = {"forward": forward, "backward": backward, "optimizer": update}
    times_ns: dict[str, list[int]] = {phase: [] for phase in _PARTS}
    flush = _flush()
    for _ in range(_STEPS):
        for phase, run in parts.items():
            flush()
            start = time.perf_counter_ns()
            run()
            times_ns[phase].append(time.perf_counter_ns() - start)
    return {phase: 1000 * median(times) for phase, times in times_ns.items()}


def _flush() -> Callable[[], None]:
    """Return a function that evicts code and data of a phase, as the kernels of a step would."""
    layer, images = nn.Conv2d(16, 16, 3), torch.rand(8, 16, 32, 32)
    large = torch.zeros(_FLUSHED // 4)

    def run() -> None:
        with torch.no_grad():
            large.add_(1)
            layer(images)

    return run


def _record_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    with capture(model, optimizer, steps=1) as recording:
        model(torch.rand(4, 6)).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return recording.trace.steps[recording.trace.typical_step]


def _view_ps(calls: int = 2000) -> int:
    x = torch.rand(4, 6)
    times = []
    for _ in range(9):
        start = time.perf_counter_ns()
        for _ in range(calls):
            x.t()
        times.append(time.perf_counter_ns() - start)
    return round(1000 * median(times) / calls)
