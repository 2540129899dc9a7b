# ruff: noqa: E402 - without torch nothing here can be imported
"""A fake capture gives the trace of a real one, computes nothing, and leaves all as it was."""

import copy
import random
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

import numpy as np
from torch import nn

from simulator.errors import InputError
from tests.catalogue import CATALOGUE, TOKENS, setup
from tests.catalogue.networks import Torso, perceptron
from tests.system.test_cli import trainsoc
from workloads.capture import budget, capture, capture_script
from workloads.recipes import RECIPES, recipe_path

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def imagined(monkeypatch):
    """Imagine small networks too."""
    monkeypatch.setattr(budget, "PARAMETERS", 0)


OTHERWISE = {
    "lbfgs": "it is refused",
    "in place": "PyTorch assigns to a part of a fake tensor, and differentiates that, by other ops",
}


def build(name):
    run = setup(name)
    run.train(2)  # weights, gradients and optimizer state are no longer those of the start
    return run


def captured(run, steps=4, *, found=False, **how):
    given = () if found else (run.model, run.optimizers[0])
    with capture(*given, **how) as recording:
        run.train(steps)
    return recording.trace


# The trace


@pytest.mark.parametrize("found", [False, True], ids=["given", "found"])
@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in OTHERWISE])
def test_the_trace_is_that_of_a_real_run(name, found):
    real = captured(setup(name), found=found)
    fake = captured(setup(name), found=found, fake=True)
    assert "lost_ops" not in fake.origin
    assert "faults" not in fake.origin
    assert fake.origin["mode"] == "shapes only"
    assert fake.segments == real.segments
    assert [step.storages for step in fake.steps] == [step.storages for step in real.steps]
    assert [step.ops for step in fake.steps] == [step.ops for step in real.steps]
    assert fake.digest == real.digest


@pytest.mark.parametrize("name", sorted(OTHERWISE.keys() - {"lbfgs"}))
def test_what_is_not_the_same_does_the_same_work(name):
    real, fake = captured(setup(name)), captured(setup(name), fake=True)
    assert fake.segments == real.segments
    assert fake.digest != real.digest  # else it needs no exception
    for one, other in zip(real.steps, fake.steps, strict=True):
        assert worked(one) == worked(other)


def worked(step):
    return [
        (op.name, op.phase, op.layer, [(g.role, g.batch, g.m, g.n, g.k) for g in op.gemms])
        for op in step.ops
        if op.gemms
    ]


@pytest.mark.parametrize("name", ["sgd", "adamw", "schedule"])
def test_a_run_under_way_goes_on_as_a_real_one_would(name):
    real, fake = captured(build(name)), captured(build(name), fake=True)
    assert fake.digest == real.digest


def test_gradients_from_before_are_added_to():
    def trace(fake):
        run = build("sgd")
        with capture(run.model, run.optimizers[0], fake=fake) as recording:
            run.model(run.x).sum().backward()
            run.optimizers[0].step()
        return recording.trace

    real = trace(fake=False)
    assert any(op.name == "aten.add_.Tensor" and op.phase == "wgrad" for op in real.steps[0].ops)
    assert trace(fake=True).digest == real.digest


def test_a_copy_made_inside_is_tied_like_its_original():
    model = Torso(nn.Identity(), tied=True)
    with capture(model, fake=True):
        twin = copy.deepcopy(model)
        assert twin.head.weight is twin.embed.weight
        assert twin.head.weight is not model.head.weight
        twin(torch.randint(20, (2, 8))).sum().backward()


@pytest.mark.parametrize("name", ["sgd", "multihead attention", "gpt"])
def test_networks_made_inside_are_found(name):
    with capture() as real:
        setup(name).train(3)
    with capture(fake=True) as fake:
        setup(name).train(3)
    assert fake.trace.digest == real.trace.digest


