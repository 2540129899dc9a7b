"""A sweep loses nothing, whatever stops it: killed workers, kill -9, Ctrl-C, a full disk."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars
import pytest
from polars.testing import assert_frame_equal

from simulator.trace.storage import save_trace
from tests.builders import StepBuilder, one_step_trace
from tests.command_line import ROOT, trainsoc

AXES = (
    "--set", "accelerator.rows=4..32:+4", "--set", "accelerator.cols=8..32:+8",
    "--set", "accelerator.scratchpad=1 KiB,32 KiB",
)  # fmt: skip
POINTS = 8 * 4 * 2
HANGS_S = 300  # after which a process that should end never will


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory):
    builder = StepBuilder()
    for size in range(20, 300, 60):  # shapes of their own, so that a point takes its time
        builder.elementwise(builder.gemm(size, 2 * size, 3 * size))
    path = tmp_path_factory.mktemp("traces") / "small.trace"
    save_trace(one_step_trace(builder, 5), path)
    return path


def words(trace_file, out, workers, *more):
    options = (*AXES, "-o", out, "--workers", workers, *more)
    return [*map(str, ("sweep", "edge-16x16", trace_file, *options))]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def started(trace_file, out, *more):
    """Start a sweep of two workers, which may be killed."""
    command = [sys.executable, "-m", "simulator.cli", *words(trace_file, out, 2, *more)]
    return subprocess.Popen(
        command, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finished(trace_file, out):
    """Run a sweep to its end in this process, and return its table."""
    done = trainsoc(*words(trace_file, out, 1))
    assert done.returncode == 0, done.stderr
    return polars.read_parquet(out / "points.parquet")


@pytest.fixture(scope="module")
def undisturbed(trace_file, tmp_path_factory):
    table = finished(trace_file, tmp_path_factory.mktemp("sweeps") / "whole")
    assert table.height == POINTS
    return table


def kept(out):
    """Return the addresses of the points that are on disk, each as often as it is there."""
    found = []
    for path in (out / "points").glob("*"):
        if path.suffix == ".parquet":
            found += polars.read_parquet(path)["point"].to_list()
        elif path.suffix == ".jsonl":
            lines = path.read_text().split("\n")
            found += [json.loads(line)["point"] for line in lines[:-1]]
    return found


def wait_for(out, number, process):
    """Wait until so many points are on disk, or the process has ended."""
    while len(kept(out)) < number and process.poll() is None:
        time.sleep(0.01)


def ends(pid):
    """Wait for the end of a process that is no child of this one; say whether it came."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], HANGS_S)[0])
    finally:
        os.close(process)


def children(pid):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listed.stdout.split()]


def workers_of(pid):
    """Return the processes that replay points, not the one that tracks resources."""
    lines = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in children(pid)}
    return [child for child, line in lines.items() if b"spawn_main" in line]


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_random_moments_nothing_is_lost_and_nothing_repeated(
    trace_file, undisturbed, tmp_path, kills
):
    out, chance = tmp_path / "sweep", random.Random(kills)
    for moment in sorted(chance.sample(range(1, POINTS - 8), kills)):
        before = set(kept(out))
        process = started(trace_file, out)
        wait_for(out, moment, process)
        workers = workers_of(process.pid)
        process.kill()
        process.communicate()
        assert before <= set(kept(out))
        for pid in workers:
            assert ends(pid), "workers stay behind"
    assert_frame_equal(finished(trace_file, out), undisturbed)
    assert len(kept(out)) == len(set(kept(out))) == POINTS


def test_a_killed_worker_loses_and_repeats_nothing_that_was_finished(
    trace_file, undisturbed, tmp_path
):
    out = tmp_path / "sweep"
    process = started(trace_file, out)
    wait_for(out, POINTS // 3, process)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    _, told = process.communicate()
    assert process.returncode == 0, told
    assert_frame_equal(polars.read_parquet(out / "points.parquet"), undisturbed)
    assert len(kept(out)) == len(set(kept(out))) == POINTS


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_stopping_is_one_sentence_and_the_same_command_goes_on(
    sent, trace_file, undisturbed, tmp_path
):
    out = tmp_path / "sweep"
    process = started(trace_file, out)
    wait_for(out, POINTS // 4, process)
    process.send_signal(sent)
    _, told = process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert len(told.strip().splitlines()) == 1
    assert "kept" in told
    assert not list(out.rglob("*.part"))
    before = kept(out)
    assert before
    assert_frame_equal(finished(trace_file, out), undisturbed)
    assert sorted(kept(out)) == sorted({*before, *kept(out)})


def test_two_sweeps_at_once_in_one_folder_do_not_hurt_each_other(trace_file, undisturbed, tmp_path):
    """... and two workers give the bits of one."""
    out = tmp_path / "sweep"
    both = [started(trace_file, out), started(trace_file, out, "--set", "cpu.cores=2")]
    for process in both:
        _, told = process.communicate()
        assert process.returncode == 0, told
    assert len(kept(out)) == 2 * POINTS
    assert_frame_equal(finished(trace_file, out), undisturbed)
    assert len(kept(out)) == 2 * POINTS


def test_a_full_disk_is_one_sentence_and_finished_points_stay(trace_file, undisturbed, tmp_path):
    out = tmp_path / "sweep"
    limited = (
        "import resource, signal, sys; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)); "
        "from simulator.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, *words(trace_file, out, 1)], env=environment(), text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot be written" in done.stderr
    before = set(kept(out))
    assert before
    assert not list(out.rglob("*.part"))
    assert_frame_equal(finished(trace_file, out), undisturbed)
    assert before <= set(kept(out))
