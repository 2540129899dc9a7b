"""The whole page: the verdict on a run against what it is compared with, and its sections."""

from collections.abc import Iterable, Sequence
from typing import cast

from simulator.code import version_of
from simulator.results.documents import IntervalRow, ResultDocument
from simulator.results.metric_row import Metric
from simulator.results.metrics import ENERGY, LATENCY
from simulator.results.uncertainty import interval_in
from simulator.si import scale, si, span
from simulator.trace.phases import FACTS
from simulator.views.page.documents import (
    ChangeRow,
    PageDocument,
    RunSection,
    ScenarioSection,
    SpaceSection,
)
from simulator.views.page.run_section import RunFolder, run_section
from simulator.views.report import precisions
from simulator.views.verdict import verdict_sentence


def page_document(
    runs: Sequence[RunFolder],
    spaces: Sequence[SpaceSection] = (),
    changes: Sequence[ChangeRow] = (),
    command: str = "",
    scenarios: Sequence[ScenarioSection] = (),
) -> PageDocument:
    """Return the document of a page; the first of `runs` is the one in question.

    `changes` are of its machine, each simulated; `command` makes the page again.
    """
    runs = _named(runs)
    second = runs[1] if len(runs) > 1 else None
    sections = [run_section(run, None if place else second) for place, run in enumerate(runs)]
    findings = [each["headline"] for each in scenarios]
    findings += [each for space in spaces for each in space["sentences"]]
    return {
        "title": _title(sections, spaces, scenarios),
        "verdict": list(_verdicts(runs)) if runs else findings,
        "command": command,
        "runs": sections,
        "changes": list(changes),
        "spaces": list(spaces),
        "scenarios": list(scenarios),
        "colours": {phase.value: facts.colour for phase, facts in FACTS.items()},
        "labels": {phase.value: facts.label for phase, facts in FACTS.items()},
        "trainsoc": version_of("trainsoc"),
    }


def _named(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """Return runs by the name of their SoC, with that of their folder where two are of one SoC."""
    socs = [run.document["hardware"] for run in runs]
    unique = len(set(socs)) == len(socs)
    return [
        run._replace(name=soc if unique else f"{soc} ({run.label})")
        for run, soc in zip(runs, socs, strict=True)
    ]


def _title(
    runs: Sequence[RunSection],
    spaces: Sequence[SpaceSection],
    scenarios: Sequence[ScenarioSection],
) -> str:
    if runs:
        return runs[0]["title"]
    if scenarios:
        return f"scenario: {scenarios[0]['name']}"
    return f"design space: {spaces[0]['trace']}" if spaces else "trainsoc"


def _verdicts(runs: Sequence[RunFolder]) -> Iterable[str]:
    """Yield what the first run costs, and how it compares with each of the others."""
    if not runs:
        return
    first = runs[0].document
    for other in runs[1:]:
        ours = {**first, "hardware": runs[0].name, "uncertainty": dict(other.ratios)}
        theirs = {**other.document, "hardware": other.name}
        yield verdict_sentence(cast(ResultDocument, ours), cast(ResultDocument, theirs))
    yield _cost_sentence(first)


def _cost_sentence(document: ResultDocument) -> str:
    epochs = max(1, document["epochs_simulated"])
    time, energy = (_per_epoch(document, each, epochs) for each in (LATENCY, ENERGY))
    return (
        f"An epoch of {document['trace']} on {document['hardware']} takes {time} and {energy} "
        f"({precisions(document)})."
    )


def _per_epoch(document: ResultDocument, metric: Metric, epochs: int) -> str:
    value = metric.of(document["total"]) / epochs
    text, row = si(value, metric.unit), interval_in(document, metric.key)
    return f"{text} {_ends(row, value, epochs)}" if row else text


def _ends(row: IntervalRow, value: float, epochs: int) -> str:
    factor, _ = scale(value)
    return span(row["low"] / epochs / factor, row["high"] / epochs / factor)
