"""A family of real networks: are its members what their parameters say, and swept as such?"""

import json
import signal
import subprocess
import sys
import time

import polars
import pytest
from polars.testing import assert_frame_equal

pytest.importorskip("torch")

from simulator import simulate
from simulator.errors import InputError
from simulator.trace.op import Phase
from tests.command_line import trainsoc
from tests.system.test_sweep_survives import environment
from workloads.models import FAMILIES, capture_model, model_of
from workloads.recipes.network_digits import train_network

FAMILY = FAMILIES["cnn_digits"]
pytestmark = pytest.mark.torch
AXES = ("--set", "model.depth=1,4", "--set", "model.width=8,24", "--set", "accelerator.rows=4,8")


def _sides(depth: int) -> list[int]:
    """Return the side of the input of each convolution: half after every second one."""
    return [max(1, 8 >> (number // 2)) for number in range(depth)]


@pytest.mark.parametrize(("depth", "width", "kernel"), [(1, 24, 1), (2, 64, 7), (6, 40, 3)])
def test_macs_and_weights_are_those_of_the_parameters(depth, width, kernel):
    name = f"cnn_digits:depth={depth},width={width},kernel={kernel}"
    inputs = [1, *[width] * (depth - 1)]
    last = max(1, 8 >> (depth // 2)) ** 2 * width
    macs = sum(
        side * side * ins * width * kernel**2
        for side, ins in zip(_sides(depth), inputs, strict=True)
    )
    trace = capture_model(name, 3)
    ops = [op for op in trace.steps[0].ops if op.phase is Phase.FORWARD]
    assert sum(gemm.macs for op in ops for gemm in op.gemms) == 3 * (macs + last * 10)
    weights = sum(ins * width * kernel**2 + width for ins in inputs) + last * 10 + 10
    assert sum(each.numel() for each in model_of(name).build().parameters()) == weights
    assert trace.name == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cnn_digits:dept=3", "no parameter 'dept': it has depth, width, kernel"),
        ("cnn_digits:kernel=2", "kernel=2: write a whole number from 1 to 7 in steps of 2"),
        ("cnn_digits:width=x", "width=x: write a whole number from 1 to 512"),
        ("cnn_digits:width", "write it as cnn_digits:depth=4,width=24"),
        ("resnet18:depth=3", "resnet18 has no parameters"),
    ],
)
def test_other_parameters_are_refused(name, says):
    with pytest.raises(InputError) as refusal:
        model_of(name)
    assert says in str(refusal.value)


def test_the_verb_sweeps_a_family(tmp_path):
    done = trainsoc("sweep", "edge-16x16", "cnn_digits", *AXES, "-o", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["points"] == 8
    table = polars.read_parquet(tmp_path / "points.parquet")
    for row in table.iter_rows(named=True):
        trace = capture_model(f"cnn_digits:depth={row['model.depth']},width={row['model.width']}")
        result = simulate("edge-16x16", trace, {"accelerator.rows": row["accelerator.rows"]})
        assert row["latency_s"] == result.total["latency_s"]
    again = trainsoc("sweep", "-o", tmp_path)
    assert again.returncode == 0, again.stderr
    assert polars.read_parquet(tmp_path / "points.parquet").equals(table)


def test_a_wrong_parameter_ends_before_anything_runs(tmp_path):
    words = ("sweep", "edge-16x16", "cnn_digits", "--set", "model.hidden=1,2", "-o", tmp_path)
    done = trainsoc(*words)
    assert done.returncode == 2
    assert "no parameter 'hidden'" in done.stderr


@pytest.mark.slow
def test_killed_anywhere_it_loses_nothing(tmp_path):
    def command(out):
        axes = ("--set", "accelerator.cols=4..16:+4")
        words = ("sweep", "edge-16x16", "cnn_digits", *AXES, *axes, "-o", out)
        return [str(word) for word in words]

    assert trainsoc(*command(tmp_path / "whole")).returncode == 0
    out = tmp_path / "killed"
    for wait in (1, 3, 4, 5):
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator.cli", *command(out), "--workers", "2"],
            env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert trainsoc(*command(out)).returncode == 0
    tables = [polars.read_parquet(each / "points.parquet") for each in (tmp_path / "whole", out)]
    assert_frame_equal(*tables)


def test_training_is_real_and_the_same_each_time():
    name = "cnn_digits:depth=2,width=8"
    first, again = ([*train_network(name, epochs=2)] for _ in range(2))
    assert first == again
    assert first[-1].accuracy > 0.5  # five times chance
    assert first[-1].loss < first[0].loss
    with pytest.raises(InputError, match="the digits have one channel of 8 x 8"):
        train_network("cnn1x_cifar10")
