"""The form of a description as a JSON schema, with which editors complete and check its YAML.

It has every key with its dimension, choices, default and meaning. What it cannot say is left to the
reader of the file: which keys are missing, as a base may have them, and whether values go together.
"""

import re
from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from simulator.hardware.base import KEY
from simulator.hardware.constant import KINDS
from simulator.hardware.cpu import Cpu
from simulator.hardware.part import Part, part_of, units_of
from simulator.hardware.ranges import number_field
from simulator.hardware.shipped import core_classes, cpu_names, dram_presets, hardware_names
from simulator.hardware.soc import Hardware
from simulator.hardware.unit import description_of, kinds
from simulator.units import Quantity

JsonSchema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
_NULL: JsonSchema = {"type": "null"}
_TEXT: JsonSchema = {"type": "string"}
_NAMES = {"cpu.core": core_classes, "dram.preset": dram_presets}
_WITHOUT = {"Dram": {"device"}, "Hardware": {"units"}}


def description_schema() -> JsonSchema:
    """Return the JSON schema of the YAML file of a SoC."""
    parts: dict[str, JsonSchema] = {}
    soc = _part(Hardware, parts)
    entries = [_unit(kind, parts) for kind in kinds()]
    soc["properties"] |= {
        KEY: _base(hardware_names(), "the description that this one begins with"),
        "units": {
            "description": "further units by name",
            "type": ["object", "null"],
            "additionalProperties": {"type": ["object", "null"], "allOf": entries},
        },
    }
    return {"$schema": DIALECT, "title": "A SoC of trainsoc", **soc, "$defs": parts}


def _unit(kind: str, parts: dict[str, JsonSchema]) -> JsonSchema:
    """Return the rule that an entry of this kind has its form."""
    is_kind = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
    return {"if": is_kind, "then": _reference(description_of(kind), parts)}


def _reference(part: type[Part], parts: dict[str, JsonSchema]) -> JsonSchema:
    """Return a reference to the form of a part, which is added to `parts` at its first use."""
    name = part.__name__
    if name not in parts:
        parts[name] = {}
        parts[name] = _part(part, parts)
    return {"$ref": f"#/$defs/{name}"}


def _part(part: type[Part], parts: dict[str, JsonSchema]) -> JsonSchema:
    own = {
        info.alias or name: _field(part, name, info, parts)
        for name, info in part.model_fields.items()
    }
    without = _WITHOUT.get(part.__name__, set())
    properties = {key: form for key, form in own.items() if key not in without}
    if issubclass(part, Cpu):
        properties[KEY] = _base(cpu_names(), "the CPU that this one begins with")
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _base(names: list[str], meaning: str) -> JsonSchema:
    return {"description": f"{meaning}: a name, or a file beside it", **_TEXT, "examples": names}


def _field(
    part: type[Part], name: str, info: FieldInfo, parts: dict[str, JsonSchema]
) -> JsonSchema:
    """Return the form of a field: `null` takes away what a base says."""
    about: JsonSchema = {"description": info.description} if info.description else {}
    if isinstance(info.default, bool | str):
        about["default"] = info.default
    elif isinstance(info.default, int):
        quantity = next(iter(units_of(info)), None)
        about["default"] = quantity.text(info.default) if quantity else info.default
    return about | {"anyOf": [*_forms(part, name, info, parts), _NULL]}


def _forms(
    part: type[Part], name: str, info: FieldInfo, parts: dict[str, JsonSchema]
) -> Iterator[JsonSchema]:
    names = _NAMES.get(f"{'cpu' if issubclass(part, Cpu) else part.__name__.lower()}.{name}")
    number, inner = number_field(part, name), part_of(info.annotation)
    if names:
        yield {"enum": [*names()]}
    elif number:
        value = _number(number.quantity)
        yield value
        yield _long(value)
    elif inner:
        yield _of_parts(info.annotation, _reference(inner, parts))
        if name == "kernels" and _container(info.annotation) is tuple:
            yield {"description": "a CSV file beside the YAML", **_TEXT}
    else:
        kind: Any = info.annotation
        yield TypeAdapter(kind).json_schema()


def _of_parts(annotation: Any, form: JsonSchema) -> JsonSchema:
    container = _container(annotation)
    if container is tuple:
        return {"type": "array", "items": form}
    return {"type": "object", "additionalProperties": form} if container is dict else form


def _container(annotation: Any) -> Any:
    """Return tuple or dict, if a field holds one of parts, always or at times."""
    is_union = get_origin(annotation) in (Union, UnionType)
    options = get_args(annotation) if is_union else (annotation,)
    return next((get_origin(each) for each in options if get_origin(each) in (tuple, dict)), None)


def _number(quantity: Quantity | None) -> JsonSchema:
    if quantity is None:
        return {"type": "integer"}
    units = "|".join(map(re.escape, (*quantity.units, *quantity.also)))
    pattern = rf"^\s*{_NUMBER}\s*({units})\s*$"
    return {**_TEXT, "pattern": pattern, "examples": [quantity.example]}


def _long(value: JsonSchema) -> JsonSchema:
    """Return the long form of a number, with its range and source."""
    properties = {
        "value": value,
        "range": {**_TEXT, "examples": ["x0.5 .. x2"]},
        "source": _TEXT,
        "kind": {"enum": [*KINDS]},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": ["value"],
    }
