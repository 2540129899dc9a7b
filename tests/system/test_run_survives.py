"""A run that is killed leaves no file of its folder, or a whole one."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from simulator.errors import InputError
from simulator.results.records import read_records
from simulator.results.result import read_result
from simulator.results.step import read_step
from tests.builders import small_trace

pytestmark = pytest.mark.slow
READERS = {"result.json": read_result, "step.json": read_step, "records.parquet": read_records}


def test_kill_9_at_any_moment_damages_nothing(tmp_path):
    """The later a kill, the more files there are: half of them strike while files are written."""
    trace = small_trace(tmp_path)
    chance = random.Random(7)
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "simulator.cli",
        "run",
        "edge-16x16",
        str(trace),
        "-o",
        str(out),
    ]
    began = time.monotonic()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    whole = time.monotonic() - began
    for _ in range(8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * chance.uniform(0.5, 1.1))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for name, read in READERS.items():
            assert (out / name).is_file()
            read(out)
        assert json.loads((out / "hardware.json").read_text())


def test_what_a_killed_run_has_not_written_is_asked_for(tmp_path):
    with pytest.raises(InputError, match="run `trainsoc run -o` first"):
        read_result(tmp_path)
