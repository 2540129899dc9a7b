# ruff: noqa: E402 - without torch nothing here can be imported
"""Programs with imagined networks take the course of a real run, or hear that they may not."""

import io
import os
import re
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from torch import nn
from torch.distributions import Categorical, Normal, kl_divergence
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from simulator.errors import InputError
from tests.catalogue import setup
from tests.catalogue.networks import perceptron
from workloads.capture import budget, capture, capture_script
from workloads.recipes import RECIPES, recipe_path

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def imagined(monkeypatch):
    """Imagine small networks too."""
    monkeypatch.setattr(budget, "PARAMETERS", 0)


# What a program reads


def fake_step(read):
    model = perceptron(12, 16, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture(model, optimizer, fake=True) as recording:
        out = model(torch.randn(4, 12))
        found = read(out)
        out.sum().backward()
        optimizer.step()
    return found, recording.trace


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda out: out.sum().item(), 1.0),
        (lambda out: float(out.sum()), 1.0),
        (lambda out: int(out.argmax()), 1),
        (lambda out: (out > 0).all().item(), True),
        (lambda out: 1 if out.sum() < 2 else 2, 1),
        (lambda out: 1 if out.sum() > torch.tensor(2.0) else 2, 2),
        (lambda out: f"{out.sum():.2f}", "1.00"),
        (lambda out: out.detach().numpy().shape, (4, 5)),
        (lambda out: out[0].tolist(), [1.0] * 5),
        (lambda out: np.asarray(out.detach()).sum(), 20.0),
    ],
)
def test_numbers_have_stand_ins(read, value):
    found, trace = fake_step(read)
    assert found == value
    assert trace.origin["stand_ins"].endswith(
        "computed values (such as loss.item()) were replaced by 1"
    )


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda out: bool(torch.isnan(out).any()), False),
        (lambda out: torch.isnan(out).any().item(), False),
        (lambda out: torch.isnan(out).sum().item(), 0),
        (lambda out: bool(out.ne(out).any()), False),
        (lambda out: bool(torch.isfinite(out).all()), True),
        (lambda out: not torch.isinf(out).any() and "FakeTensor" in str(out), True),
    ],
)
def test_checks_for_nan_and_infinity_find_none(read, value):
    found, trace = fake_step(read)
    assert found == value
    assert "stand_ins" not in trace.origin


@pytest.mark.parametrize(
    "read",
    [
        lambda out: out[out > 0],
        lambda out: out.nonzero(),
        lambda out: 1 if out.sum().sin().bool() else 2,
        lambda out: list(range(9))[out.argmax()],
        torch.unique,
        lambda out: torch.where(out > 0),
    ],
)
def test_what_depends_on_numbers_is_refused_in_one_sentence(read):
    with pytest.raises(InputError) as caught:
        fake_step(read)
    place = rf"^{re.escape(__file__)} line \d+: .* a fake capture has none: capture for real"
    assert re.match(place, str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_program_that_ignores_the_refusal_is_refused_all_the_same():
    def stubborn(out):
        try:
            return list(range(9))[out.argmax()]
        except Exception:
            return True

    with pytest.raises(InputError, match="capture for real"):
        fake_step(stubborn)


def test_data_is_real_until_it_meets_the_network():
    data, labels = torch.arange(12.0).reshape(4, 3), torch.tensor([0, 1, 1, 0])
    with capture(fake=True) as recording:
        chosen = data[labels.bool()]
        assert chosen.shape == (2, 3)
        assert torch.randperm(4).sum() == 6
        assert chosen.sum().item() == 33
        nn.Linear(3, 2)(chosen).sum().backward()
    assert recording.trace.steps[0].ops


def test_a_refusal_comes_from_a_mask_that_became_fake():
    mask = torch.zeros(4, 5, dtype=torch.bool)

    def read(out):
        mask.logical_or_(out > 0)
        return torch.ones(4, 5)[mask]

    with pytest.raises(InputError, match="capture for real"):
        fake_step(read)
    assert not mask.any()


def test_lbfgs_is_refused():
    run = setup("lbfgs")
    refused = pytest.raises(InputError, match=r"which way torch\.optim\.lbfgs goes depends")
    with refused, capture(run.model, run.optimizers[0], fake=True):
        run.train(1)


def test_an_op_of_which_no_shape_is_known():
    @torch.library.custom_op("trainsoc_test::shapeless", mutates_args=())
    def shapeless(x: torch.Tensor) -> torch.Tensor:
        return x.flip(0)

    with pytest.raises(InputError, match=r"shapeless.* is unknown: define it by torch.library"):
        fake_step(shapeless)


def test_time_cannot_be_faked():
    with pytest.raises(InputError, match="no time to measure"):
        capture(fake=True, time=True)


# Scripts


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n == "resnet20_digits" else ()) for n in RECIPES],
)
def test_a_recipe_gives_its_trace(name):
    arguments = ["--epochs", "2", "--limit", "80"]
    real = capture_script(recipe_path(name), arguments)
    fake = capture_script(recipe_path(name), arguments, fake=True)
    assert fake.digest == real.digest


