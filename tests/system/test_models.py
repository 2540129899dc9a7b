# ruff: noqa: E402 - without torch nothing here can be imported
"""Models are the published ones, and their traces by shape alone are those of real training."""

import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from math import prod
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from simulator.errors import InputError
from simulator.trace.op import OpKind, Phase, Role
from simulator.trace.trace import Segment, StepKind, StorageKind, dependences
from tests.command_line import trainsoc
from workloads.capture import capture
from workloads.models import (
    LANGUAGE_MODELS,
    MODELS,
    Model,
    capture_model,
    capture_step,
)

pytestmark = pytest.mark.torch
STATUS = Path("/proc/self/status")
traced = cache(capture_model)
NAMES = (*MODELS, *LANGUAGE_MODELS)

# Parameters and GMAC, rounded as there: "num_params" and "_ops" of the weights in torchvision.
TORCHVISION = {
    "mobilenet_v2": (3_504_872, 0.301),
    "resnet18": (11_689_512, 1.814),
    "resnet50": (25_557_032, 4.089),
    "vgg16": (138_357_544, 15.47),
    "vgg16_bn": (138_365_992, 15.47),
}
# (M, K, N) of ResNet-18's forward pass at batch 16 in DaCapo's repository (reference data:
# systems/dacapo_resnet18_gemm_dims_b16.csv), without the classifier, which has 10 classes there.
DACAPO = [
    (200704, 147, 64), *[(50176, 576, 64)] * 4,
    (12544, 576, 128), (12544, 1152, 128), (12544, 64, 128), *[(12544, 1152, 128)] * 2,
    (3136, 1152, 256), (3136, 2304, 256), (3136, 128, 256), *[(3136, 2304, 256)] * 2,
    (784, 2304, 512), (784, 4608, 512), (784, 256, 512), *[(784, 4608, 512)] * 2,
]  # fmt: skip


def convolutions(trace, role=Role.FORWARD):
    found = [(op.layer, gemm) for op in trace.steps[0].ops for gemm in op.gemms]
    return [(layer, gemm) for layer, gemm in found if gemm.conv and gemm.role == role]


# The networks


