# ruff: noqa: E402 - without torch nothing here can be imported
"""Steps that do the same on other shapes: what one takes over from another is what it would have
been found to do on its own.
"""

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from tests.training_accounts import learn, sgd
from workloads.capture import capture
from workloads.capture.calls import BINDINGS
from workloads.capture.templates import _Template

pytestmark = pytest.mark.torch
WIDTH = 8


class Words(nn.Module):
    """Gathers, products of slices of one tensor, masks: shapes decide what they read."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, WIDTH)
        self.layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, dropout=0.1, batch_first=True)
        self.register_buffer("scale", torch.full((WIDTH,), 0.5))

    def forward(self, tokens):
        x = self.layer(self.table(tokens))
        first, second = (x * self.scale).chunk(2, -1)
        return torch.cat([first * second, functional.relu_(second + 1)], -1)


class Overlapping(nn.Module):
    """Reads one window or two, by how far apart they are."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(WIDTH, WIDTH)
        self.shift = 0

    def forward(self, x):
        y = self.body(x)
        return y[:2] * y[self.shift : self.shift + 2]


class Offset(nn.Module):
    """A single zero added to a weight leaves it a weight, a row of them may be data."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, WIDTH))
        self.zeros = 1

    def forward(self, x):
        return functional.linear(x, torch.tanh(self.weight) + torch.zeros(self.zeros))


def rows():
    body = nn.Sequential(nn.Linear(WIDTH, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Linear(16, 3))
    return body, [torch.randn(n, WIDTH) for n in (2, 3, 5, 2, 7)]


def images():
    body = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.ConvTranspose2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2),
    )  # fmt: skip
    return body, [torch.randn(n, 2, size, size) for n, size in ((1, 8), (2, 8), (2, 12), (3, 9))]


def words():
    return Words(), [torch.randint(20, (n, length)) for n, length in ((2, 3), (2, 4), (3, 5))]


def slices():
    return nn.Linear(WIDTH, WIDTH), [torch.randn(3, 9, WIDTH)[:, :n] for n in range(1, 6)]


SHAPES = {"rows": rows, "images": images, "words": words, "slices": slices}


def unchanged(model, step):
    pass


def train(model, inputs, change=unchanged):
    torch.manual_seed(0)
    optimizer = sgd(model)
    with capture() as recording:
        for step, x in enumerate(inputs):
            change(model, step)
            learn(optimizer, model(x).square().mean())
    return recording.trace


def both(monkeypatch, make, change=unchanged):
    """Return the steps of a run with templates and without, and how many a template gave."""
    fills, fill = [], _Template.fill

    def counted(*given):
        fills.append(fill(*given))
        return fills[-1]

    monkeypatch.setattr(_Template, "fill", counted)
    torch.manual_seed(0)
    found = train(*make(), change)
    monkeypatch.setattr(_Template, "fill", lambda *_: None)
    torch.manual_seed(0)
    alone = train(*make(), change)
    return found, alone, sum(step is not None for step in fills)


@pytest.mark.parametrize("name", SHAPES)
def test_steps_of_other_shapes_are_as_if_analysed_alone(monkeypatch, name):
    found, alone, filled = both(monkeypatch, SHAPES[name])
    assert filled
    assert found.steps == alone.steps
    assert found.segments == alone.segments


@pytest.mark.parametrize(
    ("model", "attribute", "values"), [(Overlapping, "shift", (1, 0, 2)), (Offset, "zeros", (1, 8))]
)
def test_shapes_that_decide_more_than_sizes(monkeypatch, model, attribute, values):
    inputs = [torch.randn(4 + step, WIDTH) for step in range(len(values))]
    found, alone, _ = both(
        monkeypatch, lambda: (model(), inputs), lambda m, step: setattr(m, attribute, values[step])
    )
    assert len(found.steps) == len(values)
    assert found.steps == alone.steps


def test_what_a_tensor_is_for_is_not_taken_over(monkeypatch):
    """The same calls, but what was the program's own becomes a buffer before step 2 ends."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(WIDTH, WIDTH)
            self.scale = torch.ones(WIDTH)

        def forward(self, x):
            return self.body(x) * self.scale

    def change(model, step):
        if step == 3:
            scale = model.scale
            del model.scale
            model.register_buffer("scale", scale)

    inputs = [torch.randn(n, WIDTH) for n in range(2, 8)]
    found, alone, filled = both(monkeypatch, lambda: (Scaled(), inputs), change)
    assert filled
    assert found.steps == alone.steps
    names = [{storage.name for storage in step.storages} for step in found.steps]
    assert ["scale" in each for each in names] == [False] * 2 + [True] * 4


def test_products_of_other_shapes_by_hand():
    lengths = (2, 3, 5, 9)
    trace = train(nn.Linear(WIDTH, 3, bias=False), [torch.randn(n, WIDTH) for n in lengths])
    products = [[(g.m, g.n, g.k) for op in s.ops for g in op.gemms] for s in trace.steps]
    assert products == [[(n, 3, WIDTH), (3, WIDTH, n)] for n in lengths]


# How an op is called


class Names(TorchDispatchMode):
    """Notes which ops run."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


class Twice(TorchDispatchMode):
    """Calls every op that has a binding both ways, on copies, and compares bit by bit."""

    def __init__(self):
        super().__init__()
        self.compared = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        binding = BINDINGS.get(str(func))
        if binding is not None:
            copies = [
                a.clone() if str(func).endswith("_.Tensor") and a is args[0] else a for a in args
            ]
            with Names() as names:
                other = binding(*copies, **kwargs)
            assert names.seen == [str(func)]
        result = func(*args, **kwargs)
        if binding is not None:
            assert torch.equal(result, other)
            assert result.stride() == other.stride()
            self.compared.add(str(func))
        return result


def test_bindings_call_the_very_op():
    model = nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(0, 1), nn.Linear(6, WIDTH), nn.Tanh()
    )
    optimizer = sgd(model)
    with Twice() as twice:
        for _ in range(2):
            y = model(torch.randn(2, 2, 8))
            pairs = torch.bmm(y.view(2, 4, WIDTH), y.view(2, 4, WIDTH).transpose(1, 2))
            learn(optimizer, (pairs * pairs + pairs * 2).sum(0).square().mean() + y.detach().sum())
    assert twice.compared == set(BINDINGS)
