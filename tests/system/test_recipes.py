"""The recipes learn, are repeatable, and their bundled traces say what they do."""

import runpy
import subprocess
import sys

import pytest

from simulator.errors import InputError
from simulator.trace.storage import load_trace
from simulator.trace.trace import StepKind
from workloads import bundled_traces
from workloads.recipes import RECIPES, recipe, recipe_path

# Weights and biases by hand: LeNet-5 with fully connected feature maps, and He et al.'s 0.27 M.
PARAMETERS = {"mlp_digits": 17_226, "lenet_digits": 61_706}


@pytest.fixture
def torch():
    module = pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    return module


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.usefixtures("torch")
def test_lenet_learns_the_digits():
    reports = recipe("lenet_digits").train()
    assert reports[-1].accuracy >= 0.95
    assert reports[-1].loss < 0.1
    assert [report.epoch for report in reports] == list(range(1, 9))


@pytest.mark.torch
@pytest.mark.usefixtures("torch")
def test_the_perceptron_learns_the_digits():
    assert recipe("mlp_digits").train(epochs=5)[-1].accuracy > 0.9


@pytest.mark.torch
@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("name", RECIPES)
def test_a_seed_decides_everything(name, capsys):
    train = recipe(name).train
    first, again, other = (train(1, 16, seed, 48) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert capsys.readouterr().out.count("test accuracy") == 3


@pytest.mark.torch
def test_a_resnet20_has_its_published_size(torch):
    model = recipe("resnet20_digits").ResNet20()
    total = sum(parameter.numel() for parameter in model.parameters())
    assert round(total / 1e6, 2) == 0.27
    assert sum(isinstance(m, torch.nn.Conv2d) for m in model.modules()) == 19 + 2
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.torch
@pytest.mark.usefixtures("torch")
def test_a_recipe_is_a_script(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mlp_digits.py", "--epochs", "2", "--limit", "64"])
    runpy.run_path(str(recipe_path("mlp_digits")), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert recipe_path("mlp_digits").is_file()
    assert recipe_path("no_such_recipe") is None


@pytest.mark.torch
@pytest.mark.usefixtures("torch")
def test_capturing_a_recipe_changes_nothing_and_gives_the_bundled_work():
    from workloads.capture import capture

    module = recipe("mlp_digits")
    with capture() as recording:
        captured = module.train(2)
    assert captured == module.train(2)
    bundled = load_trace(bundled_traces()["mlp_digits"])
    assert recording.trace.steps[1].ops == bundled.steps[1].ops
    epoch = [s for s in bundled.segments if s.epoch < 2]
    assert sum(s.count for s in recording.trace.segments) == sum(s.count for s in epoch)


@pytest.mark.torch
@pytest.mark.usefixtures("torch")
def test_a_recipe_can_be_captured_as_a_script():
    from workloads.capture import capture, capture_script

    trace = capture_script(recipe_path("mlp_digits"), ["--epochs", "1", "--limit", "80"])
    with capture() as recording:
        recipe("mlp_digits").train(1, limit=80)
    assert trace.name == "mlp_digits"
    assert trace.digest == recording.trace.digest


def test_every_recipe_has_a_trace():
    assert set(bundled_traces()) == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_bundled_traces_are_whole(name):
    trace = load_trace(bundled_traces()[name])
    assert trace.name == name
    assert set(trace.origin) == {"tool", "torch", "mode"}
    images, batch = 1797 - 360, 32
    assert trace.count(StepKind.TRAIN) == -(-images // batch) * trace.epochs
    assert trace.parameters == PARAMETERS.get(name, trace.parameters)
    flops = trace.flops_by_phase()
    assert set(flops) == {"forward", "dgrad", "wgrad", "eval"}
    assert flops["wgrad"] == flops["forward"]
    assert flops["forward"] * 360 == flops["eval"] * images


def test_bundled_traces_need_no_torch():
    program = (
        "import sys; from workloads import bundled_traces; from simulator.trace.storage import *;"
        "[load_trace(p) for p in bundled_traces().values()]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_unknown_recipe_is_refused_by_name():
    with pytest.raises(InputError, match="no recipe 'alexnet': choose one of mlp_digits"):
        recipe("alexnet")
