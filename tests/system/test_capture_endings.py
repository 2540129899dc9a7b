# ruff: noqa: E402 - without torch nothing here can be imported
"""However a captured script ends, its exit status is passed on and what it did is kept."""

import errno
import os
import random
import signal
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import simulator.files.writing
from simulator.errors import InputError
from simulator.trace.storage import load_trace, rescue_trace, save_trace
from simulator.trace.trace import StepKind
from tests.builders import StepBuilder, one_step_trace
from workloads.capture import capture, capture_script

pytestmark = pytest.mark.torch

STEP = """
import atexit, os, signal, sys, threading, time
import torch

model = torch.nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

def step():
    optimizer.zero_grad()
    model(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    print("step", flush=True)

def steps():
    for _ in range(6):
        time.sleep(0.01)
        step()

step()
"""


@pytest.fixture
def ends(tmp_path, server):
    """Run a script that does a step and then what is given; return status, stderr and trace."""

    def ends(text, *arguments):
        (tmp_path / "train.py").write_text(STEP + text)
        status, _, err = server.run(tmp_path, "capture", "train.py", "-o", "t.trace", *arguments)
        out = tmp_path / "t.trace"
        return status, err, load_trace(out) if out.exists() else None

    return ends


@pytest.mark.parametrize(
    ("text", "status", "said", "steps"),
    [
        ("", 0, "", 1),
        ("sys.exit(3)", 3, "train.py ended with exit status 3; the steps", 1),
        ("sys.exit('no data')", 1, "no data\ntrainsoc: train.py ended with exit status", 1),
        ("raise ValueError('odd')", 2, "failed at line 20: ValueError: odd; the steps", 1),
        ("os._exit(5)", 5, "ended with exit status 5; the steps", 1),
        ("os._exit(0)", 0, "", 1),
        ("threading.Thread(target=steps).start(); sys.exit(0)", 0, "", 7),
        ("threading.Thread(target=steps).start(); sys.exit(4)", 4, "status 4", 7),
        ("raise KeyboardInterrupt", 130, "train.py was interrupted; the steps", 1),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, "train.py was ended by SIGTERM; the", 1),
        ("os.kill(os.getpid(), signal.SIGHUP)", 129, "train.py was ended by SIGHUP; the", 1),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
         "os.kill(os.getpid(), signal.SIGTERM)", 7, "status 7", 1),
        ("try: os.kill(os.getpid(), signal.SIGINT); time.sleep(9)\n"
         "except KeyboardInterrupt: step()", 0, "", 2),
        ("atexit.register(step); atexit.register(lambda: 1 / 0)", 0, "ZeroDivisionError", 2),
        ("from concurrent.futures import ThreadPoolExecutor\n"
         "ThreadPoolExecutor(1).submit(steps)", 0, "", 7),
        ("sys.stdout = open('log', 'w'); os.chdir('/')", 0, "", 1),
        ("sys.stdout.close()", 0, "", 1),
    ],
)  # fmt: skip
def test_an_ending(ends, text, status, said, steps):
    found, err, trace = ends(text)
    assert (found, trace.count(StepKind.TRAIN)) == (status, steps)
    assert said in err
    assert err.count("trainsoc: ") == (1 if status else 0)


def test_an_evaluation_before_the_exit_is_kept(ends):
    text = "model.eval()\nwith torch.no_grad(): model(torch.randn(2, 4))\nsys.exit(0)"
    assert ends(text)[2].count(StepKind.EVAL) == 1


def test_handlers_run_after_the_threads_in_the_script_s_own_folder(ends, tmp_path):
    (tmp_path / "sub").mkdir()
    text = """
atexit.register(lambda: print(os.path.basename(os.getcwd()), file=sys.stderr))
atexit.register(print, "second", file=sys.stderr)
def late():
    time.sleep(0.05)
    print("thread", file=sys.stderr)
threading.Thread(target=late).start()
os.chdir("sub")
"""
    assert ends(text)[1] == "thread\nsecond\nsub\n"


