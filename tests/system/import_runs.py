# ruff: noqa: E402 - without torch nothing here can be imported
"""A small network, and how PyTorch's own tools record it."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.profiler import ExecutionTraceObserver, profile

from simulator.trace.importers import IMPORTERS

ROWS, FEATURES, HIDDEN, CLASSES = 5, 6, 4, 3
INNER, OUTER = 2 * ROWS * FEATURES * HIDDEN, 2 * ROWS * HIDDEN * CLASSES  # FLOPs of the layers


def observe(path, program):
    observer = ExecutionTraceObserver().register_callback(str(path))
    observer.start()
    program()
    observer.stop()
    observer.unregister_callback()
    return IMPORTERS["execution-trace"](path)


def profiled(path, program):
    with profile(record_shapes=True) as profiler:
        program()
    profiler.export_chrome_trace(str(path))
    return IMPORTERS["kineto"](path)


TOOLS = pytest.mark.parametrize("tool", [observe, profiled])


class Run:
    """Two dense layers that learn."""

    def __init__(self):
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(FEATURES, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        self.model = nn.Sequential(self.first, nn.Tanh(), self.second)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.x, self.y = torch.randn(ROWS, FEATURES), torch.randint(CLASSES, (ROWS,))
        self.step()

    def step(self, zero="first", teacher=None, network=None):
        """Train once; gradients are zeroed `first`, in the `middle` or `last`."""
        if zero == "first":
            self.optimizer.zero_grad()
        wanted = self.y if teacher is None else self.taught(teacher)
        loss = nn.functional.cross_entropy((network or self.model)(self.x), wanted)
        if zero == "middle":
            self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if zero == "last":
            self.optimizer.zero_grad()

    @torch.no_grad()
    def taught(self, teacher):
        return teacher(self.x).softmax(1)

    def evaluate(self, grad=False):
        with torch.set_grad_enabled(grad):
            (self.model(self.x).argmax(1) == self.y).sum().item()


def kinds(trace):
    return [(trace.steps[segment.step].kind, segment.count) for segment in trace.segments]
