# ruff: noqa: E402 - without torch nothing here can be imported
"""A step recorded by PyTorch's own tools and by ours, in one process, is the same step."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.profiler import ExecutionTraceObserver, profile

from simulator import simulate
from simulator.trace.importers import IMPORTERS
from simulator.trace.op import OpKind
from simulator.trace.trace import Segment, StorageKind, dependences
from workloads.capture import capture

pytestmark = pytest.mark.torch


class LeNet(nn.Module):
    """Two convolutions and two dense layers, one of them strided and grouped."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.norm = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 16, 5, stride=2, groups=2)
        self.fc1 = nn.Linear(400, 84)
        self.fc2 = nn.Linear(84, 10)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv1(x)))
        x = torch.max_pool2d(x, 2)
        x = torch.relu(self.conv2(x))
        return self.fc2(torch.tanh(self.fc1(x.flatten(1))))


class Encoder(nn.Module):
    """A transformer encoder over tokens, as small as it can be."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, tokens):
        return self.head(self.layers(self.table(tokens)).mean(1))


def images():
    return torch.randn(8, 1, 28, 28)


def tokens():
    return torch.randint(50, (4, 12))


CASES = {
    "lenet": (LeNet, images, torch.optim.Adam, False),
    "lenet_bf16": (LeNet, images, torch.optim.SGD, True),
    "encoder": (Encoder, tokens, torch.optim.AdamW, False),
    "encoder_bf16": (Encoder, tokens, torch.optim.SGD, True),
}


class Run:
    """The same step, as often as it is asked for."""

    def __init__(self, name):
        network, data, optimizer, self.autocast = CASES[name]
        torch.manual_seed(0)
        self.model = network()
        self.optimizer = optimizer(self.model.parameters(), lr=1e-3)
        self.x = data()
        self.y = torch.randint(10, (len(self.x),))
        self.step()  # the optimizer has its state

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            loss = nn.functional.cross_entropy(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()


@pytest.fixture(scope="module", params=CASES)
def traces(request, tmp_path_factory):
    """Return the captured, the observed and the profiled trace of two steps."""
    run = Run(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    observed, profiled = folder / "observed.json", folder / "profiled.json"
    observer = ExecutionTraceObserver().register_callback(str(observed))
    observer.start()
    for _ in range(2):
        run.step()
    observer.stop()
    observer.unregister_callback()
    with profile(record_shapes=True) as profiler:
        for _ in range(2):
            run.step()
    profiler.export_chrome_trace(str(profiled))
    with capture(run.model, run.optimizer) as recording:
        for _ in range(2):
            run.step()
    return (
        recording.trace,
        IMPORTERS["execution-trace"](observed),
        IMPORTERS["kineto"](profiled),
    )


def steady(trace):
    return trace.steps[trace.typical_step]


def working(trace):
    return [op for op in steady(trace).ops if op.kind is not OpKind.VIEW]


def products(trace):
    return [
        (gemm.role, gemm.batch, gemm.m, gemm.n, gemm.k, gemm.conv)
        for op in working(trace)
        for gemm in op.gemms
    ]


def test_gemms_are_the_same(traces):
    captured, observed, profiled = map(products, traces)
    assert observed == captured
    assert profiled == captured


def test_ops_are_the_same(traces):
    # PyTorch adds out of place while a dispatch mode such as our capture looks on.
    captured, observed, profiled = (
        [(op.base_name.rstrip("_"), op.kind) for op in working(trace)] for trace in traces
    )
    assert observed == captured
    assert profiled == captured


def test_phases_and_types_of_an_execution_trace_are_the_same(traces):
    captured, observed, _ = traces
    for mine, theirs in zip(working(captured), working(observed), strict=True):
        assert theirs.phase is mine.phase, mine
        assert [t.dtype for t in theirs.outputs] == [t.dtype for t in mine.outputs], mine


def test_an_execution_trace_moves_the_same_bytes(traces):
    captured, observed, _ = traces
    for mine, theirs in zip(working(captured), working(observed), strict=True):
        assert (theirs.read_bytes, theirs.write_bytes) == (mine.read_bytes, mine.write_bytes), mine


def test_a_profile_moves_nearly_the_same_bytes(traces):
    captured, _, profiled = (
        sum(op.read_bytes + op.write_bytes for op in working(trace)) for trace in traces
    )
    assert profiled == pytest.approx(captured, rel=0.05)


def test_an_execution_trace_has_the_same_dependences(traces):
    captured, observed, _ = traces
    pairs = zip(working(captured), working(observed), strict=True)
    for (here, there), mine, theirs in zip(pairs, _waits(captured), _waits(observed), strict=True):
        if here.base_name == there.base_name:
            assert theirs == mine, here
        else:  # in place it also waits for those that read its operand
            assert set(theirs) >= set(mine), here


def _waits(trace):
    """Return what each working op waits for, counted in working ops."""
    step = steady(trace)
    numbers = {}
    waits = []
    for index, (op, before) in enumerate(zip(step.ops, dependences(step), strict=True)):
        if op.kind is not OpKind.VIEW:
            numbers[index] = len(numbers)
            waits.append(tuple(numbers[i] for i in before))
    return waits


def test_a_profile_depends_on_the_op_before(traces):
    waits = _waits(traces[2])
    assert all(index - 1 in before for index, before in enumerate(waits) if index)


def test_storages_of_an_execution_trace_are_of_the_same_kinds(traces):
    captured, observed, _ = traces
    for kind in (StorageKind.PARAMETER, StorageKind.GRADIENT, StorageKind.OPTIMIZER_STATE):
        mine, theirs = (
            sorted(s.bytes for s in steady(trace).storages if s.kind is kind)
            for trace in (captured, observed)
        )
        assert theirs == mine, kind
    assert observed.parameters == captured.parameters


def test_a_profile_is_timed(traces):
    for trace in traces[:2]:
        assert not trace.timings
    timing = traces[2].timings[traces[2].typical_step]
    assert len(timing.ops_ps) == len(steady(traces[2]).ops)
    assert sum(timing.ops_ps) > 0


def test_they_simulate_alike(traces):
    latencies = [_step_latency(trace) for trace in traces]
    assert latencies[1:] == pytest.approx([latencies[0]] * 2, rel=0.05)


def _step_latency(trace):
    once = replace(trace, steps=(steady(trace),), segments=(Segment(0, 0, 3),), timings=())
    return simulate("edge-16x16", once).total["latency_s"]
