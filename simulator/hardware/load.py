"""Reading a SoC from YAML: names and paths, overrides, and all mistakes in one message."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from simulator.errors import InputError, nearest, shown
from simulator.files.text import is_file
from simulator.files.yaml import Document, read_document, read_yaml
from simulator.hardware.base import DescriptionFile, joined_document, read_files
from simulator.hardware.constant import Constant
from simulator.hardware.dram import DramDevice
from simulator.hardware.overlay import Overlay
from simulator.hardware.overrides import unit_description
from simulator.hardware.part import Part
from simulator.hardware.resolve import resolved, surviving, validated
from simulator.hardware.settings import collected
from simulator.hardware.shipped import CONFIGS, EXAMPLE, hardware_names, preset_path
from simulator.hardware.soc import Hardware
from simulator.hardware.stated import Stated, stated
from simulator.memo import remember

if TYPE_CHECKING:
    from simulator.files.yaml_comments import Comments

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
        return Overlay(source, changes).at(changes) if changes else source
    label, description = _read_soc(source)
    description.constants = surviving(description.constants, changes)
    return resolved(label, description, changes)


def load_part(part: type[_Part], path: Path, example: str) -> _Part:
    """Return the part that the YAML file at `path` describes, as in `example`.

    Raises InputError naming file, path, value and fix; all mistakes at once.
    """
    return validated(part, read_yaml(path, example), path.name)


def preset_constants(preset: str) -> tuple[Constant, ...]:
    """Return what the file of a DRAM preset says of its numbers, by their paths in it."""
    document = read_document(preset_path(preset), EXAMPLE)
    return tuple(stated(DramDevice, document.content, document.comments, ranges=False).constants)


def _read_soc(source: str | Path) -> tuple[str, Stated]:
    """Return the name of a file and what it describes, in values of its own."""
    path = _find(source)
    files = read_files(path)
    description = _stated(joined_document(files))
    values = {"name": path.stem} | deepcopy(description.values)
    if isinstance(values.get("units"), dict):
        values["units"] = {
            name: _with_files(name, raw, files) for name, raw in values["units"].items()
        }
    return _label(files), replace(description, values=values)


def _label(files: Sequence[DescriptionFile]) -> str:
    """Return what messages call a description: its file, and the bases that others wrote."""
    *bases, own = files
    foreign = [each.path.name for each in bases if each.path.parent != CONFIGS]
    return f"{own.path.name} on {', '.join(foreign)}" if foreign else own.path.name


def _with_files(name: str, raw: Any, files: Sequence[DescriptionFile]) -> Any:
    """Return an entry of `units` with what files say that stand beside the one that names them;
    without a kind as it is.
    """
    try:
        description = unit_description(raw, "")
    except InputError:
        return raw
    values = dict(raw)
    for each in files:
        units = each.document.content.get("units")
        own = units.get(name) if isinstance(units, dict) else None
        if isinstance(own, dict):
            read = description.with_files(own, each.path.parent)
            values |= {key: read[key] for key in own if key in raw and read[key] is not own[key]}
    return values


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
        description = unit_description(raw, "")
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
    if path.suffix in (".yaml", ".yml"):
        raise InputError(f"{source}: there is no such file; check the path")
    hint = nearest(str(source), hardware_names(), "give a YAML file or one of {}")
    raise InputError(f"no hardware {shown(str(source))}: {hint}")