SCRIPT = """
import copy
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.encoder(x).mean(1))

torch.manual_seed(0)
model = Net().to(torch.float32)
average = copy.deepcopy(model)
best = float("inf")
data = torch.utils.data.TensorDataset(torch.randn(12, 5, 16), torch.randint(3, (12,)))
train, test = torch.utils.data.random_split(data, [8, 4])
optimizer = torch.optim.AdamW(model.parameters())
for epoch in range(2):
    for x, y in torch.utils.data.DataLoader(train, batch_size=4, shuffle=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(f"{loss:.3f} {norm:.3f}", loss.item() < best)
    torch.save({"model": model.state_dict(), "epoch": epoch}, "best.pt")
model.load_state_dict(torch.load("best.pt")["model"])
print(model.head.weight[0, 0])
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def test_a_script_with_a_transformer_and_checkpoints(script):
    fake = capture_script(script, fake=True)
    assert not (script.parent / "best.pt").exists()
    assert fake.origin["not_saved"] == "2 files with what the network computed"
    real = capture_script(script)
    assert (script.parent / "best.pt").exists()
    assert fake.digest == real.digest


def test_the_command_line_says_what_is_not_as_in_a_real_run(script, server):
    script.write_text(SCRIPT.replace("nn.Linear(16, 3)", "nn.Linear(16, 70_000)"))
    out = script.parent / "run.trace"
    done = server.run(script.parent, "capture", "--fake", script, "-o", out)
    assert done.returncode == 0, done.stderr
    assert "computed values (such as loss.item()) were replaced by 1" in done.stderr
    assert out.exists()


SMALL = """
import torch
model, best = torch.nn.Linear(3, 2), float("inf")
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for epoch in range(2):
    x = torch.randn(4, 3)
    loss = model(x).pow(2).mean()
    loss.backward()
    optimizer.step()
"""


def run_with(script, line):
    """Return the number of a line that is added to a small script's loop, and its capture."""
    script.write_text(f"{SMALL}    {line}\n")
    return SMALL.count("\n") + 1, lambda: capture_script(script, fake=True)


@pytest.mark.parametrize(
    "line",
    [
        "if loss < best: best = loss",
        "if loss.item() < best: best = loss.item()",
        "value = float(loss); seen = [value]\n    if seen[0] > 1: pass",
        "if float(loss) > 100: break",
    ],
)
def test_a_branch_is_noted(script, line):
    number, fake = run_with(script, line)
    branches = fake().origin["branches"]
    place = number + line.count("\n")
    assert branches.startswith(f"train.py line {place}: a branch depends on values replaced by 1")


@pytest.mark.parametrize(
    "line",
    [
        "model(x)[model(x) > 0]",
        "while loss.item() > 1e-3: loss = model(x).sum()",
        "while float(loss) > 1e-3: loss = model(x).sum()",
        "losses = [1]\n    while losses[-1] > 0: losses.append(model(x).sum().item())",
        "while True:\n        if model(x).sum() < 1: break",
        "value = 2\n    while value > 1: value = float(model(x).sum()) / 3",
        "read = lambda: model(x).sum().item()\n    while read() > 0: pass",
    ],
)
def test_a_loop_that_a_number_ends_is_refused(script, line):
    number, fake = run_with(script, line)
    with pytest.raises(InputError) as caught:
        fake()
    first, last = number, number + line.count("\n")
    said = re.match(rf"{re.escape(str(script))} line (\d+): ", str(caught.value))
    assert first <= int(said[1]) <= last
    assert str(caught.value).endswith("capture for real, without --fake (fake=True)")


@pytest.mark.parametrize(
    "line",
    [
        "count = 0\n    while count < 2: count += 1; value = loss.item()",
        "seen = []\n    while len(seen) < 2: seen.append(loss.item())",
    ],
)
def test_a_loop_that_counts_is_neither_refused_nor_noted(script, line):
    assert "branches" not in run_with(script, line)[1]().origin


