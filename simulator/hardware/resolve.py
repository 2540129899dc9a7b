"""A description and changes of its settings become a SoC, or one message with all mistakes."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import ErrorDetails

from simulator.errors import InputError, shown
from simulator.files.forms import Hints, validate
from simulator.files.refusals import path_of
from simulator.files.yaml import read_document, read_yaml
from simulator.hardware.constant import Constant
from simulator.hardware.core import Core
from simulator.hardware.cpu import ORDINARY
from simulator.hardware.dram import DramDevice
from simulator.hardware.overrides import override, unit_description
from simulator.hardware.part import Part
from simulator.hardware.settings import UNITS, likely, setting_paths
from simulator.hardware.shipped import (
    CONFIGS,
    EXAMPLE,
    IDEAL,
    core_classes,
    dram_presets,
    preset_path,
)
from simulator.hardware.soc import Hardware
from simulator.hardware.stated import Mistake, Stated, stated
from simulator.hardware.unit import BoardUnit
from simulator.memo import remember

_ADD = f"add it ({EXAMPLE} has an example)"

_Part = TypeVar("_Part", bound=Part)


def resolved(label: str, description: Stated, changes: Mapping[str, Any]) -> Hardware:
    """Return the SoC of a description with `changes`, whose values it changes in place."""
    for path, cpu in _cpus(description.values):
        _add_costs(label, description, path, cpu, changes)
    statements = [override(description.values, path, value) for path, value in changes.items()]
    mistakes = [
        *description.mistakes,
        *(mistake for each in statements for mistake in each.mistakes),
    ]
    raw = _with_units(_with_device(description.values, label), label)
    soc = validated(Hardware, raw, label, mistakes)
    return soc.with_constants(
        [*description.constants, *(constant for each in statements for constant in each.constants)]
    )


def _cpus(values: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield every CPU of a description with its path: the host, and units of this kind."""
    units = values.get("units")
    further = units if isinstance(units, dict) else {}
    entries = {"cpu": values.get("cpu")} | {f"{UNITS}{name}": raw for name, raw in further.items()}
    for path, raw in entries.items():
        if isinstance(raw, dict) and (path == "cpu" or raw.get("kind") == "cpu"):
            yield path, raw


def _add_costs(
    label: str, description: Stated, path: str, cpu: dict[str, Any], changes: Mapping[str, Any]
) -> None:
    """Add the costs of kernels of a CPU's class of cores, or of the one that it changes to.

    What a description says of a cost itself goes before its class.
    """
    other = changes.get(f"{path}.core")
    own: Any = cpu.get("costs", {})
    if isinstance(own, Core) and not other:
        return  # they have been added
    if not isinstance(own, dict | Core):
        return  # the model refuses it
    name = str(other or cpu.get("core", ORDINARY))
    if name not in core_classes():
        hint = likely(name, core_classes())
        raise InputError(f"{label}: {path}.core: no class of cores {shown(name)}; {hint}")
    within = f"{path}.costs."
    costs = _costs(CONFIGS / "cores" / f"{name}.yaml")
    own = {} if other else own
    cpu["costs"] = costs.values | own
    rest = [constant for constant in costs.constants if constant.path not in own]
    named = [replace(each, path=f"{within}{each.path}") for each in rest]
    before = [
        each for each in description.constants if not (other and each.path.startswith(within))
    ]
    description.constants = [*before, *surviving(named, changes)]


@remember("classes of cores", most=32)
def _costs(path: Path) -> Stated:
    """Return what the file of a class of cores says, which is not to be changed."""
    document = read_document(path, EXAMPLE)
    return stated(Core, document.content, document.comments)


def surviving(constants: Iterable[Constant], changes: Iterable[str]) -> list[Constant]:
    """Return what is still known of numbers beside `changes`."""
    return [constant for constant in constants if not _is_within(constant.path, changes)]


def _is_within(path: str, changes: Iterable[str]) -> bool:
    """Whether a setting or a part that it belongs to is among `changes`."""
    return any(path == change or path.startswith(f"{change}.") for change in changes)


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
    return raw | {"dram": dram | {"device": _device(preset_path(preset))}}


def _with_units(raw: dict[str, Any], label: str) -> dict[str, Any]:
    """Read each entry of `units` as the description of its kind."""
    units = raw.get("units")
    if not isinstance(units, dict):
        return raw
    return raw | {"units": {name: _unit(name, unit, label) for name, unit in units.items()}}


def _unit(name: str, raw: Any, label: str) -> BoardUnit:
    where = f"{label}: units.{name}"
    return (
        raw if isinstance(raw, BoardUnit) else validated(unit_description(raw, where), raw, where)
    )


@remember("DRAM presets", most=64)
def _device(path: Path) -> DramDevice:
    """Return the device of a preset, which ships with the product."""
    return validated(DramDevice, read_yaml(path, EXAMPLE), path.name)


def validated(
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