def test_two_threads_at_once_compute_nothing():
    names = "sgd", "convolutions 2d"
    apart = [captured(setup(name), 20).flops_by_phase() for name in names]
    runs = [setup(name) for name in names]
    before = [contents(run) for run in runs]
    with capture(fake=True) as recording:
        threads = [threading.Thread(target=run.train, args=(20,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert recording.trace.flops_by_phase() == {p: apart[0][p] + apart[1][p] for p in apart[0]}
    assert [contents(run) for run in runs] == before


def test_a_network_on_the_meta_device():
    def trace(device, fake):
        with torch.device(device):
            model = Torso(nn.Linear(16, 16), tied=True)
        optimizer = torch.optim.AdamW(model.parameters())
        with capture(model, optimizer, fake=fake) as recording:
            for _ in range(3):
                optimizer.zero_grad()
                model(torch.zeros(2, TOKENS, dtype=torch.int64)).sum().backward()
                optimizer.step()
        return recording.trace, model, optimizer

    real, (fake, model, optimizer) = trace("cpu", fake=False)[0], trace("meta", fake=True)
    assert fake.digest == real.digest
    assert all(p.is_meta and type(p) is nn.Parameter for p in model.parameters())
    assert not optimizer.state


# What is left behind


def contents(run):
    """Return everything that training changes, as bytes."""
    rng = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()
    found = [rng[0].numpy().tobytes(), rng[1:]]
    for model in run.models:
        for tensor in (*model.parameters(), *model.buffers()):
            found += [type(tensor), tensor.requires_grad, raw(tensor), raw(tensor.grad)]
    for optimizer in run.optimizers:
        state = optimizer.state_dict()
        found.append([dict(g) for g in state["param_groups"]])
        for entries in state["state"].values():
            found += [
                (key, raw(value) if isinstance(value, torch.Tensor) else value)
                for key, value in entries.items()
            ]
    return found


def raw(tensor):
    if tensor is None:
        return None
    assert type(tensor) in (torch.Tensor, nn.Parameter)
    return tensor.detach().view(torch.uint8).numpy().tobytes() if tensor.dim() else tensor.item()


def break_off(run):
    run.train(4)
    random.random()
    np.random.rand()
    for group in run.optimizers[0].param_groups:
        group["lr"] = 7
    run.model.requires_grad_(False)
    run.model.extra = next(run.model.parameters()) * 2
    raise ZeroDivisionError


def objects(run):
    return [id(p) for p in run.model.parameters()], [id(p) for p in run.optimizers[0].state]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in ("lbfgs", "gan")])
def test_nothing_is_changed(name, fails):
    run = build(name)
    before, same = contents(run), objects(run)
    if fails:
        with pytest.raises(ZeroDivisionError), capture(run.model, run.optimizers[0], fake=True):
            break_off(run)
    else:
        captured(run, fake=True)
    assert contents(run) == before
    assert objects(run) == same
    assert not hasattr(run.model, "extra")


def test_training_goes_on_as_if_nothing_had_been():
    alone, disturbed = build("residual"), build("residual")
    torch.manual_seed(1)
    alone.train(3)
    torch.manual_seed(1)
    captured(disturbed, fake=True)
    disturbed.train(3)
    assert contents(alone) == contents(disturbed)


def test_a_graph_that_is_still_held_is_unharmed():
    run, other = setup("sgd"), setup("sgd")
    run.model.eval(), other.model.eval()
    loss, same = run.model(run.x).sum(), other.model(other.x).sum()
    captured(run, fake=True)
    loss.backward()
    same.backward()
    for a, b in zip(run.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_torch_is_as_it_was():
    from torch._subclasses.fake_tensor import FakeTensor
    from torch.nn.modules import module
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    def state():
        return dict(vars(FakeTensor)), torch.save, torch.load, torch.utils.swap_tensors

    before = state()
    captured(setup("sgd"), fake=True)
    assert state() == before
    assert _get_current_dispatch_mode() is None
    assert not module._global_parameter_registration_hooks
    assert not module._global_forward_pre_hooks


def test_nothing_is_computed():
    with capture(fake=True) as recording:
        nn.Linear(1_000_000, 1_000_000)(torch.randn(1_000_000, 1_000_000)).sum().backward()
    flops = recording.trace.flops_by_phase()
    assert flops == {"forward": 2 * 10**18, "wgrad": 2 * 10**18}


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
        (lambda out: f"{out.sum():.2f}", "1.00"),
        (lambda out: out.detach().numpy().shape, (4, 5)),
        (lambda out: out[0].tolist(), [1.0] * 5),
        (lambda out: np.asarray(out.detach()).sum(), 20.0),
    ],
)
def test_numbers_have_stand_ins(read, value):
    found, trace = fake_step(read)
    assert found == value
    assert trace.origin["stand_ins"].endswith("values that the network computed were taken as 1")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda out: bool(torch.isnan(out).any()), False),
        (lambda out: torch.isnan(out).any().item(), False),
        (lambda out: torch.isnan(out).sum().item(), 0),
        (lambda out: bool((out != out).any()), False),
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
        lambda out: 1 if out.sum() > 0 else 2,
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
            return bool(out.sum() > 0)
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
    with pytest.raises(InputError, match=r"which way torch\.optim\.lbfgs goes depends"):
        captured(setup("lbfgs"), fake=True)