def test_a_branch_inside_a_network_is_refused():
    class Gate(nn.Linear):
        def forward(self, x):
            out = super().forward(x)
            return out if out.sum().item() > 0 else 2 * out

    with (
        pytest.raises(InputError, match="what the network computes depends on"),
        capture(fake=True),
    ):
        Gate(3, 3)(torch.randn(2, 3))


# Kinds of programs


class Packed(nn.Module):
    def __init__(self, kind, **how):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.rnn = kind(8, 6, batch_first=True, **how)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.embed(x), lengths, True, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]


def padded(network):
    return network(torch.randint(20, (4, 9)), torch.tensor([9, 3, 5, 2])).sum()


def with_anomaly_checks(network):
    with torch.autograd.detect_anomaly(check_nan=True):
        loss = network(torch.randn(4, 12)).sum()
        loss.backward(retain_graph=True)
    return loss


def variational(network):
    mean, spread = network(torch.randn(8, 12)).chunk(2, 1)
    posterior = Normal(mean, spread.exp())
    return (posterior.rsample() + kl_divergence(posterior, Normal(0.0, 1.0))).mean()


def acting(network):
    policy = Categorical(logits=network(torch.randn(8, 12)))
    return -policy.log_prob(policy.sample()).mean()


KINDS = {
    "anomaly": (lambda: nn.Linear(12, 4), with_anomaly_checks),
    "distributions": (lambda: nn.Linear(12, 4), variational),
    "policy": (lambda: nn.Linear(12, 4), acting),
    "packed lstm": (lambda: Packed(nn.LSTM, bidirectional=True), padded),
    "packed gru": (lambda: Packed(nn.GRU, num_layers=2, dropout=0.5), padded),
    "embedding bag": (lambda: nn.EmbeddingBag(9, 4), lambda n: n(torch.ones(2, 3).long()).sum()),
    "lazy": (lambda: nn.LazyLinear(3), lambda network: network(torch.randn(4, 12)).sum()),
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection", "ignore:Lazy modules")
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_program_gives_the_trace_of_a_real_run(kind):
    def trace(**how):
        torch.manual_seed(0)
        make, loss = KINDS[kind]
        network = make()
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        with capture(network, optimizer, **how) as recording:
            for _ in range(3):
                optimizer.zero_grad()
                loss(network).backward()
                optimizer.step()
        return recording.trace

    assert trace(fake=True).digest == trace().digest


def drawn(**how):
    torch.manual_seed(0)
    with capture(**how):
        network = nn.Sequential(nn.Linear(300, 500), nn.Dropout(0.2), nn.GRU(500, 7))
        nn.init.trunc_normal_(network[0].weight, std=0.02)
        nn.init.normal_(network[0].bias)
        hidden = network(torch.randn(5, 3, 300))[0]
        nn.functional.gumbel_softmax(hidden)
        torch.bernoulli(hidden.sigmoid().detach() * torch.rand_like(hidden))
        return torch.randperm(1000)


def test_data_are_shuffled_as_in_a_real_run():
    assert torch.equal(drawn(fake=True), drawn())


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = nn.Linear(4, 2)
    with capture(network, fake=True):
        yield network.state_dict()


def test_a_checkpoint_comes_back_from_an_open_file(saved, tmp_path):
    with open("open.pt", "wb") as file:
        torch.save(saved, file)
    with open(tmp_path / "open.pt", "rb") as file:
        assert torch.load(file)["weight"].shape == (2, 4)
    assert torch.load("open.pt")["bias"].shape == (2,)


def test_a_checkpoint_comes_back_from_a_buffer(saved):
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    assert torch.load(io.BytesIO(buffer.getvalue()))["weight"].shape == (2, 4)


def test_a_checkpoint_comes_back_under_a_new_name(saved, tmp_path):
    torch.save(saved, "last.pt")
    shutil.copyfile("last.pt", "copy.pt")
    os.replace("last.pt", tmp_path / "best.pt")
    os.remove("copy.pt")
    assert torch.load("best.pt")["weight"].shape == (2, 4)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        torch.load("last.pt")


def test_a_file_from_before_is_kept(saved, tmp_path):
    (tmp_path / "best.pt").write_text("of an earlier run")
    torch.save(saved, "new.pt")
    os.replace("new.pt", "best.pt")
    assert torch.load("best.pt")["weight"].shape == (2, 4)
    assert (tmp_path / "best.pt").read_text() == "of an earlier run"


def test_processes_cannot_exchange_what_is_fake(tmp_path):
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1
    )
    try:
        with pytest.raises(InputError, match="DistributedDataParallel"), capture(fake=True):
            nn.parallel.DistributedDataParallel(nn.Linear(3, 2))
    finally:
        torch.distributed.destroy_process_group()