def test_a_fork_that_comes_to_the_end_saves_nothing_of_its_own(ends):
    status, err, trace = ends("if os.fork() == 0: sys.exit(3)\nos.wait(); step()")
    assert (status, err, trace.count(StepKind.TRAIN)) == (0, "", 2)


# Signals at any moment


FOREVER = "while True: step()\n"
MOMENTS = random.Random(5)


def _interrupted(server, folder, number, moment, twice):
    (folder / "train.py").write_text(STEP + FOREVER)
    command = server.start(folder, "capture", "train.py", "-o", "t.trace")
    while "step" not in command.out:
        time.sleep(0.005)
    time.sleep(moment)
    os.kill(command.pid, number)
    if twice:
        time.sleep(moment / 50)
        os.kill(command.pid, number)
    assert command.wait() == 128 + number, command.err
    printed = command.out.count("step")
    assert printed <= load_trace(folder / "t.trace").count(StepKind.TRAIN) <= printed + 1
    assert "the steps before it are in t.trace" in command.err
    assert "Traceback" not in command.err
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("twice", [False, True])
def test_a_signal(server, tmp_path, number, twice):
    _interrupted(server, tmp_path, number, 0.02, twice)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", [MOMENTS.random() * 0.3 for _ in range(20)])
def test_a_signal_at_any_moment(server, tmp_path, number, moment):
    _interrupted(server, tmp_path, number, moment, twice=moment > 0.15)


def test_an_interrupt_waits_while_the_recorder_works():
    with capture() as recording:
        assert not recording.at_work
        with recording._threads.lock:
            assert recording.at_work


def test_handlers_are_as_before(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    (tmp_path / "train.py").write_text(STEP + "signal.signal(signal.SIGINT, signal.SIG_IGN)")
    capture_script(tmp_path / "train.py")
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


# Full disks


class _FullDisk:
    """A file of which only the first bytes fit on the disk, for `Path.open`."""

    def __init__(self, folder, room):
        self.folder, self.room, self.open = folder, room, Path.open

    def __call__(self, path, mode="r", **options):
        file = self.open(path, mode, **options)
        if path.parent == self.folder and "w" in mode:
            file.close()
            with self.open(path, "wb", buffering=0) as begun:
                begun.write(bytes(self.room))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return file


def _full(monkeypatch, folder, room):
    disk = _FullDisk(folder, room)
    monkeypatch.setattr(simulator.files.writing.Path, "open", lambda *a, **k: disk(*a, **k))  # noqa: PLW0108 - a method


@pytest.mark.parametrize("room", [random.Random(7).randrange(8000) for _ in range(20)])
def test_a_recording_survives_a_full_disk(tmp_path, monkeypatch, room):
    builder = StepBuilder()
    builder.gemm(4, 4, 4)
    trace, full = one_step_trace(builder, 3), tmp_path / "full"
    full.mkdir()
    save_trace(one_step_trace(builder, 1), full / "t.trace")
    (tmp_path / "spare").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spare"))
    with monkeypatch.context() as patched:
        _full(patched, full, room)
        with pytest.raises(InputError, match="no space left on the disk; what was recorded is in"):
            rescue_trace(trace, full / "t.trace")
    (spare,) = (tmp_path / "spare").iterdir()
    assert load_trace(spare) == trace
    assert [path.name for path in full.iterdir()] == ["t.trace"]
    assert load_trace(full / "t.trace").count(StepKind.TRAIN) == 1


def test_a_capture_onto_a_full_disk_says_where_the_recording_is(ends):
    text = "import resource, tempfile; tempfile.tempdir = '/dev/shm'\n"
    text += "resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))\n"
    status, err, trace = ends(text)
    assert (status, trace) == (2, None)
    assert err.startswith("trainsoc: cannot write ")
    assert "beyond the limit for files" in err
    assert "what was recorded is lost" in err
    assert err.count("\n") == 1