def test_gpt2_is_the_published_one():
    width, vocabulary, context = 768, 50257, 1024
    step = traced("gpt2_small", 2).steps[0]
    parameters = {s.name: s.bytes // 4 for s in step.storages if s.kind is StorageKind.PARAMETER}
    assert sum(parameters.values()) == 124_439_808  # "gpt2" of Hugging Face, the head's tied
    forward = sum(g.macs for op in step.ops for g in op.gemms if op.phase is Phase.FORWARD)
    dense = context * (12 * 12 * width**2 + vocabulary * width)
    seen = context * (context + 1) // 2  # attention stops at the diagonal
    assert forward == 2 * (dense + 12 * 2 * seen * width)


def test_vit_tiny_is_the_published_one():
    width, tokens = 192, 14 * 14 + 1
    trace = traced("vit_tiny", 2)
    assert trace.parameters == 5_717_416  # "vit_tiny_patch16_224" and "deit_tiny" of timm
    per_token = 12 * (12 * width**2 + 2 * tokens * width)
    forward = 196 * 768 * width + tokens * per_token + width * 1000
    assert trace.flops_by_phase()["forward"] == 2 * 2 * forward


@pytest.mark.parametrize("name", TORCHVISION)
def test_parameters_and_macs_are_the_published_ones(name):
    parameters, gmacs = TORCHVISION[name]
    trace = traced(name, 2)
    flops = trace.flops_by_phase()
    assert trace.parameters == parameters
    assert round(flops["forward"] / 2 / 2 / 1e9, 3) == gmacs
    assert flops["wgrad"] == flops["forward"]
    first = convolutions(trace)[0][1].macs
    assert flops["dgrad"] == flops["forward"] - 2 * first


def test_resnet18_has_the_gemms_that_dacapo_lists():
    trace = traced("resnet18", 16)
    assert [(g.m, g.k, g.n) for _, g in convolutions(trace)] == DACAPO
    weights = Counter(tuple(sorted((g.m, g.k, g.n))) for _, g in convolutions(trace, Role.WGRAD))
    assert weights == Counter(tuple(sorted(dims)) for dims in DACAPO)


def test_a_bottleneck_has_its_stride_in_the_middle():
    strides = {layer: g.conv.stride[0] for layer, g in convolutions(traced("resnet50", 1))}
    names = ("conv1", "conv2", "conv3", "downsample.0")
    assert [strides[f"layer3.0.{name}"] for name in names] == [1, 2, 1, 2]


def test_alexnet_is_that_of_ef_train():
    trace = traced("alexnet_eftrain", 2)
    # Output width, filters, inputs x kernel: EF-Train, ACM TODAES 27(5), 2022, tables 3 and 6.
    shapes = [
        (55, 96, 3 * 121), (27, 256, 96 * 25), (13, 384, 256 * 9), (13, 384, 384 * 9),
        (13, 256, 384 * 9),
    ]  # fmt: skip
    found = convolutions(trace)
    assert [layer for layer, _ in found] == [f"conv{number}" for number in range(1, 6)]
    assert [g.conv.output for _, g in found] == [(width, width) for width, _, _ in shapes]
    assert [g.macs for _, g in found] == [2 * width**2 * n * k for width, n, k in shapes]
    linear = [(9216, 4096), (4096, 4096), (4096, 1000)]
    forward = sum(w * w * n * k for w, n, k in shapes) + sum(k * n for k, n in linear)
    assert trace.flops_by_phase()["forward"] == 2 * 2 * forward
    convolved = sum(n * k + n for _, n, k in shapes)
    assert trace.parameters == convolved + sum(k * n + n for k, n in linear) == 62_378_344


def test_alexnet_takes_the_time_that_ef_train_took():
    """Table 6's FP cycles: 16 x 16 MACs a cycle, and at most a quarter of loading and storing."""
    paper = [11504640, 7309808, 2478272, 3646400, 2432368]
    found = convolutions(traced("alexnet_eftrain", 4))
    for (_, gemm), cycles in zip(found, paper, strict=True):
        conv = gemm.conv
        tiles = -(-conv.in_channels // 16) * -(-conv.out_channels // 16)
        compute = 4 * tiles * prod(conv.output) * prod(conv.kernel)
        assert 0.75 < compute / cycles <= 1


def test_vgg_layers_are_called_as_in_the_paper():
    layers = [layer for layer, _ in convolutions(traced("vgg16", 1))]
    depths = enumerate((2, 2, 3, 3, 3), start=1)
    assert layers == [f"conv{stage}_{i}" for stage, depth in depths for i in range(1, depth + 1)]


def test_the_1x_cnn_has_the_operations_and_cycles_of_ef_train():
    trace = traced("cnn1x_cifar10", 1)
    macs = [gemm.macs for _, gemm in convolutions(trace)]
    operations = 2 * (3 * sum(macs) - macs[0])
    # Time of an image x operations per second: EF-Train, ACM TODAES 27(5), 2022, table 7.
    assert operations == pytest.approx(14.32e-3 * 4.08e9, rel=0.004)
    assert operations == pytest.approx(2.08e-3 * 28.15e9, rel=0.004)
    cycles = [
        -(-g.conv.in_channels // 16) * (g.conv.out_channels // 16) * prod(g.conv.output) * 9
        for _, g in convolutions(trace)
    ]
    # Its figure 19, read from the plot: MACs of FP and BP at batch 128, on 16 x 16 of them.
    assert 128 * sum(cycles) == pytest.approx(5.9e6, rel=0.005)
    assert 128 * sum(cycles[1:]) == pytest.approx(4.85e6, rel=0.03)


@pytest.mark.parametrize(
    ("name", "sizes"), [("alexnet_eftrain", [3, 3, 3]), ("resnet50", [3]), ("vgg16_bn", [2] * 5)]
)
def test_pooling_windows(name, sizes):
    # A trace has the sizes of what a pooling reads and writes only, which many windows share.
    with torch.device("meta"):
        pools = [m for m in MODELS[name].build().modules() if isinstance(m, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(size, 2) for size in sizes]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_at_its_own_batch(name):
    model = MODELS[name]
    trace = capture_model(name)
    assert trace.name == model.name == name
    assert trace.origin.pop("torch") == str(torch.__version__)
    assert trace.origin == {"tool": "trainsoc capture", "mode": "shapes only"}
    assert trace.segments == (Segment(0, 0, 1),)
    assert trace.steps[0].kind is StepKind.TRAIN
    drawn = [s.bytes for s in trace.steps[0].storages if s.kind is StorageKind.INPUT]
    sizes = [each.numel() * each.element_size() for each in model.samples(model.batch)]
    assert sorted(drawn) == sorted(sizes)
    classes = [op for op in trace.steps[0].ops if op.phase is Phase.FORWARD and op.gemms][-1]
    assert classes.gemms[0].n == model.classes
    assert all(op.layer for op in trace.steps[0].ops if op.gemms)


# By shape alone


def real_step(model, batch, runs=2):
    """Return the last of `runs` steps that really ran, recorded from the first one on."""
    network = model.build()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    x, y = model.samples(batch)
    with capture(network, optimizer) as recording:
        for _ in range(runs):
            optimizer.zero_grad()
            functional.cross_entropy(network(x), y).backward()
            optimizer.step()
    assert recording.trace.origin["mode"] == "real"
    assert len(recording.trace.steps) == runs
    return recording.trace.steps[-1]


class Mixed(nn.Module):
    """What the registered networks do not have: attention, dropout, views, other convolutions."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)
        self.norm = nn.LayerNorm(64)
        self.qkv = nn.Linear(64, 96)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        x = torch.tanh(self.up(self.down(x))).flatten(2)
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        return self.drop(functional.scaled_dot_product_attention(q, k, v)).mean(1)


def perceptron():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10))


SMALL = {
    "perceptron": (Model("perceptron", "", perceptron, (3, 4, 4), 10, 8), 8),
    "mixed": (Model("mixed", "", Mixed, (4, 8, 8), 32, 2), 2),
    "cnn1x_cifar10": (MODELS["cnn1x_cifar10"], 3),
    "resnet18": (MODELS["resnet18"], 1),
}


@pytest.mark.parametrize("name", SMALL)
def test_the_step_is_the_one_that_a_real_run_makes(name):
    model, batch = SMALL[name]
    (step,) = capture_step(model, batch).steps
    real = real_step(model, batch)
    assert step.ops == real.ops
    assert step.storages == real.storages
    assert step.digest == real.digest
    assert list(dependences(step)) == list(dependences(real))


def test_the_step_is_not_the_first_one():
    model, batch = SMALL["perceptron"]
    (step,) = capture_step(model, batch).steps
    state = [s for s in step.storages if s.kind is StorageKind.OPTIMIZER_STATE]
    assert sum(s.bytes for s in state) == 4 * (48 * 32 + 32 + 32 * 10 + 10)
    assert step.digest != real_step(model, batch, runs=1).digest
    updates = [op for op in step.ops if op.phase is Phase.OPTIMIZER and op.kind is not OpKind.VIEW]
    assert len(updates) == 3 * 4  # momentum times, plus gradient; weight minus that


def test_flops_equal_those_that_torch_counts():
    model = MODELS["resnet18"]
    with FakeTensorMode():
        network, (x, y) = model.build(), model.samples(2)
        with FlopCounterMode(display=False) as forward:
            loss = functional.cross_entropy(network(x), y)
        with FlopCounterMode(display=False) as backward:
            loss.backward()
    flops = traced("resnet18", 2).flops_by_phase()
    assert flops["forward"] == forward.get_total_flops()
    assert flops["dgrad"] + flops["wgrad"] == backward.get_total_flops()
    assert set(flops) == {"forward", "dgrad", "wgrad"}


def test_work_grows_with_the_batch_and_parameters_do_not():
    small, large = (traced("resnet18", batch) for batch in (2, 64))
    assert large.parameters == small.parameters
    assert large.flops_by_phase() == {k: 32 * v for k, v in small.flops_by_phase().items()}


def test_a_capture_repeats_itself_and_draws_no_numbers():
    before = torch.get_rng_state()
    first, again = (capture_model("vgg16", 2) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.digest == again.digest


@pytest.mark.skipif(not STATUS.exists(), reason="the peak is read from Linux's /proc")
def test_it_takes_no_memory():
    # A real step of VGG-16 at batch 16 holds 1.6 GB of weights, gradients and momentum alone.
    program = (
        "from workloads.models import capture_model; capture_model('vgg16', 16);"
        f"print(open('{STATUS}').read())"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (peak,) = re.findall(r"VmHWM:\s*(\d+) kB", done.stdout)
    assert int(peak) < 500 * 1024  # torch alone takes 300 MiB


# The way in


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_has_a_sample(batch):
    with pytest.raises(InputError, match=f"vgg16 needs a batch of at least 1 sample, not {batch}"):
        capture_model("vgg16", batch)


def test_an_unknown_model_is_refused_by_name():
    with pytest.raises(InputError, match="no model 'vgg61': choose one of alexnet_eftrain, "):
        capture_model("vgg61")


def test_the_command_line_captures_a_model(tmp_path):
    out = tmp_path / "cnn.trace"
    done = trainsoc("capture", "cnn1x_cifar10", "--batch", "2", "-o", out)
    assert done.returncode == 0, done.stderr
    summary = json.loads(trainsoc("show", out, "--json").stdout)
    assert summary["flops_by_phase"] == traced("cnn1x_cifar10", 2).flops_by_phase()
    assert (summary["steps"], summary["epochs"], summary["parameters"]) == (1, 1, 82_330)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["resnet19"],
            "no such script, recipe or model; did you mean resnet18?",
        ),
        (["resnet18", "--batch", "0"], "'--batch': Input should be greater than or equal to 1"),
        (["resnet18", "--batch", "many"], "'--batch'"),
        (["resnet18", "--", "--epochs", "3"], "resnet18 is a model: it takes --batch and no"),
        (["lenet_digits", "--batch", "3"], "--batch 3: lenet_digits is no model"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, arguments, said):
    done = trainsoc("capture", "-o", tmp_path / "new" / "x.trace", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
