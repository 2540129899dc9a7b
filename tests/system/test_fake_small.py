# ruff: noqa: E402 - without torch nothing here can be imported
"""Small networks run for real in a fake capture, exactly, and become fake where sizes say so."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from torch import nn

from tests.catalogue import setup
from tests.system.test_fake_capture import build, captured, contents, objects
from workloads.capture import budget, capture, capture_script

pytestmark = pytest.mark.torch

NAMES = ["adamw", "residual", "lstm", "gan", "gpt", "checkpoint", "lbfgs"]


@pytest.mark.parametrize("name", NAMES)
def test_a_small_network_runs_for_real(name):
    real, fake = captured(setup(name)), captured(setup(name), fake=True)
    assert fake.digest == real.digest
    assert fake.origin["mode"] == "real"
    assert "numbers are real" in fake.origin["ran_for_real"]


@pytest.mark.parametrize("name", ["adamw", "batch norm", "in place", "schedule"])
@pytest.mark.parametrize("seconds", [budget.CALL_S, 1e-7], ids=["real", "half"])
def test_nothing_is_changed(name, seconds, monkeypatch):
    monkeypatch.setattr(budget, "CALL_S", seconds)
    run = build(name)
    before, same = contents(run), objects(run)
    captured(run, fake=True)
    assert contents(run) == before
    assert objects(run) == same


@pytest.mark.parametrize("seconds", [1e-8, 1e-6, 4e-6])
@pytest.mark.parametrize("name", ["adamw", "residual", "gan", "gpt"])
def test_networks_become_fake_in_the_middle_of_a_step(name, seconds, monkeypatch):
    real = captured(setup(name))
    monkeypatch.setattr(budget, "CALL_S", seconds)
    fake = captured(setup(name), fake=True)
    assert fake.origin["mode"] == "shapes only"
    assert fake.digest == real.digest


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: nn.Linear(1024, 1023), (1, 1024)),  # 1,048,575 parameters
        (lambda: nn.Linear(1, 1), (1 << 20, 1)),
    ],
)
def test_a_limit_is_reached(make, size):
    with capture(fake=True) as recording:
        make()(torch.randn(size)).sum().backward()
    assert recording.trace.origin["mode"] == "real"


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: nn.Linear(1024, 1024), (1, 1024)),  # 1,049,600 parameters
        (lambda: nn.Sequential(nn.Linear(1024, 600), nn.Linear(600, 800)), (1, 1024)),
        (lambda: nn.Linear(1, 1), ((1 << 20) + 1, 1)),
        pytest.param(
            lambda: nn.Sequential(nn.Conv1d(1, 1, 1), nn.Upsample(scale_factor=9000)),
            (1, 1, 20_000),
            marks=pytest.mark.slow,
        ),
        (lambda: nn.Conv2d(64, 64, 9, padding=4), (1, 64, 128, 128)),  # 11 GFLOP
    ],
)
def test_a_limit_is_exceeded(make, size):
    with capture(fake=True) as recording:
        make()(torch.randn(size)).sum()
    assert recording.trace.origin["mode"] == "shapes only"


def test_a_loop_until_the_loss_is_small_ends_as_in_a_real_run(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "torch.manual_seed(0)\n"
        "net = torch.nn.Linear(3, 1)\n"
        "sgd = torch.optim.SGD(net.parameters(), 0.1)\n"
        "loss = None\n"
        "while loss is None or loss.item() > 1e-3:\n"
        "    x = torch.randn(16, 3)\n"
        "    loss = (net(x) - x.sum(1, keepdim=True)).pow(2).mean()\n"
        "    sgd.zero_grad(), loss.backward(), sgd.step()\n"
    )
    real, fake = capture_script(script), capture_script(script, fake=True)
    assert fake.digest == real.digest
    assert fake.origin["ran_for_real"].startswith("small network (4 parameters)")
