"""Playing scenarios that a study makes, with its networks as traces."""

from typing import Any

from simulator.scenario import play
from simulator.scenario.description import Scenario
from simulator.scenario.result import Row, ScenarioResult
from tests.studies.networks import trace_of


def world(**parts: Any) -> ScenarioResult:
    """Return what happens in a scenario of these devices, links, programs and rounds."""
    return play(Scenario.model_validate(parts), models=trace_of)


def row(rows: list[Row], **match: str) -> Row:
    """Return the row with these values."""
    return next(each for each in rows if match.items() <= each.items())
