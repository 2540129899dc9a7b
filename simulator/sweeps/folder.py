"""The folder of a sweep: the request, the points that are finished, and the table of them."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.code import version_of
from simulator.errors import InputError
from simulator.files.parquet import read_columns
from simulator.files.writing import write_text
from simulator.files.yaml import yaml_text
from simulator.sweeps.exploration import Exploration
from simulator.sweeps.parts import misfit
from simulator.sweeps.request import SweepRequest, read_request
from simulator.sweeps.sampled import SAMPLES
from simulator.sweeps.store import write_frame

if TYPE_CHECKING:
    import polars

SWEEP = "sweep.yaml"
TABLE = "points.parquet"
_STORE = 1  # how points are kept in a folder


def request_in(folder: Path) -> SweepRequest:
    """Return the request of the sweep in `folder`; raises InputError where there is none."""
    if not (folder / SWEEP).is_file():
        raise InputError(
            f"{folder}: no {SWEEP} here: name the hardware and the trace, such as "
            f"`trainsoc sweep edge-16x16 lenet_digits --set accelerator.rows=8,16 -o {folder}`"
        )
    request = read_request(folder / SWEEP)
    _check(folder, request)
    return request


def begin(folder: Path, study: Exploration) -> None:
    """Write the request of the sweep into `folder`.

    Raises InputError where another trainsoc has left its points, which stay as they are.
    """
    if (folder / SWEEP).is_file():
        _check(folder, read_request(folder / SWEEP))
    entries = study.request.model_dump(exclude_defaults=True)
    entries |= {
        **({} if study.request.scenario else {"hardware": study.request.hardware}),
        "trainsoc": version_of("trainsoc"),
        "store": _STORE,
    }
    write_text(folder / SWEEP, yaml_text(entries))
    resolved = json.dumps(study.resolved, indent=1)
    name = "resolved.json" if study.request.scenario else "hardware.json"
    write_text(folder / name, resolved + "\n")


def finish(folder: Path, table: "polars.DataFrame") -> Path:
    """Write the table of the sweep; return the file.

    Points that other sweeps left in the folder are not in it: they stay for when they are asked
    for again.
    """
    write_frame(table, folder / TABLE)
    return folder / TABLE


def read_table(folder: Path) -> "polars.DataFrame":
    """Return the table of the sweep in `folder`.

    Raises InputError where none is finished, and where a value is none that a table can have.
    """
    path = folder / TABLE
    if not path.is_file():
        raise InputError(
            f"{folder}: no {TABLE} here: `trainsoc sweep -o {folder}` finishes a sweep that stopped"
        )
    fix = f"`trainsoc sweep -o {folder}` writes it again"
    table = read_columns(path, None, fix)
    wrong = misfit(table, ("trace", "method", "baseline", "feasible"))
    if wrong:
        raise InputError(f"{path}: {wrong}: {fix}")
    return table


def write_csv(table: "polars.DataFrame", path: Path) -> None:
    """Write `table` as CSV in one piece, without the samples of points.

    Raises InputError when it cannot be written.
    """
    text = io.StringIO()
    table.drop(SAMPLES, strict=False).write_csv(text)
    write_text(path, text.getvalue())


def _check(folder: Path, request: SweepRequest) -> None:
    ours = version_of("trainsoc")
    if request.store not in (None, _STORE) or request.trainsoc not in (None, ours):
        raise InputError(
            f"{folder}: its points are of trainsoc {request.trainsoc} (store {request.store}), "
            f"this is {ours} (store {_STORE}): choose another folder; they stay as they are"
        )
