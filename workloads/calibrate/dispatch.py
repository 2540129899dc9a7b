"""What eager PyTorch takes per operation in each phase, from networks of tiny tensors."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn

from simulator.trace.op import OpKind, Phase
from simulator.trace.trace import Step
from workloads.capture import capture

_PHASES = {
    "forward": {Phase.FORWARD, Phase.LOSS},
    "backward": {Phase.DGRAD, Phase.WGRAD},
    "optimizer": {Phase.OPTIMIZER, Phase.ZERO_GRAD},
}
_DEPTH = 16
_STEPS = 40


@dataclass(frozen=True)
class Overheads:
    """Picoseconds per operation in each phase, and per view."""

    forward: int
    backward: int
    optimizer: int
    view: int


class _Block(nn.Module):
    """Modules and plain calls in the mixture that networks have."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.act(self.norm(self.linear(x)))
        return x + y


def overheads(call_ps: Callable[[str], float]) -> Overheads:
    """Return the time per operation beyond what the kernel of that name itself takes per call."""
    view_ps = _view_ps()
    found: dict[str, list[float]] = {phase: [] for phase in _PHASES}
    for make in (_sgd, torch.optim.AdamW):
        model = nn.Sequential(*[_Block() for _ in range(_DEPTH)])
        optimizer = make(model.parameters())
        times = _phase_times(model, optimizer)
        step = _recorded(model, optimizer)
        for phase, ps in times.items():
            found[phase].append(_per_op(step, phase, ps, view_ps, call_ps))
    mean = {phase: round(sum(each) / len(each)) for phase, each in found.items()}
    return Overheads(mean["forward"], mean["backward"], mean["optimizer"], view_ps)


def _sgd(parameters: object) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=1e-4)  # type: ignore[arg-type]


def _per_op(
    step: Step, phase: str, ps: float, view_ps: int, call_ps: Callable[[str], float]
) -> float:
    ops = [op for op in step.ops if op.phase in _PHASES[phase]]
    views = sum(op.kind is OpKind.VIEW for op in ops)
    own = sum(call_ps(op.base_name) for op in ops if op.kind is not OpKind.VIEW)
    return max(0.0, (ps - views * view_ps - own) / max(1, len(ops) - views))


def _phase_times(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return the median time of each phase in ps."""
    found: dict[str, list[int]] = {phase: [] for phase in _PHASES}
    x = torch.rand(4, 6)
    for _ in range(_STEPS):
        start = time.perf_counter_ns()
        loss = model(x).mean()
        forward = time.perf_counter_ns()
        loss.backward()
        backward = time.perf_counter_ns()
        optimizer.step()
        optimizer.zero_grad()
        found["optimizer"].append(time.perf_counter_ns() - backward)
        found["backward"].append(backward - forward)
        found["forward"].append(forward - start)
    return {phase: 1000 * median(times) for phase, times in found.items()}


def _recorded(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
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
