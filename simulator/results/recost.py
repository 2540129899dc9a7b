"""A finished run at other prices: its counts and times as they were, its energies anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from simulator.energy.area import Area
from simulator.energy.boundary import Boundary
from simulator.energy.fpga import Resources
from simulator.energy.price_file import EnergyTable, read_table, table_text, with_table
from simulator.energy.prices import Prices
from simulator.errors import InputError
from simulator.files.writing import write_bytes, write_text
from simulator.results.documents import AreaRow, ResultDocument
from simulator.results.metrics import metric
from simulator.results.records import read_records, write_records, write_repriced
from simulator.results.result import MACHINE, STEP, Identity, Result, read_result, write_result
from simulator.results.samples import discard_samples
from simulator.results.step import read_step, recost_step

PRICES = "energy.yaml"


def recost(directory: Path, table: EnergyTable, boundary: Boundary | None = None) -> Result:
    """Return the run in `directory` as it costs with the prices of `table` laid over its own, and
    within another `boundary` if there is one.

    A placement that the run chose for least energy stays, even where another now takes less.
    Raises InputError when `directory` holds no whole run.
    """
    document = read_result(directory)
    records = read_records(directory)
    prices = with_table(_prices_of(directory, document, records.prices), table)
    prices = prices.at(boundary or prices.boundary)
    result = Result(
        lambda: _identity(document, prices),
        records.at(prices),
        prices,
        records.macs_per_s,
        cast(Mapping[str, int], document["memory"]),
        tuple(map(_area, document.get("area", ()))),
        Resources(**document["fpga"]) if "fpga" in document else None,
    )
    latency = metric("latency_ps")
    if latency.of(result.total) != latency.of(document["total"]):
        raise InputError(
            f"{directory}: its files are of different runs: run `trainsoc run -o` again"
        )
    return result


def save_costs(result: Result, directory: Path) -> None:
    """Write what a later recost needs into `directory`: the steps of a run and its prices."""
    write_records(directory, result)
    write_text(directory / PRICES, table_text(result.prices))


def save_recosted(source: Path, result: Result, directory: Path, *, ops: bool = False) -> None:
    """Write `result`, of the run in `source`, as a folder of its own into `directory`."""
    hardware = _file(source, "hardware.json").read_bytes()
    discard_samples(directory)  # of a run at other prices
    for name in (MACHINE, STEP):  # of another run: these prices are no machine's
        (directory / name).unlink(missing_ok=True)
    step = recost_step(read_step(source), result.prices)
    write_bytes(directory / "hardware.json", hardware)
    write_text(directory / "step.json", json.dumps(step) + "\n")
    write_repriced(source, directory, result.prices)
    write_text(directory / PRICES, table_text(result.prices))
    write_result(directory / "result.json", result, ops=ops)


def _file(directory: Path, name: str) -> Path:
    path = directory / name
    if not path.is_file():
        raise InputError(f"{directory}: no {name} here: run `trainsoc run -o` again")
    return path


def _prices_of(directory: Path, document: ResultDocument, copy: Prices) -> Prices:
    """Return all prices of the run in `directory`. Raises InputError if they changed since.

    The file of steps has a `copy` of them. Nearly always the file of prices still says the same:
    then it is not parsed as YAML, which would add a third to the time of all else.
    """
    path = _file(directory, PRICES)
    untouched = path.read_bytes() == table_text(copy).encode()
    prices = copy if untouched else with_table(copy, read_table(path))
    if prices.digest != document["provenance"]["energy_digest"]:
        raise InputError(f"{path}: no longer the prices of this run: edit a copy for --energy")
    return prices


def _area(part: AreaRow) -> Area:
    low, high = part["low_mm2"], part["high_mm2"]
    return Area(part["component"], part["mm2"], low, high, part["source"], part["confidence"])


def _identity(document: ResultDocument, prices: Prices) -> Identity:
    return Identity(
        document["hardware"],
        document["trace"],
        document["method"],
        document["fidelity"],
        {**document["precision"]},
        {**document["provenance"], "energy_digest": prices.digest, **_notes(document)},
        document.get("fusion"),
        document.get("sparsity"),
    )


def _notes(document: ResultDocument) -> dict[str, list[str]]:
    """Return the notes of a run, and what of it is gone as it follows from runs at all clocks."""
    notes = list(document["provenance"].get("notes", ()))
    if "heat" in document:
        notes.append("No heat: other prices heat the die otherwise. Change the SoC and run again.")
    if "dvfs" in document:
        notes.append("No governor: it chose at other prices. Change the SoC and run again.")
    return {"notes": notes} if notes else {}
