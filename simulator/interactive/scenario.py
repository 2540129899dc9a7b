"""A scenario that was played and is at hand: its result, and what one asks of it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError, shown
from simulator.interactive.tables import frame
from simulator.scenario import api
from simulator.scenario.description import Scenario
from simulator.scenario.record import play_document, save_scenario
from simulator.scenario.result import ScenarioResult
from simulator.trace.trace import Trace

if TYPE_CHECKING:
    import polars

    from simulator.views.plots import Figure

_TABLES = ("programs", "devices", "links", "sources", "rounds")


class PlayResult(ScenarioResult):
    """The result of a scenario, which can be drawn and saved."""

    def table(self, of: str = "programs") -> "polars.DataFrame":
        """Return a row for each of the "programs", "devices", "links", "sources" or "rounds".

        Columns end in their unit. Raises InputError for another word.
        """
        if of not in _TABLES:
            raise InputError(f"table({shown(of)}): unknown; use {' or '.join(_TABLES)}")
        rows: list[dict[str, Any]] = getattr(self, of)
        return frame(rows)

    def plot(self, name: str = "lanes") -> "Figure":
        """Return a figure. Raises InputError for a name that is none, with all names."""
        from simulator.views.plots import figure_of_scenario  # noqa: PLC0415 - takes 0.4 s

        return figure_of_scenario(name, play_document(self), self.as_dict())

    def save(self, directory: str | Path) -> Path:
        """Write the folder that `trainsoc scenario -o` writes, and return it."""
        save_scenario(self, Path(directory))
        return Path(directory)

    def timeline(self, path: str | Path) -> Path:
        """Write it as a Chrome trace, which ui.perfetto.dev opens, and return the file."""
        from simulator.views.scenario_timeline import (  # noqa: PLC0415 - few are drawn
            write_scenario_timeline,
        )

        write_scenario_timeline(play_document(self), Path(path))
        return Path(path)


def play(
    scenario: Scenario | str | Path, overrides: Mapping[str, Any] | Iterable[str] = ()
) -> PlayResult:
    """Return what happens in `scenario`, a description, a YAML file or the name of a shipped one.

    `overrides` are dotted paths with values: {"links.wifi.rate": "6 Mb/s"}. Models that it names in
    place of traces are captured, which takes torch. Raises InputError for bad input, and Infeasible
    where a device cannot run its programs.
    """
    result = api.play(scenario, overrides, captured)
    return PlayResult(result.compiled, result.played, result.provenance)


def captured(name: str, batch: int | None = 1) -> Trace:
    """Return the trace of a model, by default at batch 1: a training step, or of "resnet18 eval" an
    evaluation.

    Only calling it needs torch. Raises InputError without.
    """
    try:
        from workloads.models import capture_model  # noqa: PLC0415 - needs torch
    except ModuleNotFoundError as error:
        lack = f"capture of {name} needs {error.name}: pip install 'trainsoc[capture]'"
        raise InputError(lack) from None
    model, _, mode = name.partition(" ")
    if mode not in ("", "eval"):
        raise InputError(f"trace {name}: write a model's name, or {model} eval")
    return capture_model(model, batch, evaluate=bool(mode))
