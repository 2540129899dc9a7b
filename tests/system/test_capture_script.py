# ruff: noqa: E402 - without torch nothing here can be imported
"""A user's script runs unchanged under capture; what goes wrong is said in one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from simulator.errors import InputError
from simulator.trace.storage import load_trace, save_trace
from simulator.trace.trace import StepKind
from workloads.capture import ScriptFailed, capture_script

pytestmark = pytest.mark.torch

TRAINING = """
import sys
import torch
from sizes import SIZE

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(SIZE, 3), torch.nn.Dropout(0.2))
optimizer = torch.optim.Adam(model.parameters())
data = [(torch.randn(SIZE), i % 3) for i in range(10)]
for epoch in range(int(sys.argv[1])):
    for x, y in torch.utils.data.DataLoader(data, batch_size=4, shuffle=True):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print("epoch", epoch, __name__, loss.item())
"""


@pytest.fixture
def script(tmp_path):
    def write(text):
        (tmp_path / "sizes.py").write_text("SIZE = 5\n")
        path = tmp_path / "train.py"
        path.write_text(text)
        return path

    yield write
    sys.modules.pop("sizes", None)


def test_a_script_runs_as_it_would_alone(script, capfd):
    path = script(TRAINING)
    command = [sys.executable, str(path), "2"]
    alone = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    trace = capture_script(path, ["2"])
    assert capfd.readouterr().out == alone
    assert "__main__" in alone
    assert trace.name == "train"
    assert trace.epochs == 2
    assert trace.count(StepKind.TRAIN) == 6
    assert trace.parameters == 18


def test_the_surroundings_are_restored(script):
    before = list(sys.argv), list(sys.path), sys.modules["__main__"]
    capture_script(script(TRAINING), ["1"])
    assert (sys.argv, sys.path, sys.modules["__main__"]) == before


def test_a_failing_script_keeps_what_it_did(script):
    path = script(TRAINING + "\nraise ValueError('no more\\ndata')\n")
    with pytest.raises(ScriptFailed) as caught:
        capture_script(path, ["1"])
    line = len(path.read_text().splitlines())
    assert str(caught.value) == f"{path} failed at line {line}: ValueError: no more data"
    assert caught.value.trace.count(StepKind.TRAIN) == 3


BREAKS = """
class Breaks(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ArithmeticError("no gradient today")

"""
STEP = """
optimizer.zero_grad()
loss = Breaks.apply(model(torch.randn(4, SIZE))).sum()
"""


def test_a_script_that_fails_inside_backward(script):
    path = script(TRAINING + BREAKS + STEP + "loss.backward()\n")
    with pytest.raises(ScriptFailed) as caught:
        capture_script(path, ["1"])
    line = path.read_text().splitlines().index('        raise ArithmeticError("no gradient today")')
    said = f"{path} failed at line {line + 1}: ArithmeticError: no gradient today"
    assert str(caught.value) == said
    trace = caught.value.trace
    assert trace.count(StepKind.TRAIN) == 3
    assert set(trace.origin) == {"tool", "torch", "mode"}


def test_a_script_that_survives_an_error_inside_backward(script):
    survived = "try:\n    loss.backward()\nexcept ArithmeticError:\n    pass\n"
    plain = capture_script(script(TRAINING), ["2"])
    ending = TRAINING.split("for epoch")[1]
    trace = capture_script(
        script(TRAINING + BREAKS + STEP + survived + "for epoch" + ending), ["1"]
    )
    assert trace.count(StepKind.TRAIN) == 6
    for phase in ("wgrad", "dgrad"):
        assert trace.flops_by_phase().get(phase) == plain.flops_by_phase().get(phase)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_package", "at line 1: ModuleNotFoundError: No module named"),
        ("x = (", "at line 1 of"),
        ("import sys; sys.exit(3)", "ended with exit status 3"),
        ("import sys; sys.exit('no data')", "ended with exit status no data"),
    ],
)
def test_a_script_that_fails_early_has_no_trace(script, text, said):
    with pytest.raises(ScriptFailed, match=said) as caught:
        capture_script(script(text))
    assert caught.value.trace is None
    assert "\n" not in str(caught.value)


def test_exit_status_zero_is_no_failure(script):
    trace = capture_script(script(TRAINING + "\nsys.exit(0)\n"), ["1"])
    assert trace.count(StepKind.TRAIN) == 3


def test_a_script_without_a_network_is_refused(script):
    with pytest.raises(InputError, match="without an optimizer step or a call of a network"):
        capture_script(script("import torch; print(torch.ones(1))"))


def test_a_missing_script(tmp_path):
    with pytest.raises(InputError, match="no script at"):
        capture_script(tmp_path / "none.py")
    with pytest.raises(InputError, match="no script at"):
        capture_script(tmp_path)


def test_a_script_has_the_garbage_collector_that_it_would_alone(script, tmp_path, server):
    thresholds = "import gc\nprint(gc.get_threshold())\n"
    path = script(thresholds + TRAINING)
    command = [sys.executable, "-c", thresholds]
    alone = subprocess.run(command, capture_output=True, text=True, check=True)
    done = server.run(tmp_path, "capture", path, "-o", tmp_path / "a.trace", "--", 1)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == alone.stdout.splitlines()[0]


def test_a_process_with_another_hash_seed_writes_the_same_trace(script, tmp_path):
    path, here, there = script(TRAINING), tmp_path / "here.trace", tmp_path / "there.trace"
    program = (
        "import sys; from workloads.capture import capture_script as c;"
        "from simulator.trace.storage import save_trace as s; s(c(sys.argv[1], ['2']), sys.argv[2])"
    )
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", program, path, there], env=environment, check=True)
    save_trace(capture_script(path, ["2"]), here)
    assert there.read_bytes() == here.read_bytes()
    assert load_trace(here).count(StepKind.TRAIN) == 6
