"""A command that is killed, or that finds the disk full, damages nothing that was finished.

Each command first writes its files whole. Then it is killed at random moments, or may write only so
many bytes, and what was there must read as before, or as the new whole.
"""

import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from simulator.results.records import read_records
from simulator.results.result import read_result
from simulator.results.step import read_step
from simulator.sweeps.folder import read_table
from simulator.trace.storage import load_trace
from tests.builders import small_trace
from tests.system.import_samples import sample

pytestmark = pytest.mark.slow
KILLS = 8
SWEEP = ("--set", "accelerator.rows=8,16,32", "--workers", "1")


class Writer(NamedTuple):
    """A command line, and what reads the files that it writes."""

    argv: tuple[str, ...]
    read: object


def read_run(folder):
    read_result(folder)
    read_step(folder)
    read_records(folder)


@pytest.fixture(params=["import", "run", "sweep"])
def writer(request, tmp_path):
    trace, out = str(small_trace(tmp_path)), tmp_path / "out"
    writers = {
        "import": Writer(("import", "auto", str(sample("lenet.et")), "-o", str(out)), load_trace),
        "run": Writer(("run", "edge-16x16", trace, "-o", str(out)), read_run),
        "sweep": Writer(("sweep", "edge-16x16", trace, *SWEEP, "-o", str(out)), read_table),
    }
    chosen = writers[request.param]
    began = time.monotonic()
    assert run(chosen).returncode == 0
    return chosen, out, time.monotonic() - began


def run(writer, **how):
    command = [sys.executable, "-m", "simulator.cli", *writer.argv]
    return subprocess.run(command, capture_output=True, text=True, check=False, **how)


def test_kill_9_at_random_moments(writer):
    written, out, whole = writer
    chance = random.Random(7)
    for _ in range(KILLS):
        command = [sys.executable, "-m", "simulator.cli", *written.argv]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * chance.uniform(0.4, 1.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        written.read(out)


def test_a_disk_that_is_full_at_a_random_byte(writer):
    written, out, _ = writer
    chance = random.Random(11)
    size = max(file.stat().st_size for file in ([out] if out.is_file() else out.rglob("*.*")))
    for _ in range(KILLS):
        limit = chance.randrange(size)

        def full(limit=limit):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        ended = run(written, preexec_fn=full)
        assert ended.returncode in (0, 2), ended.stderr
        if ended.returncode:
            assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
        written.read(out)


def test_no_temporary_file_stays_behind(writer):
    _, out, _ = writer
    folder = out if out.is_dir() else out.parent
    assert not list(Path(folder).rglob("*.part"))
