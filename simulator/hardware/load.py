"""Reading a SoC from YAML: names and paths, overrides, and all mistakes in one message."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import ErrorDetails

from simulator.errors import InputError, join_names, shown
from simulator.files.forms import Hints, validate
from simulator.files.refusals import path_of
from simulator.files.text import is_file
from simulator.files.yaml import Document, read_document, read_value, read_yaml
from simulator.hardware.constant import Constant
from simulator.hardware.core import Core
from simulator.hardware.cpu import ORDINARY
from simulator.hardware.dram import DramDevice
from simulator.hardware.part import Part, part_of
from simulator.hardware.settings import (
    LAYERS,
    UNITS,
    collected,
    known_paths,
    layers_of,
    likely,
    setting_paths,
)
from simulator.hardware.soc import Hardware
from simulator.hardware.stated import Mistake, Stated, is_long_form, stated
from simulator.hardware.unit import ACCELERATOR, BoardUnit, description_of
from simulator.memo import remember

if TYPE_CHECKING:
    from simulator.files.yaml_comments import Comments

CONFIGS = Path(__file__).resolve().parents[2] / "hwconfigs"
IDEAL = "ideal"
EXAMPLE = "edge-16x16.yaml"
_ADD = f"add it ({EXAMPLE} has an example)"

_Part = TypeVar("_Part", bound=Part)


def load_hardware(
    source: str | Path | Hardware, overrides: Mapping[str, Any] | Iterable[str] = ()
) -> Hardware:
    """Return the SoC that `source` describes, a YAML file or a name in `hwconfigs`.

    `overrides` are dotted paths with values: a mapping, or texts "accelerator.rows=32".
    Raises InputError naming file, path, value and fix; all mistakes at once.
    """
    changes = overrides if isinstance(overrides, Mapping) else collected(overrides)
    if isinstance(source, Hardware):
        return _changed(source, changes) if changes else source
    label, description = _read_soc(source)
    return _resolved(label, description, changes)


def load_part(part: type[_Part], path: Path, example: str) -> _Part:
    """Return the part that the YAML file at `path` describes, as in `example`.

    Raises InputError naming file, path, value and fix; all mistakes at once.
    """
    return _validate(part, read_yaml(path, example), path.name)


def preset_constants(preset: str) -> tuple[Constant, ...]:
    """Return what the file of a DRAM preset says of its numbers, by their paths in it."""
    document = read_document(_preset_path(preset), EXAMPLE)
    return tuple(stated(DramDevice, document.content, document.comments, ranges=False).constants)


def _changed(hardware: Hardware, changes: Mapping[str, Any]) -> Hardware:
    """Return `hardware` with changes. Parts that they do not touch are not read again."""
    touched = {"runtime" if layers_of(path) else path.partition(".")[0] for path in changes}
    raw: dict[str, Any] = {}
    for name, info in Hardware.model_fields.items():
        key, value = info.alias or name, getattr(hardware, name)
        raw[key] = value.as_text() if key in touched and isinstance(value, Part) else value
    if "units" in touched and hardware.further:
        raw["units"] = {name: unit.as_text() for name, unit in hardware.further.items()}
    return _resolved(hardware.name, Stated(raw, list(hardware.constants)), changes)


def _resolved(label: str, description: Stated, changes: Mapping[str, Any]) -> Hardware:
    """Return the SoC of a description with `changes`, whose values it changes in place."""
    for path, cpu in _cpus(description.values):
        _add_costs(label, description, path, cpu, changes.get(f"{path}.core"))
    statements = [_override(description.values, path, value) for path, value in changes.items()]
    mistakes = [
        *description.mistakes,
        *(mistake for each in statements for mistake in each.mistakes),
    ]
    raw = _with_units(_with_device(description.values, label), label)
    soc = _validate(Hardware, raw, label, mistakes)
    survivors = (
        constant for constant in description.constants if not _is_within(constant.path, changes)
    )
    return soc.with_constants(
        [*survivors, *(constant for each in statements for constant in each.constants)]
    )


def _cpus(values: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield every CPU of a description with its path: the host, and units of this kind."""
    units = values.get("units")
    further = units if isinstance(units, dict) else {}
    entries = {"cpu": values.get("cpu")} | {f"{UNITS}{name}": raw for name, raw in further.items()}
    for path, raw in entries.items():
        if isinstance(raw, dict) and (path == "cpu" or raw.get("kind") == "cpu"):
            yield path, raw


