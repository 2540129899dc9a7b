# ruff: noqa: E402 - without torch nothing here can be imported
"""Inference: runs without an optimizer, and language models that generate token by token."""

import json
from functools import cache

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from simulator import simulate
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.results.metrics import METRICS
from simulator.trace.memory import footprint
from simulator.trace.op import Phase
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import StepKind, StorageKind
from tests.command_line import trainsoc
from workloads.capture import capture, capture_script
from workloads.models import (
    LANGUAGE_MODELS,
    Generation,
    capture_language_model,
    capture_model,
)
from workloads.models.generate import _recorded

pytestmark = pytest.mark.torch
generated = cache(capture_language_model)
NETWORK = """
import torch
from torch import nn
network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
"""


# Runs without an optimizer


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "infer.py"
        path.write_text(NETWORK + text)
        return path

    return write


LOOPS = {
    "evaluation": "network.eval()\nwith torch.no_grad():\n    for _ in range(4):\n"
    "        network(torch.ones(2, 3, 8, 8)).argmax(1)\n",
    "mode of training": "for _ in range(4):\n    network(torch.ones(2, 3, 8, 8)).argmax(1)\n",
    "loader": "data = torch.utils.data.TensorDataset(torch.ones(8, 3, 8, 8))\n"
    "for (x,) in torch.utils.data.DataLoader(data, batch_size=2):\n    network(x).argmax(1)\n",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_script_that_never_learns_is_a_run_of_evaluations(script, loop):
    trace = capture_script(script(LOOPS[loop]))
    assert trace.count(StepKind.EVAL) == sum(s.count for s in trace.segments) == 4
    macs = 2 * 36 * 4 * 27 + 2 * 5 * 4 * 36
    assert trace.flops_by_phase() == {"eval": 4 * 2 * macs}


def test_a_network_that_runs_before_training_is_no_evaluation(script):
    """Its mode is that of training: as part of the first step, it was and is one of that."""
    text = "for _ in range(2):\n    network(torch.ones(2, 3, 8, 8))\n"
    learns = (
        text
        + "\noptimizer = torch.optim.SGD(network.parameters(), lr=0.1)\n"
        + (
            "for _ in range(3):\n    optimizer.zero_grad()\n"
            "    network(torch.ones(2, 3, 8, 8)).sum().backward()\n    optimizer.step()\n"
        )
    )
    trace = capture_script(script(learns))
    assert trace.count(StepKind.TRAIN) == 3
    assert trace.count(StepKind.EVAL) == 0


def test_a_command_captures_an_inference(script, tmp_path):
    out = tmp_path / "run.trace"
    done = trainsoc("capture", script(LOOPS["evaluation"]), "-o", out)
    assert done.returncode == 0, done.stderr
    assert "0 training and 4 evaluation steps" in done.stdout


def test_a_module_is_evaluated_once():
    network = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2))
    for fake in (False, True):
        trace = capture(network, inputs=torch.ones(5, 3), fake=fake).trace
        assert [step.kind for step in trace.steps] == [StepKind.EVAL]
        assert trace.flops_by_phase() == {"eval": 2 * 5 * (12 + 8)}
        assert not any(op.random for op in trace.steps[0].ops)
    assert network.training
    assert network[1].training


def test_inputs_need_a_model():
    with pytest.raises(InputError, match="capture with inputs needs the model that takes them"):
        capture(inputs=torch.ones(1))


