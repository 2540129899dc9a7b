"""The settings of a SoC by dotted path: which there are, their dimensions and values."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_origin

from simulator.errors import InputError, join_names
from simulator.hardware.dram import DramDevice
from simulator.hardware.part import Part, part_of, units_of, value_at
from simulator.hardware.soc import Hardware
from simulator.hardware.unit import description_of, kinds
from simulator.memo import remember
from simulator.units import Quantity

UNITS = "units."
"""The start of paths to settings of units by name, which a kind of unit checks."""

LAYERS = "layers."
_OF_LAYERS = re.compile(r"layers\.(.+)\.precision")


def layers_of(path: str) -> str | None:
    """Return the pattern of layers in "layers.<pattern>.precision", None for another setting."""
    match = _OF_LAYERS.fullmatch(path)
    return match[1] if match else None


def quantity_of(path: str) -> Quantity | None:
    """Return the dimension of the setting at `path`; None for plain numbers, texts, no setting.

    That of a unit of some name is that of the first kind that has such a setting.
    """
    if not path.startswith(UNITS):
        return _quantity_in(Hardware, path.split("."))
    names = path.split(".")[2:]
    quantities = (_quantity_in(description_of(kind), names) for kind in kinds() if names)
    return next(filter(None, quantities), None)


def _quantity_in(owner: type[Part], path: Sequence[str]) -> Quantity | None:
    *parents, leaf = path
    part: type[Part] | None = owner
    for name in parents:
        field = part.model_fields.get(name) if part else None
        part = part_of(field.annotation) if field else None
    info = part.model_fields.get(leaf) if part else None
    return next(iter(units_of(info)), None) if info else None


def value_of(hardware: Hardware, path: str) -> Any:
    """Return the value at `path`, in inner units; None where this SoC has no such part.

    A part, as at path "accelerator", is no single value: it is "described".
    """
    value = value_at(hardware, path)
    return "described" if isinstance(value, Part) else value


def likely(key: str, names: Sequence[str]) -> str:
    """Return a hint for an unknown setting: the whole paths that it ends, or the closest name, or
    else several.

    Those are the settings of the part that `key` begins with, or else all parts.
    """
    close = _ending(key, names) or difflib.get_close_matches(key, names, 1, 0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    part = key.partition(".")[0]
    within = [name for name in names if name.startswith(f"{part}.")]
    parts = dict.fromkeys(f"{n.partition('.')[0]}.*" if "." in n else n for n in names)
    return f"known: {join_names(within or parts)}"


def _ending(key: str, names: Sequence[str]) -> list[str]:
    """Return the shortest paths that end in `key`: rows is that of accelerator.rows."""
    ending = [name for name in names if name.endswith(f".{key}")]
    parts = min((name.count(".") for name in ending), default=0)
    return [name for name in ending if name.count(".") == parts]


def settings_of(hardware: Hardware, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` by the whole paths of settings of this SoC; their names may be short.

    Raises InputError for a name that stands for none or several, and for one given twice.
    """
    units = (hardware.further or {}).items()
    further = [p for name, unit in units for p in setting_paths(type(unit), f"{UNITS}{name}.")]
    paths = [*setting_paths(), *further]
    changes: dict[str, Any] = {}
    for name, value in values.items():
        path = _whole(hardware, name, paths)
        if path in changes:
            raise InputError(f"{path}: given twice, once as {name}; give it once")
        changes[path] = value
    return changes


def _whole(hardware: Hardware, name: str, paths: Sequence[str]) -> str:
    """Return the path that `name` stands for: "rows" is accelerator.rows.

    Of several, those of parts that this SoC has go before others. Raises InputError if there is
    none, naming the closest, or several, naming them.
    """
    if name in paths or name.startswith(LAYERS):
        return name
    endings = [path for path in paths if path.endswith(f".{name}")]
    there = [path for path in endings if value_at(hardware, path.rpartition(".")[0]) is not None]
    endings = there or endings
    if len(endings) == 1:
        return endings[0]
    if endings:
        raise InputError(f"{name} may be {' or '.join(endings)}: give the whole path")
    leaves = {path.rpartition(".")[2]: path for path in paths}
    close = difflib.get_close_matches(name, leaves, 1, 0.6)
    meant = f"did you mean {leaves[close[0]]}?" if close else likely(name, paths)
    raise InputError(f"{name}: no such setting; {meant}")


@remember("paths of settings", most=1)
def known_paths() -> frozenset[str]:
    """Return all paths that a setting may have."""
    return frozenset(setting_paths())


def setting_paths(part: type[Part] = Hardware, prefix: str = "") -> list[str]:
    """Return every dotted path that an override may set."""
    paths: list[str] = []
    for name, info in part.model_fields.items():
        nested = part_of(info.annotation)
        if nested is DramDevice or get_origin(info.annotation) is tuple or info.alias:
            continue  # a preset, a list, or units by name: not one setting
        if nested:
            paths += setting_paths(nested, f"{prefix}{name}.")
        if not nested or name == "accelerator":
            paths.append(prefix + name)
    return paths


def collected(texts: Iterable[str]) -> dict[str, str]:
    """Return settings written as "path=value", by path. Raises InputError with the fix."""
    changes: dict[str, str] = {}
    for path, value in map(_split, texts):
        if path in changes:
            raise InputError(f"--set {path}: given twice; give it once")
        changes[path] = value
    return changes


def _split(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals or not path.strip() or not value.strip():
        raise InputError(f"--set {text}: write it as key=value, such as accelerator.rows=32")
    return path.strip(), value.strip()
