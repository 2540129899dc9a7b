"""Reading a scenario from YAML: link profiles, settings, and all mistakes in one message."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from simulator.errors import InputError, nearest, shown
from simulator.files.forms import Hints, validate
from simulator.files.text import is_file
from simulator.files.yaml import read_value, read_yaml
from simulator.hardware.settings import collected, likely
from simulator.hardware.shipped import CONFIGS, link_profiles
from simulator.scenario.description import Scenario
from simulator.scenario.settings import HARDWARE, form_at
from simulator.scenario.shipped import SCENARIOS, scenario_names

EXAMPLE = "devices: {phone: {hardware: edge-16x16}}, programs: {camera: {on: phone, trace: ...}}"
_FILES = ("hardware", "trace", "method", "arrive")  # what may name a file
_Settings = Mapping[str, Any] | Iterable[str]


def load_scenario(source: str | Path | Scenario, overrides: _Settings = ()) -> Scenario:
    """Return the scenario that `source` describes: a YAML file or the name of a shipped one.

    `overrides` are dotted paths with values, such as {"links.wifi.rate": "6 Mb/s"} or texts
    "links.wifi.rate=6 Mb/s". Files in it are relative to it. Raises InputError naming file, path,
    value and fix.
    """
    changes = overrides if isinstance(overrides, Mapping) else collected(overrides)
    if isinstance(source, Scenario):
        if changes:
            raise InputError("a scenario that is read already takes no settings: give its file")
        return source
    path = _find(source)
    raw = {"name": path.stem} | read_yaml(path, EXAMPLE)
    _name_profiles(raw)
    for key, value in changes.items():
        _override(raw, key, value, path.name)
    _read_profiles(raw, path.name)
    return validate(Scenario, _with_files(raw, path.parent), path.name, _HINTS)


def is_scenario_name(source: str) -> bool:
    """Return whether `source` is a shipped scenario, or a YAML file that has devices."""
    path = Path(source)
    if not is_file(path):
        return source in scenario_names()
    return path.suffix in (".yaml", ".yml") and "devices" in read_yaml(path, EXAMPLE)


def _find(source: str | Path) -> Path:
    path = Path(source)
    if is_file(path):
        return path
    shipped = SCENARIOS / f"{source}.yaml"
    if is_file(shipped):
        return shipped
    hint = nearest(str(source), scenario_names(), "give a YAML file or one of {}")
    raise InputError(f"no scenario {shown(str(source))}: {hint}")


def _override(raw: dict[str, Any], path: str, value: Any, label: str) -> None:
    """Set the value at a dotted path. Raises InputError where there is nothing to set it in.

    Behind `set` comes a setting of the hardware, dots included.
    """
    to, behind, setting = path.partition(HARDWARE)
    *parents, leaf = [*to.split("."), "set", setting] if behind else to.split(".")
    node: Any = raw
    for at, name in enumerate(parents):
        if isinstance(node, dict) and name == "set":
            node.setdefault(name, {})
        inner = node.get(name) if isinstance(node, dict) else None
        if isinstance(node, list) and name.isdigit() and int(name) < len(node):
            inner = node[int(name)]
        if inner is None:
            names = [str(key) for key in node] if isinstance(node, dict) else []
            where = ".".join(parents[: at + 1])
            raise InputError(f"--set {path}: {label} has no {where}; {likely(name, names)}")
        node = inner
    if not isinstance(node, dict):
        raise InputError(
            f"--set {path}: {'.'.join(parents)} is {shown(node)}: nothing to set in it"
        )
    node[leaf] = read_value(f"--set {path}", value) if isinstance(value, str) else value


def _name_profiles(raw: dict[str, Any]) -> None:
    """Let a link that is a profile's name have settings: {profile: name}."""
    links = raw.get("links")
    if isinstance(links, dict):
        raw["links"] = {
            name: {"profile": link} if isinstance(link, str) else link
            for name, link in links.items()
        }


def _read_profiles(raw: dict[str, Any], label: str) -> None:
    """Let links begin with what their profile says."""
    links = raw.get("links")
    if isinstance(links, dict):
        raw["links"] = {name: _link(f"{label}: links.{name}", raw) for name, raw in links.items()}


def _link(where: str, raw: Any) -> Any:
    """Return the values of a link; its profile may stand for all of them."""
    if isinstance(raw, str):
        return _profile(raw, where)
    if not isinstance(raw, dict) or "profile" not in raw:
        return raw
    own = {key: value for key, value in raw.items() if key != "profile"}
    return _profile(str(raw["profile"]), where) | own


def _profile(name: str, where: str) -> dict[str, Any]:
    if name not in link_profiles():
        hint = likely(name, link_profiles())
        raise InputError(f"{where}.profile: no link {shown(name)}; {hint}")
    return read_link(name)


def read_link(name: str) -> dict[str, Any]:
    """Return what the file of a profile says, values without their ranges."""
    raw = read_yaml(CONFIGS / "links" / f"{name}.yaml", "ethernet-1000.yaml")
    return {key: value["value"] if isinstance(value, dict) else value for key, value in raw.items()}


def _with_files(raw: Any, folder: Path) -> Any:
    """Return the entries of a scenario with the paths of files that lie beside it."""
    if isinstance(raw, list):
        return [_with_files(each, folder) for each in raw]
    if not isinstance(raw, dict):
        return raw
    return {
        key: str(folder / value)
        if key in _FILES and isinstance(value, str) and is_file(folder / value)
        else _with_files(value, folder)
        for key, value in raw.items()
    }


def _fix(detail: ErrorDetails) -> str:
    """Return the fix for an unknown key: the closest of those that are known there."""
    form = form_at([str(place) for place in detail["loc"][:-1]])
    return nearest(str(detail["loc"][-1]), form.model_fields)


_HINTS = Hints(_fix, "add it")
