"""A sweep as it stands in a file, and as a command line changes it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_core import ErrorDetails

from simulator.files.forms import Form, Hints, validate
from simulator.files.refusals import path_of, problem
from simulator.files.yaml import read_yaml
from simulator.hardware import Hardware, load_hardware
from simulator.sweeps.axis import Axis, parse_axes

DEFAULT_HARDWARE = "edge-16x16"
_HOW = {
    "trace": "a name or a file, or a list of them",
    "method": "a name or a file, or a list of them",
    "batch": "a list of whole numbers",
    "constraints": "a condition such as rows * cols <= 1024, or a list of them",
    "baselines": "{name: cpu-only}, or {name: {hardware: cpu-only, set: {cpu.cores: 2}}}",
}
_EXAMPLE = "hardware, trace and axes, such as {accelerator.rows: [8, 16]}"


class _Baseline(Form):
    hardware: str
    set: dict[str, str | int | float | bool] = Field(default_factory=dict)


class SweepRequest(Form):
    """A sweep as it stands in a file.

    A `scenario`, by name or file, is swept instead of training on `hardware`. `trace` and `method`
    take one name or file, or several; `batch` sizes make `trace` the name of
    a model; `baselines` are SoCs by name, each a name or file, or one with settings. With `search`
    so many points are replayed instead of all: those that `minimize` what it names. `accuracy`
    is the file of a table of the accuracies of networks. So many
    `samples` over the ranges of all constants give each point intervals. Over `heat_epochs` each
    point heats up.
    """

    hardware: str = DEFAULT_HARDWARE
    trace: str | list[str] | None = None
    method: str | list[str] | None = None
    batch: list[int] | None = None
    axes: dict[str, Any] = Field(default_factory=dict)
    constraints: str | list[str] = Field(default_factory=list)
    baselines: dict[str, str | _Baseline] | list[str] = Field(default_factory=dict)
    search: int | None = Field(default=None, ge=1)
    minimize: str = "latency,energy"
    seed: int = Field(default=0, ge=0, lt=2**32)
    accuracy: str | None = None
    samples: int = Field(default=0, ge=0, le=100_000)
    heat_epochs: int | None = Field(default=None, ge=1, le=10**9)
    scenario: str | None = None
    trainsoc: str | None = None
    store: int | None = None


def read_request(path: Path) -> SweepRequest:
    """Return the sweep that a YAML file asks for; raises InputError naming file, key and fix."""
    return validate(SweepRequest, read_yaml(path, _EXAMPLE), str(path), _HINTS)


def request_of(
    hardware: str | None,
    trace: str | None,
    settings: Sequence[str],
    request: SweepRequest | None = None,
) -> SweepRequest:
    """Return `request` with what a command line says instead, or beside: `settings` are axes."""
    base = request or SweepRequest()
    of_scenario = base.scenario is not None
    own = parse_axes(settings, of_scenario=of_scenario)
    axes = base.axes | {axis.name: plain_axis(axis) for axis in own}
    changes = {"hardware": hardware, "trace": trace, "axes": axes}
    return base.model_copy(
        update={key: value for key, value in changes.items() if value is not None}
    )


def scenario_request(scenario: str, settings: Sequence[str]) -> SweepRequest:
    """Return the sweep of a scenario over these axes."""
    axes = parse_axes(settings, of_scenario=True)
    return SweepRequest(scenario=scenario, axes={axis.name: plain_axis(axis) for axis in axes})


def plain_axis(axis: Axis) -> list[Any]:
    """Return the choices of an axis as they stand in a file."""
    rows = [[int(text) if text.isdecimal() else text for text in choice] for choice in axis.choices]
    return [row[0] for row in rows] if axis.is_equal else [*rows]


def baselines_of(baselines: Mapping[str, str | _Baseline] | list[str]) -> dict[str, Hardware]:
    """Return the SoCs that a request compares with, by name."""
    entries = baselines if isinstance(baselines, Mapping) else {name: name for name in baselines}
    machines = {}
    for name, entry in entries.items():
        if isinstance(entry, str):
            machines[name] = load_hardware(entry)
        else:
            machines[name] = load_hardware(entry.hardware, entry.set)
    return machines


def as_list(texts: str | Sequence[str] | None) -> list[str]:
    """Return a list of one text, of several, or of none."""
    return [texts] if isinstance(texts, str) else list(texts or ())


def _instead(detail: ErrorDetails) -> str | None:
    key = str(detail["loc"][0])
    if key in _HOW:
        return f"{key}: write {_HOW[key]}"
    if detail["type"] == "extra_forbidden":
        return None
    return f"{path_of(detail)}: {problem(detail)}; write {_EXAMPLE}"


_HINTS = Hints(lambda _: f"known: {', '.join(SweepRequest.model_fields)}", instead=_instead)