def _add_costs(label: str, description: Stated, path: str, cpu: dict[str, Any], other: Any) -> None:
    """Add the costs of kernels of a CPU's class of cores, or of the one that it changes to.

    What a description says of a cost itself goes before its class.
    """
    if not isinstance(cpu.get("costs", {}), dict):
        return  # the model refuses it
    name = str(other or cpu.get("core", ORDINARY))
    if name not in core_classes():
        hint = likely(name, core_classes())
        raise InputError(f"{label}: {path}.core: no class of cores {shown(name)}; {hint}")
    within = f"{path}.costs."
    costs = _costs(CONFIGS / "cores" / f"{name}.yaml")
    own = {} if other else cpu.get("costs", {})
    cpu["costs"] = costs.values | own
    rest = [constant for constant in costs.constants if constant.path not in own]
    named = (replace(each, path=f"{within}{each.path}") for each in rest)
    before = [
        each for each in description.constants if not (other and each.path.startswith(within))
    ]
    description.constants = [*before, *named]


@remember("classes of cores", most=32)
def _costs(path: Path) -> Stated:
    """Return what the file of a class of cores says, which is not to be changed."""
    document = read_document(path, EXAMPLE)
    return stated(Core, document.content, document.comments)


def core_classes() -> list[str]:
    """Return the names that `cpu.core` takes."""
    return sorted(path.stem for path in (CONFIGS / "cores").glob("*.yaml"))


def _is_within(path: str, changes: Iterable[str]) -> bool:
    """Whether a setting or a part that it belongs to is among `changes`."""
    return any(path == change or path.startswith(f"{change}.") for change in changes)


