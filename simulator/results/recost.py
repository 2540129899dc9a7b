"""A finished run at other prices: its counts and times as they were, its energies anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from simulator.energy.area import Area
from simulator.energy.price_file import EnergyTable, read_table, table_text, with_table
from simulator.energy.prices import Prices
from simulator.errors import InputError
from simulator.files.writing import write_bytes, write_text
from simulator.results.documents import AreaRow, ResultDocument
from simulator.results.metrics import metric
from simulator.results.records import read_records, write_records, write_repriced
from simulator.results.result import Identity, Result, read_result, write_result
from simulator.results.samples import discard_samples
from simulator.results.step import read_step, recost_step

PRICES = "energy.yaml"


def recost(directory: Path, table: EnergyTable) -> Result:
    """Return the run in `directory` as it costs with the prices of `table` laid over its own.

    Where the run had searched a placement for least energy, it stays the one found then.
    Raises InputError when `directory` holds no whole run.
    """
    document = read_result(directory)
    records = read_records(directory)
    prices = with_table(_paid(directory, document, records.paid), table)
    result = Result(
        _identity(document, prices),
        records.at(prices),
        prices,
        records.macs_per_s,
        cast(Mapping[str, int], document["memory"]),
        tuple(map(_area, document.get("area", ()))),
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
    hardware = _kept(source, "hardware.json").read_bytes()
    discard_samples(directory)  # of a run at other prices
    step = recost_step(read_step(source), result.prices)
    write_bytes(directory / "hardware.json", hardware)
    write_text(directory / "step.json", json.dumps(step) + "\n")
    write_repriced(source, directory, result.prices)
    write_text(directory / PRICES, table_text(result.prices))
    write_result(directory / "result.json", result, ops=ops)


def _kept(directory: Path, name: str) -> Path:
    path = directory / name
    if not path.is_file():
        raise InputError(f"{directory}: no {name} here: run `trainsoc run -o` again")
    return path


def _paid(directory: Path, document: ResultDocument, kept: Prices) -> Prices:
    """Return the prices of the run in `directory`, all of them as it left them.

    They are `kept` with its steps too, so that a file of prices that was not touched since, which
    is nearly every one, need not be read as YAML, at a third of what all else takes.
    """
    path = _kept(directory, PRICES)
    untouched = path.read_bytes() == table_text(kept).encode()
    prices = kept if untouched else with_table(kept, read_table(path))
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
        {**document["provenance"], "energy_digest": prices.digest},
    )
