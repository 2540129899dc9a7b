"""What a run rests on: numbers that nobody measured, and measured machines near this one."""

import csv
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any, cast

from simulator.memo import remember
from simulator.results.documents import ResultDocument
from simulator.results.uncertainty import sureness
from simulator.views.page.documents import TrustSection, UnsureRow, ValidationRow

FILE = "assets/validation.csv"
_NEAR = ("this machine", "same class of cores", "same dataflow", "same model of DRAM")
_OTHER = {"CPU": "other cores", "array": "other array", "whole SoC": "other SoC"}
_MOST = 8
_DIGESTS = ("hardware_digest", "trace_digest", "energy_digest")


def trust_section(document: ResultDocument, hardware: Mapping[str, Any]) -> TrustSection:
    """Return what a run rests on; `hardware` is the content of hardware.json."""
    provenance = cast(Mapping[str, Any], document["provenance"])
    constants = hardware.get("constants") or []
    account = document.get("uncertainty")
    origin = provenance.get("trace_origin") or {}
    return {
        "sure": sureness(document),
        "decided_by": [dict(row) for row in account["decided_by"]] if account else [],
        "unsure": list(_unsure(constants)),
        "constants": len(constants),
        "digests": {key.removesuffix("_digest"): str(provenance.get(key, "")) for key in _DIGESTS},
        "versions": {
            **{name: str(provenance.get(name, "")) for name in ("trainsoc", "simpy", "python")},
            **{f"capture: {name}": str(text) for name, text in origin.items() if len(text) < 60},
        },
        "validation": validation_rows(document["hardware"], hardware),
        "notes": list(document["provenance"].get("notes", ())),
    }


def validation_rows(name: str, hardware: Mapping[str, Any]) -> list[ValidationRow]:
    """Return measured machines that share a part with this one, the nearest first."""
    rows = [(row, _near(row, name, hardware)) for row in _validated()]
    near = sorted((pair for pair in rows if pair[1]), key=lambda pair: _rank(pair[1]))
    return [_validation(row, words) for row, words in near[:_MOST]]


@remember("validation rows", most=1)
def _validated() -> list[dict[str, str]]:
    text = files("simulator.views.page").joinpath(FILE).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _near(row: Mapping[str, str], name: str, hardware: Mapping[str, Any]) -> str:
    """Return what a measured machine has in common with this one, "" where it is nothing."""
    if row["hardware"] and row["hardware"] == name:
        return "this machine"
    part, array = row["part"], hardware.get("accelerator")
    if part == "DRAM":
        return "same model of DRAM" if (hardware.get("dram") or {}).get("device") else ""
    if part == "array":
        if not array:
            return ""
        return "same dataflow" if row["dataflow"] == array.get("dataflow") else "other array"
    if row["core"] == (hardware.get("cpu") or {}).get("core"):
        return "same class of cores"
    return _OTHER[part] if part == "CPU" else ""


def _rank(words: str) -> int:
    return _NEAR.index(words) if words in _NEAR else len(_NEAR)


def _validation(row: Mapping[str, str], near: str) -> ValidationRow:
    return {
        "machine": row["machine"],
        "what": row["what"],
        "part": row["part"],
        "rows": int(row["rows"]),
        "mean": float(row["mean"]),
        "bias": float(row["bias"]),
        "worst": float(row["worst"]),
        "near": near,
    }


def _unsure(constants: Iterable[Mapping[str, Any]]) -> Iterable[UnsureRow]:
    """Yield guesses, and whatever has a range, the guesses first."""
    for guess in (True, False):
        for row in constants:
            if (row["kind"] == "guess") is guess and (guess or row["low"] < row["high"]):
                yield {
                    "path": row["path"],
                    "value": row["value_text"],
                    "low": row["low_text"],
                    "high": row["high_text"],
                    "kind": row["kind"],
                    "source": row["source"],
                }
