# ruff: noqa: E402 - without torch nothing here can be imported
"""A fake capture gives the trace of a real one, computes nothing, and leaves all as it was."""

import copy
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

import numpy as np
from torch import nn

from tests.catalogue import CATALOGUE, TOKENS, setup
from tests.catalogue.networks import Torso
from tests.command_line import trainsoc
from workloads.capture import budget, capture

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def imagined(monkeypatch):
    """Imagine small networks too."""
    monkeypatch.setattr(budget, "PARAMETERS", 0)


OTHERWISE = {
    "lbfgs": "it is refused",
    "in place": "PyTorch assigns to a part of a fake tensor, and differentiates that, by other ops",
}


FOUND = {
    "sgd", "muon", "fused", "autocast with scaler", "accumulation", "compiled", "tied", "frozen",
    "flat storage", "workers", "evaluation", "schedule", "double backward", "averaged weights",
    "gradient hooks", "gan", "thread",
}  # fmt: skip
"""What differs in its networks, optimizers or loop, rather than in its layers."""


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


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param(
            name,
            found,
            id=f"{name}-{'found' if found else 'given'}",
            marks=pytest.mark.slow if found and name not in FOUND else (),
        )
        for name in CATALOGUE
        if name not in OTHERWISE
        for found in (False, True)
    ],
)
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


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in ("lbfgs", "gan")])
def test_nothing_is_changed(name):
    run = build(name)
    before, same = contents(run), objects(run)
    with pytest.raises(ZeroDivisionError), capture(run.model, run.optimizers[0], fake=True):
        break_off(run)
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


# Memory

PROGRAM = """
import sys
import torch
from torch.nn import functional
from workloads.capture import capture
from workloads.models import MODELS
for name, batch, optimizer in (("resnet50", 32, "SGD"), ("gpt2_small", 8, "AdamW")):
    model = MODELS[name]
    with torch.device("meta"):
        network, (x, y) = model.build(), model.samples(batch)
    optimizer = getattr(torch.optim, optimizer)(network.parameters(), lr=0.01)
    with capture(network, optimizer, fake=True) as recording:
        optimizer.zero_grad()
        functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    assert recording.trace.epochs == 1
    print([line for line in open("/proc/self/status") if "VmHWM" in line][0].split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_large_steps_take_little_memory():
    """In a process of their own, whose peak so far is told after each."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peaks_kib = [int(peak) for peak in done.stdout.split()]
    assert len(peaks_kib) == 2
    assert max(peaks_kib) < 500 * 1024


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
