# ruff: noqa: E402 - without torch nothing here can be imported
"""Python processes of a captured script that train are recorded too; others are left alone."""

import json
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from simulator.cli.script import numbered
from simulator.trace.storage import load_trace
from simulator.trace.trace import StepKind

pytestmark = pytest.mark.torch

WORK = """
import multiprocessing, os, subprocess, sys
import torch

def work(rank, steps=3):
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps + rank):
        optimizer.zero_grad()
        model(torch.randn(2, 4)).sum().backward()
        optimizer.step()

class Data(torch.utils.data.Dataset):
    resize = torch.nn.Linear(4, 4)
    def __len__(self): return 8
    def __getitem__(self, index): return self.resize(torch.randn(4)).detach()

def start(method):
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=work, args=(rank,)) for rank in range(2)]
    for process in processes: process.start()
    for process in processes: process.join()

def load(method):
    options = dict(num_workers=1, multiprocessing_context=method)
    for batch in torch.utils.data.DataLoader(Data(), 4, **options):
        assert os.listdir(os.environ["TRAINSOC_CHILDREN"]) == ["settings.json"]

if __name__ == "__main__":
"""


@pytest.fixture
def captured(server, tmp_path):
    """Capture a script's last line; return status, stderr and the training steps of each trace."""

    def captured(line):
        (tmp_path / "train.py").write_text(f"{WORK}    {line}\n")
        status, _, err = server.run(tmp_path, "capture", "train.py", "-o", "t.trace")
        traces = {path.name: load_trace(path) for path in tmp_path.glob("*.trace")}
        return status, err, {name: t.count(StepKind.TRAIN) for name, t in traces.items()}

    return captured


def test_forked_processes(captured):
    status, err, steps = captured("start('fork')")
    assert (status, steps) == (0, {"t.trace": 3, "t.1.trace": 4})
    assert err == "trainsoc: traces of processes that train.py started: t.trace, t.1.trace\n"


def test_the_script_and_its_children(captured):
    steps = captured("work(2); start('fork')")[2]
    assert steps == {"t.trace": 5, "t.1.trace": 3, "t.2.trace": 4}


def test_a_worker_of_a_data_loader_is_left_alone(captured):
    assert captured("work(0); load('fork')") == (0, "", {"t.trace": 3})


def test_a_process_that_starts_python(captured, tmp_path):
    (tmp_path / "simulator.py").write_text("")
    (tmp_path / "child.py").write_text("import simulator, train; train.work(0)")
    status, _, steps = captured("subprocess.run([sys.executable, 'child.py'], check=True)")
    assert (status, steps) == (0, {"t.trace": 3})


def test_a_process_that_cannot_be_recorded_is_named(captured):
    line = "subprocess.run([sys.executable, '-I', '-c', 'sum(range(9999999))'], check=True)"
    status, err, steps = captured(line)
    assert (status, steps) == (2, {})
    assert "a call of a network: if one of the processes that it ran trains, capture" in err


def test_every_python_process_keeps_its_own_sitecustomize(tmp_path):
    from workloads.capture.children import Children

    (tmp_path / "sitecustomize.py").write_text("import sys; sys.theirs = True")
    shown = "import json, sys, sitecustomize as s\n"
    shown += "print(json.dumps([sys.theirs, s.__file__, sys.path]))"
    with Children(1, False).followed():
        paths = os.environ["PYTHONPATH"]
        environment = os.environ | {"PYTHONPATH": f"{paths}{os.pathsep}{tmp_path}"}
        command = [sys.executable, "-c", shown]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    theirs, file, path = json.loads(done.stdout)
    assert (theirs, file) == (True, str(tmp_path / "sitecustomize.py"))
    assert not any("trainsoc" in entry and entry.endswith("children") for entry in path)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_started_anew(captured, method):
    assert captured(f"start('{method}')")[2] == {"t.trace": 3, "t.1.trace": 4}


@pytest.mark.slow
def test_a_worker_started_anew_is_left_alone(captured):
    assert captured("work(0); load('spawn')") == (0, "", {"t.trace": 3})


@pytest.mark.slow
def test_ranks_of_torchrun(server, tmp_path):
    text = """
import torch, torch.distributed as dist
from train import work
dist.init_process_group("gloo")
work(dist.get_rank())
dist.destroy_process_group()
"""
    (tmp_path / "train.py").write_text(WORK + "    pass\n")
    (tmp_path / "ddp.py").write_text(text)
    launch = ("capture", "-o", "t.trace", "-m", "torch.distributed.run", "--", "--standalone")
    status, _, err = server.run(tmp_path, *launch, "--nproc_per_node", "2", "ddp.py")
    assert status == 0, err
    steps = [load_trace(tmp_path / name).count(StepKind.TRAIN) for name in ("t.trace", "t.1.trace")]
    assert steps == [3, 4]


@pytest.mark.parametrize(
    ("name", "second"),
    [("run.trace", "run.1.trace"), ("run", "run.1"), ("a.b.trace", "a.b.1.trace"), (".t", ".t.1")],
)
def test_further_traces_are_numbered(name, second):
    assert numbered(name, 1) == second
