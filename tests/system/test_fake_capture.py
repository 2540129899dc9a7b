# ruff: noqa: E402 - without torch nothing here can be imported
"""A fake capture gives the trace of a real one, computes nothing, and leaves all as it was."""

import copy
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

import numpy as np
from torch import nn
from torch.nn import functional

from simulator.errors import InputError
from tests.system.test_cli import trainsoc
from tests.system.training_setups import SETUPS, Gpt, digits, recurrent
from workloads.capture import capture, capture_script
from workloads.recipes import RECIPES, recipe_path

pytestmark = pytest.mark.torch
torch.set_num_threads(2)


def build(name):
    torch.manual_seed(0)
    setup = SETUPS[name]()
    setup.run()  # weights, gradients and optimizer state are no longer those of the start
    return setup


def captured(setup, **how):
    with capture(setup.model, setup.optimizer, **how) as recording:
        setup.run()
    return recording.trace


# The trace


@pytest.mark.parametrize("name", SETUPS)
def test_the_trace_is_that_of_a_real_run(name):
    torch.manual_seed(0)
    real = captured(SETUPS[name]())
    fake = captured(SETUPS[name](), fake=True)
    assert "lost_ops" not in fake.origin
    assert "faults" not in fake.origin
    assert fake.origin["mode"] == "shapes only"
    assert fake.segments == real.segments
    assert [step.storages for step in fake.steps] == [step.storages for step in real.steps]
    assert [step.ops for step in fake.steps] == [step.ops for step in real.steps]
    assert fake.digest == real.digest


@pytest.mark.parametrize("name", ["perceptron", "adamw", "epochs"])
def test_a_run_under_way_goes_on_as_a_real_one_would(name):
    real, fake = captured(build(name)), captured(build(name), fake=True)
    assert fake.digest == real.digest


def test_gradients_from_before_are_added_to():
    def trace(fake):
        setup = build("perceptron")
        with capture(setup.model, setup.optimizer, fake=fake) as recording:
            setup.model(torch.randn(4, 3, 2, 2)).sum().backward()
            setup.optimizer.step()
        return recording.trace

    real = trace(fake=False)
    assert any(op.name == "aten.add_.Tensor" and op.phase == "wgrad" for op in real.steps[0].ops)
    assert trace(fake=True).digest == real.digest


def test_a_copy_made_inside_is_tied_like_its_original():
    model = Gpt()
    with capture(model, fake=True):
        twin = copy.deepcopy(model)
        assert twin.head.weight is twin.embed.weight
        assert twin.head.weight is not model.head.weight
        twin(torch.randint(40, (2, 8))).sum().backward()


def test_a_fused_lstm_differs_in_its_workspace_alone():
    """PyTorch's fake kernel says nothing of the buffer that the real one hands to backward."""
    real, fake = (captured(recurrent(nn.LSTM), fake=fake).steps[-1] for fake in (False, True))
    names = [[op.name for op in step.ops if op.gemms] for step in (real, fake)]
    assert names[0] == names[1]
    gemms = [[g for op in step.ops for g in op.gemms] for step in (real, fake)]
    assert [(g.role, g.batch, g.m, g.n, g.k) for g in gemms[0]] == [
        (g.role, g.batch, g.m, g.n, g.k) for g in gemms[1]
    ]
    assert sum(s.bytes for s in real.storages) > sum(s.bytes for s in fake.storages)


@pytest.mark.parametrize("name", ["perceptron", "residual", "gpt"])
def test_networks_are_found_by_themselves(name):
    torch.manual_seed(0)
    with capture() as real:
        SETUPS[name]().run()
    with capture(fake=True) as fake:
        setup = SETUPS[name]()
        setup.run()
    assert fake.trace.digest == real.trace.digest


def test_a_network_on_the_meta_device():
    real = captured(SETUPS["gpt"]())
    with torch.device("meta"):
        setup = SETUPS["gpt"]()
    fake = captured(setup, fake=True)
    assert fake.digest == real.digest
    assert all(p.is_meta and type(p) is nn.Parameter for p in setup.model.parameters())
    assert not setup.optimizer.state


# What is left behind


def contents(setup):
    """Return everything that training changes, as bytes."""
    rng = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()
    found = [rng[0].numpy().tobytes(), rng[1:]]
    for model in (setup.model, *getattr(setup, "others", [])):
        if isinstance(model, nn.Module):
            for tensor in (*model.parameters(), *model.buffers()):
                found += [type(tensor), tensor.requires_grad, raw(tensor), raw(tensor.grad)]
    for optimizer in (setup.optimizer, *getattr(setup, "others", [])):
        if isinstance(optimizer, torch.optim.Optimizer):
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


def break_off(setup):
    setup.run()
    random.random()
    np.random.rand()
    for group in setup.optimizer.param_groups:
        group["lr"] = 7
    setup.model.requires_grad_(False)
    setup.model.extra = next(setup.model.parameters()) * 2
    raise ZeroDivisionError


def objects(setup):
    return [id(p) for p in setup.model.parameters()], [id(p) for p in setup.optimizer.state]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", [n for n in SETUPS if n != "adversarial"])
def test_nothing_is_changed(name, fails):
    setup = build(name)
    before, same = contents(setup), objects(setup)
    if fails:
        with pytest.raises(ZeroDivisionError), capture(setup.model, setup.optimizer, fake=True):
            break_off(setup)
    else:
        captured(setup, fake=True)
    assert contents(setup) == before
    assert objects(setup) == same
    assert not hasattr(setup.model, "extra")


def test_training_goes_on_as_if_nothing_had_been():
    alone, disturbed = build("residual"), build("residual")
    torch.manual_seed(1)
    alone.run()
    torch.manual_seed(1)
    captured(disturbed, fake=True)
    disturbed.run()
    assert contents(alone) == contents(disturbed)


def test_a_graph_that_is_still_held_is_unharmed():
    setup, other = build("perceptron"), build("perceptron")
    x = torch.randn(4, 3, 2, 2)
    loss, same = setup.model(x).sum(), other.model(x).sum()
    captured(setup, fake=True)
    loss.backward()
    same.backward()
    for a, b in zip(setup.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_torch_is_as_it_was():
    from torch._subclasses.fake_tensor import FakeTensor
    from torch.nn.modules import module
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    def state():
        return dict(vars(FakeTensor)), torch.save, torch.load, torch.utils.swap_tensors

    before = state()
    captured(digits(), fake=True)
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
    setup = digits()
    with capture(setup.model, setup.optimizer, fake=True) as recording:
        out = setup.model(torch.randn(4, 3, 2, 2))
        found = read(out)
        out.sum().backward()
        setup.optimizer.step()
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
        (lambda out: bool(torch.isnan(out).any()), False),
        (lambda out: bool(torch.isfinite(out).all()), True),
        (lambda out: not torch.isinf(out).any() and "FakeTensor" in str(out), True),
    ],
)
def test_numbers_have_stand_ins(read, value):
    found, trace = fake_step(read)
    assert found == value
    assert trace.origin["stand_ins"].endswith("values that the network computed were taken as 1")


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
    setup = digits(make=torch.optim.LBFGS)
    x, y = torch.randn(4, 3, 2, 2), torch.randint(5, (4,))

    def closure():
        setup.optimizer.zero_grad()
        loss = functional.cross_entropy(setup.model(x), y)
        loss.backward()
        return loss

    with (
        pytest.raises(InputError, match=r"which way torch\.optim\.lbfgs goes depends"),
        capture(setup.model, setup.optimizer, fake=True),
    ):
        setup.optimizer.step(closure)


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


@pytest.mark.parametrize("name", RECIPES)
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