def test_a_model_by_name_evaluates():
    trace = capture_model("resnet18", 1, evaluate=True)
    training = capture_model("resnet18", 2).flops_by_phase()
    assert trace.flops_by_phase() == {"eval": training["forward"] // 2}
    assert not [s for s in trace.steps[0].storages if s.kind is StorageKind.GRADIENT]


# Scripts that generate

GENERATES = """
import torch
from torch import nn
from torch.nn import functional as F

class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(64, 64) for _ in range(3))

    def forward(self, x, past):
        q, k, v = (m(x).unflatten(2, (4, 16)).transpose(1, 2) for m in (self.q, self.k, self.v))
        k, v = past(k, v)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=x.shape[1] > 1)
        return y.transpose(1, 2).flatten(2)

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.head = nn.Embedding(100, 64), nn.Linear(64, 100)
        self.layers = nn.ModuleList(Attention() for _ in range(2))

    def forward(self, tokens, pasts):
        x = self.token(tokens)
        for layer, past in zip(self.layers, pasts):
            x = x + layer(x, past)
        return self.head(x[:, -1])

class Growing:
    parts = ()
    def __call__(self, *new):
        self.parts = [torch.cat(pair, 2) for pair in zip(self.parts, new)] if self.parts else new
        return self.parts

class Room:
    def __init__(self):
        self.parts, self.length = (torch.zeros(2, 4, 32, 16), torch.zeros(2, 4, 32, 16)), 0
    def __call__(self, *new):
        start, self.length = self.length, self.length + new[0].shape[2]
        for part, each in zip(self.parts, new):
            part[:, :, start : self.length] = each
        return [part[:, :, : self.length] for part in self.parts]

network = Network()
for _ in range(2):
    pasts, tokens = [CACHE(), CACHE()], torch.zeros(2, 8, dtype=torch.long)
    with torch.no_grad():
        for _ in range(4):
            tokens = network(tokens, pasts).argmax(1, keepdim=True)
"""
TOKEN_BYTES = 2 * 2 * 64 * 4  # keys and values of 2 sequences, in one layer


@pytest.mark.parametrize("cache", ["Growing", "Room"])
def test_a_script_that_generates_has_prefills_and_decodes(script, cache):
    trace = capture_script(script(GENERATES.replace("CACHE", cache)))
    assert (trace.count(StepKind.PREFILL), trace.count(StepKind.DECODE)) == (2, 6)
    assert trace.count(StepKind.EVAL) == 0
    tokens = {step.kind: step.tokens for step in trace.steps}
    assert tokens == {StepKind.PREFILL: 16, StepKind.DECODE: 2}


def test_a_cache_that_is_copied_is_there_twice_one_copy_at_a_time(script):
    """The most when the values of the last layer are copied: only theirs are there twice."""
    trace = capture_script(script(GENERATES.replace("CACHE", "Growing")))
    second = trace.steps[2]  # from 9 tokens to 10
    assert second.kind is StepKind.DECODE
    assert footprint(second).cache == (4 * 10 + 9) * TOKEN_BYTES // 2


def test_a_cache_with_room_grows_in_place(script):
    trace = capture_script(script(GENERATES.replace("CACHE", "Room")))
    sizes = [footprint(step).cache for step in trace.steps if step.kind is StepKind.DECODE]
    assert sizes[:2] == [2 * 9 * TOKEN_BYTES, 2 * 10 * TOKEN_BYTES]


def test_what_is_passed_on_without_attention_is_no_cache(script):
    """As the hidden state of a recurrent network, or its latest token."""
    text = """
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.cell = nn.Embedding(9, 4), nn.GRUCell(4, 4)
    def forward(self, token, state):
        return self.cell(self.token(token), state)
cell, state = Recurrent(), torch.zeros(2, 4)
with torch.no_grad():
    for _ in range(3):
        state = cell(torch.zeros(2, dtype=torch.long), state)
"""
    trace = capture_script(script(text))
    assert {step.kind for step in trace.steps} == {StepKind.EVAL}
    assert not any(s.kind is StorageKind.CACHE for step in trace.steps for s in step.storages)


def test_generating_while_training_is_an_evaluation_as_before(script):
    learns = """
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
network(torch.zeros(2, 8, dtype=torch.long), [CACHE(), CACHE()]).sum().backward()
optimizer.step()
"""
    trace = capture_script(script((GENERATES + learns).replace("CACHE", "Growing")))
    assert {step.kind for step in trace.steps} == {StepKind.TRAIN, StepKind.EVAL}
    assert not any(s.kind is StorageKind.CACHE for step in trace.steps for s in step.storages)


def test_causal_products_are_causal_at_every_length(script):
    """The first prompt is analysed, those of other lengths reuse that."""
    text = GENERATES.replace("CACHE", "Growing").replace(
        "for _ in range(2):\n    pasts, tokens = [Growing(), Growing()], torch.zeros(2, 8",
        "for n in (8, 6, 3):\n    pasts, tokens = [Growing(), Growing()], torch.zeros(2, n",
    )
    trace = capture_script(script(text))
    prefills = [step for step in trace.steps if step.kind is StepKind.PREFILL]
    for n, step in zip((8, 6, 3), prefills, strict=True):
        attention = [g for op in step.ops for g in op.gemms if g.causal]
        assert sum(gemm.macs for gemm in attention) == 2 * 2 * 2 * n * (n + 1) // 2 * 64


# Language models: closed forms of prefill and decode

SIZES = {  # layers, width, width of keys, feed-forward MACs per token, vocabulary, bytes
    "gpt2": (12, 768, 768, 2 * 4 * 768**2, 50257, 4),
    "llama_1b": (16, 2048, 8 * 64, 3 * 2048 * 8192, 128_256, 2),
}
PARAMETERS = {"gpt2": 124_439_808, "llama_1b": 1_235_814_400}  # of the published weights
REQUEST = Generation(decode=3, prompt=7, batch=2)


def macs_of(step):
    return sum(gemm.macs for op in step.ops for gemm in op.gemms)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_generation_is_a_prefill_and_a_decode_for_each_token(name):
    trace = generated(name, REQUEST)
    assert trace.parameters == PARAMETERS[name]
    assert [step.kind for step in trace.steps] == [StepKind.PREFILL, *[StepKind.DECODE] * 3]
    assert [step.tokens for step in trace.steps] == [14, 2, 2, 2]
    assert [segment.count for segment in trace.segments] == [1, 1, 1, 1]
    assert {op.phase for op in trace.steps[0].ops} == {Phase.PREFILL}
    assert {op.phase for op in trace.steps[1].ops} == {Phase.DECODE}


def test_decodes_in_between_are_those_of_a_network_that_runs_them():
    every = Generation(decode=5, prompt=4)
    whole = _recorded(LANGUAGE_MODELS["gpt2"], every, range(1, 6))
    assert capture_language_model("gpt2", every).steps == whole.steps


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_macs_meet_their_closed_form(name):
    layers, width, keys, forward, vocabulary, _ = SIZES[name]
    token = layers * (width * (2 * width + 2 * keys) + forward)  # queries, keys, values, mixing
    trace = generated(name, REQUEST)
    pairs = 7 * 8 // 2  # attention stops at the diagonal
    prefill = 7 * token + layers * 2 * pairs * width + vocabulary * width
    assert macs_of(trace.steps[0]) == 2 * prefill
    for number, step in enumerate(trace.steps[1:], start=1):
        decode = token + layers * 2 * (7 + number) * width + vocabulary * width
        assert macs_of(step) == 2 * decode


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_the_cache_grows_by_the_keys_and_values_of_a_token(name):
    layers, _, keys, _, _, size = SIZES[name]
    for number, step in enumerate(generated(name, REQUEST).steps):
        assert footprint(step).cache == 2 * (7 + number) * layers * 2 * keys * size
        names = [s.name for s in step.storages if s.kind is StorageKind.CACHE]
        assert len(names) == 2 * layers
        assert names[0] == "blocks.0.attention.cache.keys"


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_decode_reads_each_key_once_however_many_queries_share_it(name):
    layers, _, keys, _, _, size = SIZES[name]
    step = generated(name, REQUEST).steps[2]
    cached = {i for i, s in enumerate(step.storages) if s.kind is StorageKind.CACHE}
    moving = [op for op in step.ops if op.read_bytes or op.write_bytes]
    read = sum(t.bytes for op in moving for t in op.inputs if t.storage in cached)
    written = sum(t.bytes for op in moving for t in op.outputs if t.storage in cached)
    assert read == 2 * 9 * layers * 2 * keys * size
    assert written == 2 * layers * 2 * keys * size


def test_decoding_is_what_the_network_does_without_a_cache():
    """In numbers: of a small Gpt2, token by token against all tokens at once."""
    from workloads.models.attention_cache import begin
    from workloads.models.gpt2 import GeneratingGpt2
    from workloads.models.llama import Llama

    for build, context in ((GeneratingGpt2, 5), (Llama, 5)):
        torch.manual_seed(0)
        network = shrunk(build).eval()
        tokens = torch.randint(50, (2, context))
        with torch.no_grad():
            whole = network(tokens)
            begin(network, 2, context)
            network(tokens[:, :3])
            network(tokens[:, 3:4])
            assert torch.allclose(network(tokens[:, 4:5]), whole, atol=1e-5)


def shrunk(build):
    """Return the network of one block and a small vocabulary, which runs for real."""
    with torch.device("meta"):
        network = build()
    network.blocks = network.blocks[:1]
    network.token = nn.Embedding(50, network.token.weight.shape[1])
    network.head = nn.Linear(network.token.weight.shape[1], 50, bias=False)
    network = network.to_empty(device="cpu")
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.02)
    return network


