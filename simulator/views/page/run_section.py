"""A run as a page shows it, from its documents."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from simulator.errors import InputError
from simulator.results.documents import AGAIN, IntervalRow, ResultDocument
from simulator.results.methods import accuracies
from simulator.results.result import Result
from simulator.results.step_documents import StepDocument
from simulator.views.page.cards import PageRun, cards
from simulator.views.page.documents import RunSection
from simulator.views.page.layer_rows import layer_rows
from simulator.views.page.price_section import price_section
from simulator.views.page.step_section import record_of, step_section
from simulator.views.page.trust import trust_section
from simulator.views.report import precisions

_OF_PHASE = ("dram_read_bytes", "dram_write_bytes", "contention_s", "row_hit_rate")
"""What a page shows of a phase beside its energy, which follows from its counts."""


class RunFolder(NamedTuple):
    """The folder of a run, read: its documents, its result summed anew from its steps.

    `hardware` is the content of hardware.json; `name` tells the run from others of a page;
    `more_command` is what its command has beside what its documents say; `ratios` are intervals of
    its time and energy over those of the run in question, where samples tell them.
    """

    label: str
    document: ResultDocument
    step: StepDocument
    result: Result
    hardware: Mapping[str, Any]
    name: str = ""
    more_command: str = ""
    ratios: Mapping[str, IntervalRow] = MappingProxyType({})


def run_section(run: RunFolder, baseline: RunFolder | None = None) -> RunSection:
    """Return a run as a page shows it; `baseline` is what its headline numbers stand beside."""
    document, record = run.document, record_of(run.step, run.result.records)
    own = PageRun(run.name, document, run.step)
    other = PageRun(baseline.name, baseline.document, baseline.step) if baseline else None
    if record is None:
        raise InputError(f"{run.label}: step.json is of another run: {AGAIN}")
    provenance: Mapping[str, Any] = {**document["provenance"]}
    return {
        "name": run.name,
        "title": f"{document['trace']} on {document['hardware']}",
        "hardware": document["hardware"],
        "description": str(run.hardware.get("description", "")),
        "trace": document["trace"],
        "method": document["method"],
        "precision": precisions(document),
        "command": f"{provenance.get('command', '')}{run.more_command}",
        "cards": cards(own, other),
        "phases": [
            {"phase": row["phase"], **{key: row[key] for key in _OF_PHASE if key in row}}
            for row in document["phases"]
        ],
        "layers": layer_rows(document),
        "epochs": [
            {key: float(row[key]) for key in ("epoch", "latency_s", "energy_j")}  # type: ignore[arg-type]
            for row in document["epochs"]
        ],
        "accuracy": accuracies(document),
        "memory": {key: int(size) for key, size in document["memory"].items()},  # type: ignore[call-overload]
        "step": step_section(run.step, record, run.hardware),
        "prices": price_section(run.result),
        "trust": trust_section(document, run.hardware),
    }