def test_an_op_of_which_no_shape_is_known():
    @torch.library.custom_op("trainsoc_test::shapeless", mutates_args=())
    def shapeless(x: torch.Tensor) -> torch.Tensor:
        return x.flip(0)

    with pytest.raises(InputError, match=r"shapeless.* gives: tell it with torch.library"):
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


def test_the_command_line(script):
    out = script.parent / "run.trace"
    done = trainsoc("capture", "--fake", script, "-o", out)
    assert done.returncode == 0, done.stderr
    assert "values that the network computed were taken as 1" in done.stderr
    assert out.exists()


@pytest.mark.parametrize("line", ["if loss < best: best = loss", "model(x)[model(x) > 0]"])
def test_a_script_whose_course_depends_on_numbers(script, line):
    script.write_text(SCRIPT.replace("optimizer.step()\n", f"optimizer.step()\n        {line}\n"))
    number = script.read_text().split(line)[0].count("\n") + 1
    done = trainsoc("capture", "--fake", script, "-o", script.parent / "run.trace")
    assert done.returncode == 2
    (said,) = (text for text in done.stderr.splitlines() if "trainsoc" in text)
    assert f"{script} line {number}: " in said
    assert said.endswith("capture for real, without --fake (fake=True)")
    assert sorted(p.name for p in script.parent.iterdir()) == ["train.py"]


# Speed and memory

PROGRAM = """
import sys, time
import torch
from torch.nn import functional
from workloads.capture import capture
from workloads.models import MODELS
torch.optim.SGD([torch.zeros(1)])  # imports what optimizers need
begun = time.perf_counter()
model = MODELS[sys.argv[1]]
with torch.device("meta"):
    network, (x, y) = model.build(), model.samples(int(sys.argv[2]))
optimizer = getattr(torch.optim, sys.argv[3])(network.parameters(), lr=0.01)
with capture(network, optimizer, fake=True) as recording:
    optimizer.zero_grad()
    functional.cross_entropy(network(x), y).backward()
    optimizer.step()
assert recording.trace.epochs == 1
peak = [line for line in open("/proc/self/status") if "VmHWM" in line][0].split()[1]
print(time.perf_counter() - begun, peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    ("name", "batch", "optimizer"),
    [("resnet50", 32, "SGD"), ("gpt2_small", 8, "SGD"), ("gpt2_small", 8, "AdamW")],
)
def test_a_large_step_takes_seconds_and_little_memory(name, batch, optimizer):
    command = [sys.executable, "-c", PROGRAM, name, str(batch), optimizer]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = map(float, done.stdout.split())
    assert seconds < 5  # 1 s on a quiet machine
    assert peak < 500 * 1024


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resnet18", "--steps", "1-3"], "--steps 1-3: resnet18 is a model, of which one step"),
        (["mlp_digits", "--fake", "--time"], "--time: a fake capture computes nothing"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, arguments, said):
    done = trainsoc("capture", *arguments, "-o", tmp_path / "x.trace")
    assert done.returncode == 2
    assert done.stderr.startswith(f"trainsoc: {said}")
    assert not list(tmp_path.iterdir())
