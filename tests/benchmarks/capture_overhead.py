"""How much longer training takes under capture: python -m tests.benchmarks.capture_overhead.

Each case is a generator that sets up, yields, then yields after every training step. Plain,
captured and fake runs take turns, and of every step the shortest time counts, so that other load
on the machine shows little. Times are CPU time of one thread.
"""

import gc
import itertools
import os
import sys
import time
import weakref
from contextlib import nullcontext
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from workloads.capture import capture

REPEATS = 3
NETWORKS = 1000


# Usual networks


def _over(batches, model, optimizer, steps, loss=functional.cross_entropy):
    yield
    for x, y in itertools.islice(batches, steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
        yield


def _digits(size, channels, batch):
    from workloads.recipes.digits import digits

    train, _ = digits(size=size, channels=channels)
    return DataLoader(train, batch_size=batch, shuffle=True)


def lenet():
    """LeNet-5 on digits in batches of 64."""
    from workloads.recipes.lenet_digits import LeNet5

    model = LeNet5()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    return _over(_digits(28, 1, 64), model, optimizer, 22)


def _resnet20(batches, steps=6):
    from workloads.recipes.resnet20_digits import ResNet20

    model = ResNet20()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return _over(batches, model, optimizer, steps)


def resnet20_recipe():
    """ResNet-20 over a loader of digits."""
    return _resnet20(_digits(32, 3, 32))


def resnet20_random():
    """ResNet-20 on random images without a loader."""
    return _resnet20([(torch.randn(32, 3, 32, 32), torch.randint(10, (32,)))] * 8)


def transformer():
    """Six layers, 256 wide, four heads, on 8 x 64 tokens."""
    layer = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)
    body = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
    model = nn.Sequential(nn.Embedding(500, 256), body, nn.Linear(256, 500), nn.Flatten(0, 1))
    tokens = torch.randint(500, (8, 64))
    return _over([(tokens, tokens.flatten())] * 8, model, torch.optim.AdamW(model.parameters()), 4)


# Where the work of a step is small beside what a capture does


def _mlp(depth=8, width=32):
    layers = [module for _ in range(depth) for module in (nn.Linear(width, width), nn.Tanh())]
    model = nn.Sequential(*layers)
    return model, torch.optim.SGD(model.parameters(), lr=0.01)


def tiny_loader():
    """Eight small layers over a loader."""
    model, optimizer = _mlp()
    data = [(torch.randn(32), torch.randn(32)) for _ in range(1600)]
    return _over(DataLoader(data, 8), model, optimizer, 200, functional.mse_loss)