def hardware_names() -> list[str]:
    """Return the names of the SoCs that ship with the product."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def dram_presets() -> list[str]:
    """Return the names that `dram.preset` takes."""
    return [IDEAL, *sorted(path.stem for path in (CONFIGS / "dram").glob("*.yaml"))]


def _read_soc(source: str | Path) -> tuple[str, Stated]:
    """Return the name of a file and what it describes, in values of its own."""
    path = _find(source)
    description = _stated(read_document(path, EXAMPLE))
    values = {"name": path.stem} | deepcopy(description.values)
    units = values.get("units")
    if isinstance(units, dict):
        values["units"] = {name: _with_files(raw, path.parent) for name, raw in units.items()}
    return str(path.name), replace(description, values=values)


def _with_files(raw: Any, folder: Path) -> Any:
    """Return an entry of `units` with what files beside it say; without a kind as it is."""
    try:
        description = _description(raw, "")
    except InputError:
        return raw
    return description.with_files(raw, folder)


@remember("statements of descriptions", most=32)
def _stated(document: Document) -> Stated:
    """Return what a file says, which is not to be changed; of the same file once for all."""
    description = stated(Hardware, document.content, document.comments)
    units = description.values.get("units")
    if isinstance(units, dict):
        statements = {
            name: _stated_unit(name, raw, document.comments) for name, raw in units.items()
        }
        description.values["units"] = {
            name: each.values or units[name] for name, each in statements.items()
        }
        for each in statements.values():
            description.constants += each.constants
            description.mistakes += each.mistakes
    return description


def _stated_unit(name: str, raw: Any, comments: "Comments") -> Stated:
    """Return what an entry of `units` says: nothing without a kind, which `_unit` refuses later."""
    try:
        description = _description(raw, "")
    except InputError:
        return Stated()
    return stated(description, raw, comments, ("units", name))


def _find(source: str | Path) -> Path:
    path = Path(source)
    if is_file(path):
        return path
    shipped = CONFIGS / f"{source}.yaml"
    if is_file(shipped):
        return shipped
    names = hardware_names()
    close = difflib.get_close_matches(str(source), names, 1)
    hint = (
        f"did you mean {close[0]}?" if close else f"give a YAML file or one of {join_names(names)}"
    )
    raise InputError(f"no hardware {shown(str(source))}: {hint}")


def _override(raw: dict[str, Any], path: str, value: Any) -> Stated:
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
        raise InputError(f"--set {path}: write it as layers.<pattern>.precision, as layers.fc*")
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
    description = _description(units[name], f"--set {path}: {start}.{name}")
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


def _with_device(raw: dict[str, Any], label: str) -> dict[str, Any]:
    dram = raw.get("dram")
    if not isinstance(dram, dict) or "preset" not in dram or dram["preset"] == IDEAL:
        return raw
    if "device" in dram:
        raise InputError(f"{label}: dram.device is read from the preset: remove it")
    preset = str(dram["preset"])
    if preset not in dram_presets():
        hint = likely(preset, dram_presets())
        raise InputError(f"{label}: dram.preset: no DRAM {shown(preset)}; {hint}")
    return raw | {"dram": dram | {"device": _device(_preset_path(preset))}}


def _with_units(raw: dict[str, Any], label: str) -> dict[str, Any]:
    """Read each entry of `units` as the description of its kind."""
    units = raw.get("units")
    if not isinstance(units, dict):
        return raw
    return raw | {"units": {name: _unit(name, unit, label) for name, unit in units.items()}}


def _unit(name: str, raw: Any, label: str) -> BoardUnit:
    where = f"{label}: units.{name}"
    return raw if isinstance(raw, BoardUnit) else _validate(_description(raw, where), raw, where)


def _description(raw: Any, where: str) -> type[BoardUnit]:
    """Return the description that a unit of these values is read as; raises InputError if none."""
    if not isinstance(raw, dict) or "kind" not in raw:
        raise InputError(f"{where}: kind is missing: add it, such as kind: array")
    try:
        return description_of(str(raw["kind"]))
    except InputError as error:
        raise InputError(f"{where}.{error}") from None


def _preset_path(preset: str) -> Path:
    return CONFIGS / "dram" / f"{preset}.yaml"


@remember("DRAM presets", most=64)
def _device(path: Path) -> DramDevice:
    """Return the device of a preset, which ships with the product."""
    return _validate(DramDevice, read_yaml(path, EXAMPLE), path.name)


def _validate(
    part: type[_Part], raw: dict[str, Any], label: str, mistakes: Sequence[Mistake] = ()
) -> _Part:
    """Return the part with these values. Raises InputError for what is wrong and `mistakes`."""
    others = [f"{label}: {mistake}" for mistake in mistakes]
    unset = {mistake.path for mistake in mistakes if mistake.is_unset}
    implied = partial(_implied, part, unset)
    return validate(part, raw, label, Hints(partial(_fix, part), _ADD, implied=implied), others)


def _implied(part: type[Part], unset: set[str], details: Iterable[ErrorDetails]) -> set[str]:
    return unset | _misspelt(part, details)


def _misspelt(part: type[Part], details: Iterable[ErrorDetails]) -> set[str]:
    """Return the settings that unknown keys probably stand for."""
    return {meant for detail in details if (meant := _meant(part, detail))}


def _meant(part: type[Part], detail: ErrorDetails) -> str | None:
    """Return the setting that an unknown key probably stands for."""
    if detail["type"] != "extra_forbidden":
        return None
    close = difflib.get_close_matches(path_of(detail), setting_paths(part), 1)
    return close[0] if close else None


def _fix(part: type[Part], unknown: ErrorDetails) -> str:
    meant = _meant(part, unknown)
    return f"did you mean {meant}?" if meant else "remove it"