def test_a_generation_survives_its_file(tmp_path):
    trace = generated("gpt2", REQUEST)
    save_trace(trace, tmp_path / "gpt2.trace")
    assert load_trace(tmp_path / "gpt2.trace").digest == trace.digest
    assert load_trace(tmp_path / "gpt2.trace").steps == trace.steps


# What it costs

FAR_FASTER = {
    "dram.preset": "ideal", "dram.bandwidth": "10 GB/s", "interconnect.width": "1024 B",
    "cpu.clock": "100 GHz", "cpu.gemm_efficiency": "100 %", "cpu.gemm_efficiency_alone": "100 %",
    "cpu.op_overhead": "0 cycles", "cpu.view_overhead": "0 cycles",
    "cpu.dispatch.forward": "0 cycles", "cpu.bandwidth": "1 TB/s",
    "cpu.bandwidth_per_core": "1 TB/s", "cpu.copy_bandwidth": "1 TB/s",
    "cpu.copy_bandwidth_per_core": "1 TB/s", "cpu.llc.bandwidth": "10 TB/s",
}  # fmt: skip
"""Than their memory, which alone decides."""
ARRAY = {
    "accelerator.precision": "fp32", "accelerator.clock": "100 GHz",
    "accelerator.dma.bandwidth": "1 TB/s", "accelerator.launch_latency": "0 ns",
    "runtime.launch": "0 ns", "runtime.synchronise": "0 ns",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "settings", "unit"),
    [("cpu-only", FAR_FASTER, "cpu"), ("edge-16x16", FAR_FASTER | ARRAY, "accelerator")],
)
def test_decode_is_bound_by_weights_and_cache_over_bandwidth(name, settings, unit):
    trace = generated("gpt2", Generation(decode=4, prompt=512))
    result = simulate(load_hardware(name, settings), trace)
    weights = 4 * (PARAMETERS["gpt2"] - 1024 * 768)  # of positions it reads one row
    moved = 4 * weights + sum(footprint(step).cache for step in trace.steps[1:])
    decode = result.by_phase[Phase.DECODE]
    assert decode.tokens_per_s == pytest.approx(10e9 * 4 / moved, rel=0.05)
    assert decode.units[unit].busy_ps / decode.tally.latency_ps > 0.99  # runs nearly all of it
    assert 1 < decode.counts.dram_bytes / moved < 1.01  # and what activations move
    assert decode.energy_per_token_j == pytest.approx(decode.energy_j / 4)


