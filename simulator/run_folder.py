"""A run in a folder: its result, prices, steps and inputs."""

import json
from contextlib import suppress
from pathlib import Path

from simulator.files.writing import write_text
from simulator.replay import Replay
from simulator.results.constants import constants_document
from simulator.results.recost import save_costs
from simulator.results.result import MACHINE, STEP, Result, write_result
from simulator.results.samples import discard_samples
from simulator.trace.storage import save_trace


def save_run(replay: Replay, result: Result, directory: Path, *, ops: bool = False) -> None:
    """Write result, prices, steps, inputs and one step over time into `directory`."""
    discard_samples(directory)
    write_text(directory / MACHINE, json.dumps(replay.hardware.as_text(), indent=1) + "\n")
    save_trace(replay.typical_trace, directory / STEP)
    constants = {"constants": constants_document(replay.hardware)}
    resolved = json.dumps(replay.hardware.plain() | constants, indent=1)
    write_text(directory / "hardware.json", resolved + "\n")
    write_text(directory / "step.json", json.dumps(replay.typical_step()) + "\n")
    save_costs(result, directory)
    write_result(directory / "result.json", result, ops=ops)


def discard_run(directory: Path) -> None:
    """Remove what an earlier run left in `directory`, so that nothing is compared with it."""
    discard_samples(directory)
    files = ("hardware.json", "step.json", "records.parquet", "energy.yaml", "result.json")
    for name in (*files, MACHINE, STEP):
        with suppress(OSError):
            (directory / name).unlink()
    with suppress(OSError):
        directory.rmdir()
