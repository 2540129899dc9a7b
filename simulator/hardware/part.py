"""A part of a SoC: strict, frozen, comparable, with a digest and a view in plain numbers."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self, get_args

from pydantic.fields import FieldInfo

from simulator.files.forms import Form
from simulator.memo import remember
from simulator.units import Quantity

FASTEST_HZ = 10**12  # of any clock; more is a slip of the keyboard


def units_of(info: FieldInfo) -> list[Quantity]:
    """Return the dimension of a field, in a list; none for a plain number. It may be optional."""
    within = [item for kind in get_args(info.annotation) for item in get_args(kind)]
    return [item for item in (*info.metadata, *within) if isinstance(item, Quantity)]


@remember("fields of parts", most=64)
def _fields(part: "type[Part]") -> tuple[tuple[str, str, Quantity | None], ...]:
    """Return the fields of a kind of part, each with its key in YAML and its dimension."""
    return tuple(
        (name, info.alias or name, next(iter(units_of(info)), None))
        for name, info in part.model_fields.items()
    )


class Part(Form):
    """Base of every description: a form with a digest, and with views in plain numbers and text."""

    __slots__ = ("_hash_value",)  # outside of the values: neither copied, pickled nor compared

    def __hash__(self) -> int:
        """Return the hash of all values, computed once: parts are frozen, and keys of memos."""
        try:
            value: int = _HASH_VALUE.__get__(self)
        except AttributeError:
            values = self.__dict__
            own = (values[name] for name in type(self).model_fields)
            value = hash(tuple([frozenset(v.items()) if type(v) is dict else v for v in own]))
            _HASH_VALUE.__set__(self, value)
        return value

    def plain(self) -> dict[str, Any]:
        """Return every value as a plain number or text, the unit in its key (`clock_hz`)."""
        view: dict[str, Any] = {}
        for name, key, quantity in _fields(type(self)):
            value = getattr(self, name)
            if isinstance(value, Part):
                view[key] = value.plain()
            elif value and isinstance(value, tuple) and isinstance(value[0], Part):
                view[key] = [item.plain() for item in value]
            elif isinstance(value, dict):
                view[key] = {key: part.plain() for key, part in value.items()}
            elif value is not None or name == "accelerator":
                view[key + (quantity.suffix if quantity else "")] = value
        return view

    def as_text(self) -> dict[str, Any]:
        """Return the description as it would stand in a YAML file, with units as text."""
        view: dict[str, Any] = {}
        for name, key, quantity in _fields(type(self)):
            value = getattr(self, name)
            if isinstance(value, Part):
                view[key] = value.as_text()
            elif value and isinstance(value, tuple) and isinstance(value[0], Part):
                view[key] = [item.as_text() for item in value]
            elif isinstance(value, dict):
                view[key] = {key: part.as_text() for key, part in value.items()}
            elif value is not None:
                view[key] = quantity.text(value) if quantity else value
        return view

    @property
    def summary(self) -> str:
        """What the part is in a few words, for people."""
        return type(self).__name__

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the resolved values."""
        return digest_of(self.canonical)

    @cached_property
    def canonical(self) -> str:
        """The view in plain numbers as JSON."""
        return canonical_json(self.plain())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values. What was derived of the old ones stays behind."""
        copy = super().model_copy(update=update, deep=deep)
        for derived in ("digest", "canonical"):
            copy.__dict__.pop(derived, None)
        return copy


_HASH_VALUE: Any = Part.__dict__["_hash_value"]  # past the checks of frozen forms


def digest_of(canonical: str) -> str:
    """Return the digest of a part from its view as JSON."""
    return hashlib.sha256(canonical.encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """Return a plain value as JSON in its only form: keys sorted, without spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def value_at(part: Part, path: str) -> Any:
    """Return the value at a dotted path, in inner units; None where `part` has no such thing.

    Entries of lists have their number from 0 for a name, those of a mapping their key.
    """
    value: Any = part
    for name in path.split("."):
        if isinstance(value, tuple):
            value = value[int(name)] if name.isdigit() and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return value


def quantity_at(part: Part, path: str) -> Quantity | None:
    """Return the dimension of the number at a dotted path; None for a plain one, or none."""
    parents, _, leaf = path.rpartition(".")
    owner = value_at(part, parents) if parents else part
    info = type(owner).model_fields.get(leaf) if isinstance(owner, Part) else None
    return next(iter(units_of(info)), None) if info else None


def part_of(annotation: Any) -> type[Part] | None:
    """Return the part that a field holds, if it holds one, always or at times."""
    kinds = (annotation, *get_args(annotation))
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, Part)), None)
