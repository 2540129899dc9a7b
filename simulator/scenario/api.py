"""Playing a scenario in one call."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simulator.code import version_of
from simulator.collector import paused_collector
from simulator.machine.play import play as played
from simulator.scenario.compile import compiled
from simulator.scenario.description import Scenario
from simulator.scenario.load import load_scenario
from simulator.scenario.result import ScenarioResult
from simulator.scenario.sources import ModelCapture


def play(
    scenario: Scenario | str | Path,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    models: ModelCapture | None = None,
) -> ScenarioResult:
    """Return what happens in `scenario`, a description, a YAML file or the name of a shipped one.

    `overrides` are dotted paths with values; `models` captures models that are named instead of
    traces. Raises InputError for bad input, and Infeasible where a device cannot run its programs.
    """
    description = load_scenario(scenario, overrides)
    with paused_collector():
        plan = compiled(description, models)
        result = ScenarioResult(plan, played(plan.plan), _provenance(description))
        _ = result.total
    return result


def _provenance(scenario: Scenario) -> dict[str, Any]:
    plain = scenario.model_dump(mode="json")
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return {
        "trainsoc": version_of("trainsoc"),
        "simpy": version_of("simpy"),
        "scenario_digest": hashlib.sha256(text.encode()).hexdigest(),
        "description": plain,
    }