def test_tokens_are_counted_where_there_are_any():
    result = simulate("cpu-only", generated("gpt2", REQUEST))
    rows = {row["phase"]: row for row in result.phases}
    assert (rows["prefill"]["tokens"], rows["decode"]["tokens"]) == (14, 6)
    assert result.total["tokens"] == result.epochs[0]["tokens"] == 20
    keys = {metric.key for metric in METRICS if "token" in metric.key}
    assert keys == {"tokens", "tokens_per_s", "energy_per_token_j"}
    assert not keys & simulate("cpu-only", "lenet_digits").total.keys()
    assert (
        result.as_dict()["memory"]["cache"] == footprint(generated("gpt2", REQUEST).steps[3]).cache
    )


def test_tokens_survive_a_saved_run_at_other_prices(tmp_path):
    save_trace(generated("gpt2", REQUEST), tmp_path / "gpt2.trace")
    done = trainsoc("run", "cpu-only", tmp_path / "gpt2.trace", "-o", tmp_path / "out")
    assert "Decode: 6 tokens, " in done.stdout
    again = trainsoc("recost", tmp_path / "out", "--energy", tmp_path / "out/energy.yaml", "--json")
    before = json.loads((tmp_path / "out/result.json").read_text())
    assert json.loads(again.stdout)["phases"] == before["phases"]


def test_a_pipeline_of_a_language_model_passes_a_token_of_activations(tmp_path):
    save_trace(generated("gpt2", REQUEST), tmp_path / "gpt2.trace")
    done = trainsoc("show", tmp_path / "gpt2.trace", "--part", "blocks.6..", "--json")
    part = json.loads(done.stdout)["part"]
    assert part["enter_bytes"] == 2 * 768 * 4  # a vector for each sequence, and no key
    assert part["weight_bytes"] == 4 * (6 * (12 * 768**2 + 13 * 768) + 2 * 768 + 50257 * 768)
    layers, pairs = 6, 7 + 3
    macs = layers * (12 * 768**2 + 2 * pairs * 768) + 50257 * 768
    assert part["macs"] == 2 * macs


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gpt2"], "gpt2 generates: say with --decode how many tokens"),
        (["gpt2_small", "--decode", "3"], "gpt2_small does not generate: decode with gpt2, llama"),
        (
            ["gpt2", "--decode", "999"],
            "a context of 1024 tokens: decode at most 992 after a prompt",
        ),
        (["gpt2", "--prompt", "9"], "--prompt 9: say with --decode how many tokens follow it"),
        (["gpt2", "--decode", "3", "--eval"], "--eval and --decode: a model generates, or it"),
        (["lenet_digits", "--decode", "3"], "--decode 3: lenet_digits is no model"),
        (["lenet_digits", "--eval"], "--eval: lenet_digits is no model"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, arguments, said):
    done = trainsoc("capture", "-o", tmp_path / "x.trace", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
