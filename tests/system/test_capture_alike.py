# ruff: noqa: E402 - without torch nothing here can be imported
"""Steps whose network calls look alike and that differ: each is counted as it ran."""

import math
import weakref
from collections import Counter

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from tests.scripts.runs import account
from tests.scripts.truths import chain, inner, run
from tests.training_accounts import check, collect, learn, sgd
from workloads.capture import capture

pytestmark = pytest.mark.torch
WIDTH, CLASSES = 4, 3


class Body(nn.Module):
    """Layers of which `choose` picks those that run."""

    def __init__(self, depth=3):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.head = nn.Linear(WIDTH, CLASSES)
        self.chosen = range(depth)
        self.length = None
        self.width = None

    def forward(self, x, lengths=None):
        x = x if self.length is None else x[: self.length]
        if lengths is not None:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False).data
        for index in self.chosen:
            x = torch.tanh(self.layers[index](x))
        if self.width is not None:
            return functional.linear(x[:, : self.width], self.head.weight[:, : self.width])
        return self.head(x)


def changing(change, flops, steps=12, **options):
    """Train 12 steps on 4 rows: `change(model, i)` comes before step i, which does `flops(i)`."""

    def train():
        model = Body(**options)
        optimizer = sgd(model)
        for i in range(steps):
            change(model, i)
            yield learn(optimizer, model(torch.randn(4, WIDTH)).square().mean())
        return sum((flops(i) for i in range(steps)), Counter())

    return train


def dropped_layers():
    choices = [(0, 1, 2), (0, 1, 2), (0, 2), (1,), (), (0, 1, 2)]

    def change(model, i):
        model.chosen = choices[i % 6]

    def flops(i):
        return chain(4, *[WIDTH] * (len(choices[i % 6]) + 1), CLASSES)

    return changing(change, flops)