def tiny_accumulated():
    """Eight small layers, four batches for one update, without a loader."""
    model, optimizer = _mlp()
    x = torch.randn(8, 32)
    yield
    for _ in range(50):
        for _ in range(4):
            model(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        yield


def _shapes(lengths):
    model, optimizer = _mlp(4, 16)
    x = torch.randn(4, max(lengths), 16)
    yield
    for length in lengths:
        optimizer.zero_grad()
        model(x[:, :length]).square().mean().backward()
        optimizer.step()
        yield


def lengths_twice():
    """A hundred lengths, each of them twice."""
    return _shapes([*range(1, 101)] * 2)


def new_shapes():
    """Two hundred steps, each of a shape of its own."""
    return _shapes(range(1, 201))


def _inputs(make, forward):
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, _ = _mlp()

        def forward(self, given):
            return self.body(forward(given))

    model = Reads()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    yield
    for step in range(200):
        optimizer.zero_grad()
        model(make(step)).square().mean().backward()
        optimizer.step()
        yield


def indexed():
    """Rows of a tensor with the whole data set."""
    data = torch.randn(1600, 32)
    return _inputs(lambda step: data[8 * step : 8 * step + 8], lambda x: x)


def numpy_arrays():
    """NumPy arrays, which the network converts itself."""
    data = torch.randn(1600, 32).numpy()
    return _inputs(lambda step: data[8 * step : 8 * step + 8], torch.from_numpy)


def generators():
    """Generators of rows, which the network reads once."""
    data = torch.randn(1600, 32)
    return _inputs(
        lambda step: (data[8 * step + row] for row in range(8)), lambda rows: torch.stack([*rows])
    )


def wrappers_anew():
    """A network that is wrapped anew at every step."""
    model, optimizer = _mlp()
    x = torch.randn(8, 32)
    yield
    for _ in range(200):
        wrapper = nn.Sequential(model, nn.Dropout(0.1))
        optimizer.zero_grad()
        nn.MSELoss()(wrapper(x), x).backward()
        optimizer.step()
        yield


CASES = {
    case.__name__: case
    for case in (
        lenet, resnet20_recipe, resnet20_random, transformer, tiny_loader, tiny_accumulated,
        lengths_twice, new_shapes, indexed, numpy_arrays, generators, wrappers_anew,
    )
}  # fmt: skip


# Measuring


@dataclass(frozen=True)
class Overhead:
    """Milliseconds of a plain step and of one under capture, then ratios to the plain one.

    `ratio` is of all steps with the end of the run, `steady_ratio` of the second half of them.
    None stands for a run that capture made fail, `failure` says how.
    """

    plain_ms: float
    captured_ms: float | None
    ratio: float | None
    steady_ratio: float | None
    fake_ratio: float | None
    failure: str


def measure(case, repeats=REPEATS):
    """Return what capture costs in one case; a fake run counts once, since it takes longest."""
    runs = {nullcontext: [], capture: [], _fake: []}
    failures = []
    for make in [nullcontext, capture] * repeats + [_fake]:
        try:
            runs[make].append(_step_seconds(case, make))
        except Exception as error:
            failures.append(f"{make.__name__.strip('_')}: {type(error).__name__}")
    plain, captured, fake = (_shortest(each) for each in runs.values())
    steps = len(plain) - 1  # one more for the end of the run
    half = slice(steps // 2, steps)
    return Overhead(
        1000 * sum(plain) / steps,
        1000 * sum(captured) / steps if captured else None,
        _ratio(captured, plain),
        _ratio(captured[half], plain[half]),
        _ratio(fake, plain),
        ", ".join(sorted(set(failures))),
    )


def _fake():
    return capture(fake=True)


def _step_seconds(case, make):
    """Return how long each step of a run takes, and last its end."""
    torch.manual_seed(0)
    gc.collect()
    training = case()
    next(training)
    times = [time.process_time()]
    with make():
        times.extend(time.process_time() for _ in training)
    times.append(time.process_time())
    return [after - before for before, after in itertools.pairwise(times)]


def _shortest(runs):
    return [min(times) for times in zip(*runs, strict=True)]


def _ratio(times, plain):
    return sum(times) / sum(plain) if times else None


# Many networks, one after another


@dataclass(frozen=True)
class ManyNetworks:
    """Seconds of the first and the last tenth, what stays of it all, in networks and in MiB."""

    first_s: float
    last_s: float
    alive: int
    grown_mib: float


def measure_networks(make, count=NETWORKS):
    """Return what it costs to make and train `count` networks, two steps each."""
    alive, marks = weakref.WeakSet(), []
    x = torch.randn(8, 32)
    gc.collect()
    before = _resident_mib()
    with make():
        for _ in range(count):
            marks.append(time.process_time())
            model, optimizer = _mlp(4)
            alive.add(model)
            for _ in range(2):
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()
        marks.append(time.process_time())
        del model, optimizer
        gc.collect()
        kept, grown = len(alive), _resident_mib() - before
    tenth = count // 10
    return ManyNetworks(marks[tenth] - marks[0], marks[-1] - marks[-1 - tenth], kept, grown)


def _resident_mib():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(names):
    """Print what many networks cost, while memory is still fresh, then a row for each case."""
    torch.set_num_threads(1)
    if not names:
        _row("networks", "first tenth s", "last tenth s", "alive", "MiB more")
        _row(*["---"] * 5)
        for make in (nullcontext, capture):
            _row(make.__name__, *astuple(measure_networks(make)))
        print()
    _row("case", "plain ms/step", "capture ms/step", "ratio", "steady", "fake", "failure")
    _row(*["---"] * 7)
    for name in names or CASES:
        _row(name, *astuple(measure(CASES[name])))


def _row(*cells):
    written = (f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells)
    print(f"| {' | '.join(written)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
