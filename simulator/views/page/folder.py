"""Reading the folder of a run for a page."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.counterfactuals import explain
from simulator.energy.price_file import EnergyTable
from simulator.errors import InputError
from simulator.results.recost import recost
from simulator.results.result import MACHINE, STEP, read_result
from simulator.results.samples import compared
from simulator.results.step import read_step
from simulator.units import AJ_PER_J
from simulator.views.page.documents import ChangeRow
from simulator.views.page.run_section import RunFolder

BASELINE = "baseline"


def read_runs(directory: Path, first: Path | None = None) -> list[RunFolder]:
    """Return the run in `directory`, and its baseline if it has one.

    `first` is the run in question, if that is another one. Raises InputError where a file is
    missing or is none of a run.
    """
    label, below = directory.name or str(directory), directory / BASELINE
    if first:
        return [_read(directory, label)._replace(ratios=compared(first, directory))]
    run = _read(directory, label)
    if not below.is_dir():
        return [run]
    other = _read(below, f"{label}, {BASELINE}")
    command = f" --baseline {shlex.quote(other.document['hardware'])}"
    ratios = compared(directory, below)
    return [run._replace(more_command=command), other._replace(ratios=ratios)]


def _read(folder: Path, label: str) -> RunFolder:
    document = read_result(folder)
    return RunFolder(
        label,
        document,
        read_step(folder),
        recost(folder, EnergyTable()),
        _hardware(folder),
    )


def _hardware(folder: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads((folder / "hardware.json").read_bytes())
        return content
    except (OSError, ValueError):
        raise InputError(
            f"{folder}: no hardware.json that can be read: run `trainsoc run -o` again"
        ) from None


def simulated_changes(directory: Path) -> list[ChangeRow]:
    """Return what a step of the run in `directory` would take and cost with one thing different.

    Empty where the folder lacks the run's inputs, as that of a recosted run does.
    """
    if not all((directory / name).is_file() for name in (MACHINE, STEP)):
        return []
    return [
        {
            "name": each.name,
            "setting": each.setting,
            "step_ps": each.time_ps,
            "energy_j": each.energy_aj / AJ_PER_J,
        }
        for each in explain(directory).changes
    ]