def curriculum():
    def change(model, i):
        model.length = 1 + i // 4

    return changing(change, lambda i: chain(1 + i // 4, *[WIDTH] * 4, CLASSES))


def slimmable():
    widths = [4, 4, 2, 1]

    def change(model, i):
        model.width = widths[i % 4]

    def flops(i):
        return chain(4, *[WIDTH] * 4) + inner(4, widths[i % 4], CLASSES)

    return changing(change, flops)


def dynamic_heads():
    """From step 6 on the head has five classes more."""

    def change(model, i):
        if i == 6:
            weight = model.head.weight
            model.head = nn.Linear(WIDTH, CLASSES + 5)
            model.head.weight.data[:CLASSES] = weight.data

    return changing(change, lambda i: chain(4, *[WIDTH] * 4, CLASSES if i < 6 else CLASSES + 5))


def frozen_layers():
    """One layer more is frozen every three steps, beginning at the input."""

    def change(model, i):
        for layer in model.layers[: i // 3]:
            layer.requires_grad_(False)

    def flops(i):
        frozen = i // 3
        return run(4, *[WIDTH] * (frozen + 1)) + chain(4, *[WIDTH] * (4 - frozen), CLASSES)

    return changing(change, flops)


def thawed_layers():
    """The head alone learns, then everything."""

    def change(model, i):
        model.layers.requires_grad_(i >= 6)

    def flops(i):
        if i >= 6:
            return chain(4, *[WIDTH] * 4, CLASSES)
        return run(4, *[WIDTH] * 4) + chain(4, WIDTH, CLASSES)

    return changing(change, flops)


def lengths_given():
    """Padded rows of one shape, with their lengths as a tensor."""
    lengths = [torch.tensor(each) for each in ([3, 3], [3, 3], [1, 2], [3, 1])]

    def train():
        model = Body(depth=1)
        optimizer = sgd(model)
        for i in range(12):
            out = model(torch.randn(2, 3, WIDTH), lengths[i % 4])
            yield learn(optimizer, out.square().mean())
        rows = 3 * sum(int(each.sum()) for each in lengths)
        return chain(rows, WIDTH, WIDTH, CLASSES)

    return train


class Experts(nn.Module):
    """The sign of the first number routes a row to a small or to a large expert."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(WIDTH, width) for width in (2, 8))

    def forward(self, x):
        routes = x[:, 0] > 0
        parts = [e(x[routes == bool(i)]) for i, e in enumerate(self.experts)]
        return sum(part.square().sum() for part in parts)


def routed_experts():
    right = [2, 2, 2, 1, 3, 4, 2, 1]  # of four rows

    def train():
        model = Experts()
        optimizer = sgd(model)
        for count in right:
            x = torch.randn(4, WIDTH)
            x[:, 0] = torch.where(torch.arange(4) < count, 1.0, -1.0)
            yield learn(optimizer, model(x))
        few = 4 * len(right) - sum(right)
        return chain(few, WIDTH, 2) + chain(sum(right), WIDTH, 8)

    return train


def several_times(count):
    """Return a training whose step i calls the network `count(i)` times for one update."""

    def train():
        model = Body(depth=1)
        optimizer = sgd(model)
        for i in range(12):
            loss = sum(model(torch.randn(4, WIDTH)).square().mean() for _ in range(count(i)))
            yield learn(optimizer, loss)
        return chain(4 * sum(map(count, range(12))), WIDTH, WIDTH, CLASSES)

    return train


def accumulated(count):
    """Return the same with a backward pass for each call."""

    def train():
        model = Body(depth=1)
        optimizer = sgd(model)
        for i in range(12):
            for _ in range(count(i)):
                loss = model(torch.randn(4, WIDTH)).square().mean()
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield loss.item()
        return chain(4 * sum(map(count, range(12))), WIDTH, WIDTH, CLASSES)

    return train


def penalised_now_and_then():
    """Every fourth step also penalises the gradient at the input, as lazy regularisation does."""

    def train():
        model = nn.Linear(WIDTH, CLASSES)
        optimizer = sgd(model)
        for i in range(12):
            x = torch.randn(4, WIDTH, requires_grad=i % 4 == 3)
            loss = model(x).square().mean()
            if x.requires_grad:
                (slope,) = torch.autograd.grad(loss, x, create_graph=True)
                loss = loss + slope.square().mean()
            yield learn(optimizer, loss)
        product = 2 * (3 * 4) * WIDTH * CLASSES
        # The slope dY W; its own gradients, of dY and of W; that of X, which wants one now.
        slopes = Counter(dgrad=3 * product, wgrad=product)
        return chain(12 * 4, WIDTH, CLASSES) + slopes

    return train


def another_loss_later():
    """An auxiliary loss with a product of its own joins after the fifth step."""

    def train():
        model, target = nn.Linear(WIDTH, CLASSES), torch.randn(CLASSES, 7)
        optimizer = sgd(model)
        for i in range(12):
            out = model(torch.randn(4, WIDTH))
            loss = out.square().mean() + ((out @ target).square().mean() if i >= 5 else 0)
            yield learn(optimizer, loss)
        auxiliary = 7 * 2 * 4 * CLASSES * 7
        each = chain(12 * 4, WIDTH, CLASSES)
        return each + Counter(forward=auxiliary, dgrad=auxiliary)

    return train


def early_exit():
    """How many layers run depends on what the numbers are."""

    class Exits(Body):
        def forward(self, x):
            for index in range(int(x[0, 0])):
                x = torch.tanh(self.layers[index](x))
            return self.head(x)

    depths = [3, 3, 3, 1, 2, 3, 1, 0]

    def train():
        model = Exits()
        optimizer = sgd(model)
        flops = Counter()
        for depth in depths:
            x = torch.randn(4, WIDTH)
            x[0, 0] = depth
            yield learn(optimizer, model(x).square().mean())
            flops += chain(4, *[WIDTH] * (depth + 1), CLASSES)
        return flops

    return train


def growing_state():
    """A network that keeps what it has seen: its memory grows with every call."""

    class Remembers(nn.Module):
        def __init__(self):
            super().__init__()
            self.key = nn.Linear(WIDTH, WIDTH)
            self.memory = []

        def forward(self, x):
            query = self.key(x)
            scores = [query @ past.T for past in self.memory]
            self.memory.append(query.detach())
            return torch.cat([query, *scores], dim=1)

    def train():
        model = Remembers()
        optimizer = sgd(model)
        flops = Counter()
        for i in range(8):
            yield learn(optimizer, model(torch.randn(4, WIDTH)).square().mean())
            product = i * 2 * 4 * 4 * WIDTH
            flops += chain(4, WIDTH, WIDTH) + Counter(forward=product, dgrad=product)
        return flops

    return train


def checkpointed_later():
    """From the sixth step on a layer runs again in backward."""

    class Again(Body):
        again = False

        def forward(self, x):
            if not self.again:
                return super().forward(x)
            x = checkpoint(self.layers[0], x, use_reentrant=False)
            return self.head(torch.tanh(x))

    def train():
        model = Again(depth=1)
        optimizer = sgd(model)
        for i in range(12):
            model.again = i >= 6
            yield learn(optimizer, model(torch.randn(4, WIDTH)).square().mean())
        # Nothing needs the layer's result, so running again stops before its product.
        return chain(4 * 12, WIDTH, WIDTH, CLASSES)

    return train


def without_gradients_inside():
    """A backbone learns at first and then runs without gradients, inside the network."""

    class Probe(Body):
        learns = True

        def forward(self, x):
            with torch.set_grad_enabled(self.learns):
                x = torch.tanh(self.layers[0](x))
            return self.head(x)

    def train():
        model = Probe(depth=1)
        optimizer = sgd(model)
        for i in range(12):
            model.learns = i < 6
            yield learn(optimizer, model(torch.randn(4, WIDTH)).square().mean())
        first = chain(24, WIDTH, WIDTH, CLASSES)
        return first + run(24, WIDTH, WIDTH) + chain(24, WIDTH, CLASSES)

    return train


def other_weights_each_time():
    """`torch.func.functional_call` with smaller weights than the network has."""

    def train():
        model = nn.Linear(WIDTH, CLASSES)
        optimizer = sgd(model)
        widths = [CLASSES, CLASSES, CLASSES, 1, 2, CLASSES, 1]
        for width in widths:
            weights = {"weight": model.weight[:width], "bias": model.bias[:width]}
            out = torch.func.functional_call(model, weights, (torch.randn(4, WIDTH),))
            yield learn(optimizer, out.square().mean())
        return sum((chain(4, WIDTH, width) for width in widths), Counter())

    return train


ALIKE = {
    "dropped layers": dropped_layers(),
    "curriculum": curriculum(),
    "slimmable": slimmable(),
    "dynamic heads": dynamic_heads(),
    "frozen layers": frozen_layers(),
    "thawed layers": thawed_layers(),
    "lengths given": lengths_given(),
    "routed experts": routed_experts(),
    "more calls later": several_times(lambda i: 1 + i // 4),
    "calls at random": several_times([1, 1, 3, 2, 1, 2, 2, 1, 3, 1, 1, 2].__getitem__),
    "more accumulation later": accumulated(lambda i: 1 + i // 4),
    "accumulation at random": accumulated([2, 2, 3, 2, 1, 2, 2, 1, 3, 1, 1, 2].__getitem__),
    "penalised now and then": penalised_now_and_then(),
    "another loss later": another_loss_later(),
    "early exit": early_exit(),
    "growing state": growing_state(),
    "checkpointed later": checkpointed_later(),
    "without gradients inside": without_gradients_inside(),
    "other weights each time": other_weights_each_time(),
}


@pytest.mark.parametrize("name", ALIKE)
def test_steps_that_look_alike(name):
    check(ALIKE[name])


def test_an_update_that_is_left_out():
    """A scaler leaves the update out where a gradient is infinite, and the step goes on."""

    def train():
        model = nn.Linear(WIDTH, CLASSES)
        optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", init_scale=4.0)
        for i in range(9):
            optimizer.zero_grad()
            loss = model(torch.randn(4, WIDTH)).square().mean()
            scaler.scale(loss * (math.inf if i in (3, 7) else 1)).backward()
            scaler.step(optimizer)
            scaler.update()
            yield loss.item()
        return chain(36, WIDTH, CLASSES)

    with capture() as recording:
        _, flops = collect(train())
    assert account(recording.trace).flops == dict(+flops)


def test_one_network_of_two_learns_more_often():
    """A critic learns at every step, an actor through it at every third: updates are steps."""

    def train():
        actor, critic = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        optimizers = [sgd(actor), sgd(critic)]
        x = torch.randn(4, WIDTH)
        for i in range(9):
            yield learn(optimizers[1], critic(x).square().mean())
            if i % 3 == 2:
                learn(optimizers[0], -critic(actor(x)).mean())
        flops = chain(36, WIDTH, 1) + chain(12, WIDTH, WIDTH) + inner(12, WIDTH, 1)
        return flops

    with capture() as recording:
        _, flops = collect(train())
    found = account(recording.trace)
    assert found.flops == dict(flops)
    assert found.epochs == 1


def test_evaluation_now_and_then_of_the_same_shape():
    def train():
        model = nn.Linear(WIDTH, CLASSES)
        optimizer = sgd(model)
        for i in range(9):
            yield learn(optimizer, model(torch.randn(4, WIDTH)).square().mean())
            if i in (2, 3, 7):
                with torch.no_grad():
                    for _ in range(i):
                        model(torch.randn(4, WIDTH))
        return chain(36, WIDTH, CLASSES) + run(4 * 12, WIDTH, CLASSES)

    check(train, evals=12, epochs=4)


# What stays as it is


class Shuffled(nn.Module):
    def forward(self, x):
        return functional.channel_shuffle(x.view(1, -1, 2, 2), 2).reshape(x.shape)


@pytest.mark.parametrize("activation", [nn.SiLU, nn.Mish, nn.Hardswish, nn.GELU, Shuffled])
def test_an_op_that_could_be_written_as_others_runs_as_itself(activation):
    """Its own kernel rounds otherwise than the ops of which PyTorch could make it."""

    def gradients():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), activation(), nn.Linear(16, 1))
        model(torch.randn(64, 8)).square().mean().backward()
        return [parameter.grad for parameter in model.parameters()]

    plain = gradients()
    with capture():
        captured = gradients()
    assert all(torch.equal(a, b) for a, b in zip(plain, captured, strict=True))


def train_many(count, alive):
    for _ in range(count):
        model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, CLASSES))
        alive.add(model)
        optimizer = sgd(model)
        for _ in range(3):
            learn(optimizer, model(torch.ones(4, WIDTH)).square().mean())


def test_networks_that_are_gone_are_forgotten():
    """Networks of one make, one after another: their steps are alike, and none is kept alive."""
    alive = weakref.WeakSet()
    with capture() as recording:
        train_many(12, alive)
        assert len(alive) <= 2
    trace = recording.trace
    assert account(trace).train == 36
    assert len(trace.steps) <= 4
    assert trace.flops_by_phase()["forward"] == 36 * 2 * 4 * (WIDTH * WIDTH + WIDTH * CLASSES)


def test_a_network_that_is_wrapped_anew_at_every_step():
    with capture() as recording:
        model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
        optimizer = sgd(model)
        for _ in range(12):
            learn(optimizer, nn.Sequential(model, nn.Flatten())(torch.ones(4, WIDTH)).sum())
    assert account(recording.trace).train == 12
    assert len(recording.trace.steps) <= 4
    assert recording.trace.parameters == WIDTH * WIDTH + WIDTH
