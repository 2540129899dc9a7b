"""Settings laid over a description: its values, and what it says of its numbers."""

from collections.abc import Sequence
from typing import Any

from simulator.errors import InputError, join_names, shown
from simulator.files.yaml import read_value
from simulator.hardware.part import Part, part_of
from simulator.hardware.settings import (
    LAYERS,
    UNITS,
    known_paths,
    layers_of,
    likely,
    setting_paths,
)
from simulator.hardware.soc import Hardware
from simulator.hardware.stated import Stated, is_long_form, stated
from simulator.hardware.unit import ACCELERATOR, BoardUnit, description_of


def override(raw: dict[str, Any], path: str, value: Any) -> Stated:
    """Set the value at `path`, and return what its long form says besides."""
    if path.startswith(LAYERS):
        _add_rule(raw, path, value)
        return Stated()
    at, owner, node = _owner(raw, path)
    *parents, leaf = path.split(".")[len(at) :]
    part: type[Part] = owner
    for name in parents:
        field = part.model_fields[name]
        if field.default_factory:
            node.setdefault(name, {})
        part = part_of(field.annotation) or part
        if node.get(name) is None:
            raise InputError(f"--set {path}: this hardware has no {name}; describe one in its YAML")
        node = node[name]
        if not isinstance(node, dict):
            raise InputError(
                f"--set {path}: {name} is {shown(node)}: leave out --set {name}={node}"
            )
    entry = _scalar(path, value)
    if not is_long_form(entry):
        node[leaf] = entry
        return Stated()
    node[leaf] = entry.get("value", node.get(leaf))
    return stated(owner, _nested([*parents, leaf], entry), {}, at)


def _add_rule(raw: dict[str, Any], path: str, value: Any) -> None:
    """Let a rule, which goes before all others, run the products of some layers on the accelerator
    in a precision.
    """
    pattern = layers_of(path)
    if pattern is None:
        raise InputError(
            f"--set {path}: write it as layers.<pattern>.precision, such as layers.fc*.precision"
        )
    if raw.get("accelerator") is None:
        raise InputError(f"--set {path}: this hardware has no accelerator to run layers on")
    runtime = raw["runtime"] = dict(raw.get("runtime") or {})
    rule = {"unit": ACCELERATOR, "layer": pattern, "precision": value}
    runtime["rules"] = [rule, *(runtime.get("rules") or ())]


def _owner(raw: dict[str, Any], path: str) -> tuple[tuple[str, ...], type[Part], dict[str, Any]]:
    """Return what the setting at `path` is of, the SoC or a unit that its YAML adds: where it is,
    its description and its values. Raises InputError unless it has such a setting.
    """
    if not path.startswith(UNITS):
        if path not in known_paths():
            raise _unknown(path, setting_paths())
        return (), Hardware, raw
    start, name = path.split(".")[:2]
    units = raw.get(start)
    if not isinstance(units, dict) or name not in units:
        names = join_names(map(str, units)) if isinstance(units, dict) else ""
        hint = f"known: {names}" if names else "this hardware has none but its own"
        raise InputError(f"--set {path}: no unit {shown(name)}; {hint}")
    description = unit_description(units[name], f"--set {path}: {start}.{name}")
    paths = setting_paths(description, f"{start}.{name}.")
    if path not in paths:
        raise _unknown(path, paths)
    return (start, name), description, units[name]


def _unknown(path: str, paths: Sequence[str]) -> InputError:
    return InputError(f"--set {path}: unknown setting; {likely(path, paths)}")


def _nested(names: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a mapping in mappings with `value` at the path of these names."""
    for name in reversed(names):
        value = {name: value}
    content: dict[str, Any] = value
    return content


def _scalar(path: str, value: Any) -> Any:
    if path == "accelerator" and value == "none":
        return None
    if not isinstance(value, str):
        return value
    if value.startswith("{"):
        return read_value(f"--set {path}", value)
    if value in ("true", "false"):
        return value == "true"
    try:
        number = int(value)
    except ValueError:
        return value
    if abs(number) >= 2**63:
        raise InputError(f"--set {path}={shown(value)}: the number does not fit in 64 bits")
    return number


def unit_description(raw: Any, where: str) -> type[BoardUnit]:
    """Return the description that a unit of these values is read as; raises InputError if none."""
    if not isinstance(raw, dict) or "kind" not in raw:
        raise InputError(f"{where}: kind is missing: add it, such as kind: array")
    try:
        return description_of(str(raw["kind"]))
    except InputError as error:
        raise InputError(f"{where}.{error}") from None
