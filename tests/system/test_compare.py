"""Timed captures, and predictions set beside what they measured."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from simulator.comparison import compare
from simulator.hardware.constant import Constant
from simulator.trace.op import Phase
from simulator.trace.storage import save_trace
from simulator.trace.trace import Timing
from simulator.uncertainty.compared import compare_with_intervals
from tests import calibration
from tests.builders import StepBuilder, machine, one_step_trace
from tests.command_line import trainsoc


def timed(step_ps=10**10):
    builder = StepBuilder()
    x = builder.elementwise(builder.gemm(64, 64, 64))
    builder.gemm(64, 64, 64, a=x, phase=Phase.WGRAD)
    trace = one_step_trace(builder, 5)
    return replace(trace, timings=(Timing(step_ps, (4 * 10**9, 10**9, 3 * 10**9)),))


@pytest.fixture
def trace_file(tmp_path):
    save_trace(timed(), tmp_path / "timed.trace")
    return tmp_path / "timed.trace"


def test_rows_sum_up_to_the_step():
    document = compare(machine("cpu-only"), timed())
    for key in ("phases", "kinds", "ops"):
        predicted = sum(row["predicted_s"] for row in document[key])
        assert predicted == pytest.approx(document["step"]["predicted_s"])
        assert sum(row["measured_s"] for row in document[key]) == pytest.approx(0.008)
    assert document["step"]["measured_s"] == pytest.approx(0.01)
    assert {row["phase"] for row in document["phases"]} == {"forward", "backward"}
    row = document["kinds"][0]
    assert row["error"] == pytest.approx(row["predicted_s"] / row["measured_s"] - 1)


def test_a_prediction_has_the_interval_of_what_is_unsure_of_the_machine():
    """A dispatch of 1 to 100 us, 10 by median, decides a step of three tiny ops by itself."""
    sure = {f"cpu__{name}": "0 cycles" for name in ("dispatch__backward", "view_overhead")}
    hardware = machine("cpu-only", **sure, cpu__dispatch__forward="14 kcycles")
    known = [each for each in hardware.constants if not each.is_uncertain]
    dispatch = Constant("cpu.dispatch.forward", 14_000, 1_400, 140_000)
    document = compare_with_intervals(hardware.with_constants([*known, dispatch]), timed(), 99)
    step = document["step"]
    rest_s = step["predicted_s"] - 2 * 10e-6  # two ops forward, one of the gradient
    # Quantiles 5 and 95 % lie 90 % of the way to either end of the logarithm.
    assert step["predicted_low_s"] - rest_s == pytest.approx(2 * 10e-6 / 10**0.9, rel=0.1)
    assert step["predicted_high_s"] - rest_s == pytest.approx(2 * 10e-6 * 10**0.9, rel=0.1)
    assert (document["samples"], document["level"]) == (99, 0.9)


def test_a_machine_of_which_all_is_known_has_no_intervals():
    hardware = machine("cpu-only").with_constants([])
    assert compare_with_intervals(hardware, timed()) == compare(hardware, timed())


def test_without_a_whole_step_the_ops_are_summed():
    step = compare(machine("cpu-only"), timed(step_ps=0))["step"]
    assert step["measured_s"] == pytest.approx(0.008)
    assert step["measured_is"] == "sum of ops"


def test_compare_prints_a_table_and_draws_a_figure(trace_file, tmp_path):
    done = trainsoc("compare", "cpu-only", trace_file, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "whole step" in done.stdout
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads((tmp_path / "out" / "compare.json").read_text())
    printed = trainsoc("compare", "cpu-only", trace_file, "--json")
    assert json.loads(printed.stdout) == kept


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compare", "cpu-only", "lenet_digits"), "no measured times: capture it with --time"),
        (("compare", "cpu-only", "nowhere.trace"), "no trace at"),
        (("capture", "resnet18", "--time", "-o", "a.trace"), "captured by its shapes"),
        (("calibrate", "-o", "missing/folder/host.yaml"), "cannot write"),
        (("calibrate", "-o", "."), "cannot write"),
        (("calibrate", "-o", "host.yaml", "--threads", "0"), "write numbers from 1 to 1024"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, arguments, said):
    pytest.importorskip("torch")
    done = trainsoc(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def train(steps):
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Dropout(0.3))
    optimizer = torch.optim.Adam(model.parameters())
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(torch.randn(16, 8)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.torch
def test_timing_changes_no_loss_and_not_what_was_captured():
    pytest.importorskip("torch")
    from workloads.capture import capture

    plain = train(9)
    with capture(steps=3) as untimed:
        train(9)
    with capture(steps=3, time=True) as recording:
        losses = train(9)
    trace = recording.trace
    assert losses == plain
    assert trace.digest == untimed.trace.digest
    assert untimed.trace.timings == ()
    timing = trace.timings[trace.typical_step]
    assert len(timing.ops_ps) == len(trace.steps[trace.typical_step].ops)
    assert all(ps > 0 for ps in timing.ops_ps)
    assert 0 < timing.step_ps < 10**12


@pytest.mark.torch
@pytest.mark.skipif(sys.platform != "linux", reason="its heap is that of glibc")
def test_a_timed_capture_fetches_no_page_twice():
    """In a process of its own: else 16 MiB a step may go back to the system, and often do."""
    pytest.importorskip("torch")
    program = (
        "import resource, torch\n"
        "from workloads.capture import capture\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "def step(): [torch.ones(2**19) for _ in range(8)]\n"
        "def new(): step(); before = faults(); step(); return faults() - before\n"
        "with capture(time=True): pass\n"
        "print(min(new() for _ in range(3)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 20


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A description of this machine, on one and two threads, if other programs let it be."""
    pytest.importorskip("torch")
    path = tmp_path_factory.mktemp("calibrated") / "host.yaml"
    done = trainsoc("calibrate", "-o", path, "--threads", "1,2")
    if "too busy to measure" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", calibration.NAMES)
def test_a_calibrated_cpu_predicts_networks_that_it_was_not_calibrated_on(
    host, name, threads, capsys
):
    """A whole step within 15 %, phases of 5 % of it or more within 25 %, of medians of 24 steps."""
    if threads > (os.cpu_count() or 1):
        pytest.skip("this machine has fewer cores")
    found = calibration.measure_twice(host, name, threads)
    with capsys.disabled():
        print(calibration.table(name, found))
    assert calibration.within(calibration.errors(found))
