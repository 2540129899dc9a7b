# ruff: noqa: E402 - without torch nothing here can be imported
"""Training in threads that start inside the capture block is captured like any other."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

torch = pytest.importorskip("torch")

from simulator.errors import InputError
from simulator.trace.trace import StepKind
from tests.catalogue import setup
from workloads.capture import capture, capture_script

pytestmark = pytest.mark.torch


def digest(work):
    """Return the digest of what `work` trains, called with a set-up of its own."""
    run = setup("sgd")
    with capture() as recording:
        work(run)
    assert set(recording.trace.origin) == {"tool", "torch", "mode"}
    return recording.trace.digest


def in_thread(run):
    thread = threading.Thread(target=run.train, args=(5,))
    thread.start()
    thread.join()


class Trainer(threading.Thread):
    """A thread with a run method of its own."""

    def __init__(self, work):
        super().__init__()
        self.work = work

    def run(self):
        self.work.train(5)


def in_subclass(run):
    thread = Trainer(run)
    thread.start()
    thread.join()


def in_pool(run):
    with ThreadPoolExecutor() as pool:
        pool.submit(run.train, 5).result()


def one_after_the_other(run):
    for steps in (3, 2):
        thread = threading.Thread(target=run.train, args=(steps,))
        thread.start()
        thread.join()


@pytest.mark.parametrize("work", [in_thread, in_subclass, in_pool, one_after_the_other])
def test_a_thread_trains_what_the_program_would(work):
    assert digest(work) == digest(lambda run: run.train(5))


def test_two_threads_at_once_keep_their_steps_apart():
    runs = [setup("sgd"), setup("convolutions 2d")]
    apart = []
    for run in runs:
        with capture() as recording:
            run.train(20)
        apart.append(recording.trace.flops_by_phase())
    with capture() as recording:
        threads = [threading.Thread(target=run.train, args=(20,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    trace = recording.trace
    assert set(trace.origin) == {"tool", "torch", "mode"}
    assert trace.count(StepKind.TRAIN) == 40
    assert trace.flops_by_phase() == {p: apart[0][p] + apart[1][p] for p in apart[0]}


def test_a_thread_from_before_the_block_is_not_captured():
    run, go, done = setup("sgd"), threading.Event(), threading.Event()

    def work():
        go.wait()
        run.train(2)
        done.set()

    threading.Thread(target=work).start()
    with capture() as recording:
        go.set()
        done.wait()
    with pytest.raises(InputError, match="in one that it started"):
        recording.save("unused")


def test_nothing_stays_behind():
    start = threading.Thread.start
    with capture():
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
    assert threading.Thread.start is start
    assert "run" not in vars(thread)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_copy_of_the_process_goes_on_by_itself():
    run = setup("sgd")
    with capture() as recording:
        run.train(1)
        with recording._threads.lock:  # as another thread may hold it
            child = os.fork()
            if not child:
                signal_alarm()
                threads = threading.Thread(target=run.train, args=(1,))
                threads.start()
                threads.join()
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        run.train(1)
    assert recording.trace.count(StepKind.TRAIN) == 2


def signal_alarm():
    """End this process if it hangs."""
    import signal

    signal.alarm(300)


SCRIPT = """
import threading
import torch

model = torch.nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

def work():
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(2, 4)).sum().backward()
        optimizer.step()

threading.Thread(target=work).start()
"""


def test_a_script_that_leaves_its_thread_running(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    assert capture_script(path).count(StepKind.TRAIN) == 4
