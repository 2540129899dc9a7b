"""A sweep on a real dask scheduler with worker processes on the loopback."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars
import pytest
from polars.testing import assert_frame_equal

from simulator import sweep
from simulator.errors import InputError
from simulator.sweeps import executors
from tests.builders import StepBuilder, one_step_trace

pytest.importorskip("distributed")

ROOT = Path(__file__).parents[2]
SPACE = {
    "accelerator.rows": "4..32:+4",
    "accelerator.cols": "8..32:x2",
    "accelerator.scratchpad": ["1 KiB", "32 KiB"],
}
POINTS = 8 * 3 * 2


@pytest.fixture(scope="module")
def trace():
    builder = StepBuilder()
    for size in range(20, 300, 60):
        builder.elementwise(builder.gemm(size, 2 * size, 3 * size))
    return one_step_trace(builder, 5)


@pytest.fixture(scope="module")
def undisturbed(trace):
    return sweep(SPACE, trace, workers=1, quiet=True)


def dask(*words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *words], env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def started_scheduler():
    """Return the process of a scheduler on a free port of the loopback, and its address."""
    process = dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    address = None
    for line in process.stderr:
        found = re.search(r"Scheduler at:\s*(tcp://\S+)", line)
        if found:
            address = found[1]
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    assert address, "the scheduler did not start"
    return process, address


@pytest.fixture
def scheduler():
    process, address = started_scheduler()
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture
def two_workers(scheduler):
    """Two worker processes without a nanny: who is killed stays dead."""
    words = ("worker", scheduler, "--nthreads", "1", "--no-nanny", "--no-dashboard")
    processes = [dask(*words) for _ in range(2)]
    for process in processes:
        threading.Thread(target=process.stderr.read, daemon=True).start()
    yield processes
    for process in processes:
        process.terminate()
        process.wait(10)


def finished(out):
    return sum(path.read_text().count("\n") for path in (out / "points").glob("*.jsonl"))


def test_a_cluster_gives_the_same_bits_and_survives_a_killed_worker(
    scheduler, two_workers, trace, undisturbed, tmp_path
):
    out = tmp_path / "sweep"

    def kill_half_way():
        while finished(out) < POINTS // 2:
            time.sleep(0.01)
        killed_at.append(finished(out))
        two_workers[0].send_signal(signal.SIGKILL)

    killed_at = []
    killer = threading.Thread(target=kill_half_way, daemon=True)
    killer.start()
    table = sweep(SPACE, trace, out, cluster=scheduler, quiet=True)
    killer.join()
    assert POINTS // 2 <= killed_at[0] < POINTS, "killed too late to matter"
    assert_frame_equal(table, undisturbed)
    rows = polars.concat(map(polars.read_parquet, (out / "points").glob("*.parquet")))
    assert rows.height == rows["point"].n_unique() == POINTS


def test_a_scheduler_that_ends_is_one_sentence_and_finished_points_stay(
    trace, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setattr(executors, "SECONDS_TO_CONNECT", 2)
    process, address = started_scheduler()
    worker = dask("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
    threading.Thread(target=worker.stderr.read, daemon=True).start()
    out = tmp_path / "sweep"

    def end_half_way():
        while finished(out) < POINTS // 2:
            time.sleep(0.01)
        process.kill()

    killer = threading.Thread(target=end_half_way, daemon=True)
    killer.start()
    with pytest.raises(InputError, match="finished points are kept"):
        sweep(SPACE, trace, out, cluster=address, quiet=True)
    killer.join()
    worker.kill()
    kept = polars.concat(map(polars.read_parquet, (out / "points").glob("*.parquet")))
    assert POINTS // 2 <= kept.height < POINTS
    assert_frame_equal(sweep(SPACE, trace, out, workers=1, quiet=True), undisturbed)


def test_an_unreachable_scheduler_is_one_sentence_after_one_bounded_attempt(trace, monkeypatch):
    import distributed

    timeouts_s = []

    class Client(distributed.Client):
        def __init__(self, *arguments, timeout, **options):
            timeouts_s.append(timeout)
            super().__init__(*arguments, timeout=0.1, **options)

    monkeypatch.setattr(distributed, "Client", Client)
    with pytest.raises(InputError, match="no dask scheduler answers"):
        sweep(SPACE, trace, cluster="tcp://127.0.0.1:9", quiet=True)
    assert len(timeouts_s) == 1
    assert 0 < timeouts_s[0] < 10


@pytest.mark.parametrize("address", ["nowhere", "tcp://no.such.host.invalid:8786", "http://x:1"])
def test_a_wrong_address_is_one_sentence(trace, address, monkeypatch):
    monkeypatch.setattr(executors, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(InputError, match="no dask scheduler answers"):
        sweep(SPACE, trace, cluster=address, quiet=True)


def test_a_worker_with_another_trainsoc_is_refused(trace):
    from dataclasses import replace

    from simulator.sweeps.axis import read_axes
    from simulator.sweeps.executors import Here
    from simulator.sweeps.points import Points
    from simulator.sweeps.store import MemoryStore
    from simulator.sweeps.study import study

    asked = study("edge-16x16", read_axes({"accelerator.rows": [8]}), trace)
    job = Points(asked, MemoryStore()).job(asked.space.point(0))
    other = replace(asked, training=replace(asked.training, code="0.0 of another place"))
    with pytest.raises(InputError, match="install the same"):
        Here(other).submit([job]).result()
