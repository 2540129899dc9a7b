"""Reads a training method from YAML; every mistake is one sentence."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
)
from pydantic_core import ErrorDetails

from simulator.errors import InputError, listed, shown
from simulator.files.refusals import path_of, problem, refusal
from simulator.files.text import is_file
from simulator.files.yaml import read_yaml
from simulator.trace.passes.registry import lookup, unknown_key
from simulator.trace.passes.treatment import MethodSchedule, Treatment, TreatmentRule
from simulator.units import Permille

METHODS = Path(__file__).resolve().parents[3] / "workloads" / "methods"
_EPOCHS = re.compile(r"(?P<first>\d+)(?P<dash>-(?P<last>\d*))?")
_EXAMPLE = "{layer: 'layer1.*', epochs: 0-9, weights: 8, activations: 8, gradients: 8}"


class _Entry(BaseModel):
    """A rule as it stands in the file; a subclass adds the keys of further passes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    layer: str = "*"
    epochs: str | int | None = None
    weights: int | None = Field(default=None, ge=2, le=16)
    activations: int | None = Field(default=None, ge=2, le=16)
    gradients: int | None = Field(default=None, ge=2, le=16)
    master: bool = False
    density: Permille = Field(default=1000, gt=0, le=1000)
    frozen: bool = False

    @field_validator("epochs")
    @classmethod
    def _are_a_range(cls, value: str | int | None) -> str | int | None:
        if value is None:
            return None
        range_ = _EPOCHS.fullmatch(str(value))
        if range_ is None or (range_["last"] and int(range_["last"]) < int(range_["first"])):
            raise ValueError(f"{shown(value)}: write one epoch, or a range such as 0-9 or 10-")
        return value

    def rule(self) -> TreatmentRule:
        fields = {name: getattr(self, name) for name in _OF_TREATMENT}
        further = ((key, getattr(self, key)) for key in type(self).model_fields if key not in _KEYS)
        settings = tuple((key, value) for key, value in further if value is not None)
        treatment = Treatment(**fields, settings=settings)
        epochs = _EPOCHS.fullmatch(str(self.epochs)) if self.epochs is not None else None
        if epochs is None:
            return TreatmentRule(treatment, self.layer)
        first = int(epochs["first"])
        open_end = None if epochs["dash"] else first
        last = int(epochs["last"]) if epochs["last"] else open_end
        return TreatmentRule(treatment, self.layer, first, last)


_KEYS = frozenset(_Entry.model_fields)
_OF_TREATMENT = _KEYS - {"layer", "epochs"}


class _File(BaseModel):
    """A method as it stands in the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    rules: list[Any] = Field(min_length=1)


def load_method(path: str | Path) -> MethodSchedule:
    """Return the method that a YAML file describes, or one that ships with the product, by name.

    The file has a `name` and `rules`, of which the first that matches a layer in an epoch holds:
    `layer` (a pattern), `epochs` (from 0), bits of `weights`, `activations` and `gradients` (2 to
    16), `master` (the weights themselves stay as traced), `density` (such as 25 %), `frozen`, and
    the keys of installed passes. Raises InputError naming file, key and value.
    """
    source = _find(Path(path))
    raw = read_yaml(source, "workloads/methods/int8.yaml")
    raw.setdefault("name", source.stem)
    try:
        method = _model(set(_keys_in(raw))).model_validate(raw)
    except ValidationError as error:
        raise refusal(error, partial(_sentence, source)) from None
    return MethodSchedule(method.name, tuple(entry.rule() for entry in method.rules))


def _keys_in(raw: dict[str, Any]) -> Iterator[str]:
    """Yield the keys of the rules, whatever else is wrong with the file."""
    rules = raw.get("rules")
    for rule in rules if isinstance(rules, list) else []:
        yield from (key for key in rule if isinstance(key, str)) if isinstance(rule, dict) else ()


def _model(keys: set[str]) -> type[_File]:
    """Return the form of a file whose rules may have those of `keys` that are of passes, too."""
    passes = {key: lookup(key) for key in sorted(keys - _KEYS) if key.isidentifier()}
    further: dict[str, Any] = {
        key: (each.value_type | None, None) for key, each in passes.items() if each is not None
    }
    entry = create_model("_FurtherEntry", __base__=_Entry, **further)
    return create_model(
        "_FurtherFile",
        __base__=_File,
        rules=(list[entry], Field(min_length=1)),
    )


def method_names() -> list[str]:
    """Return the names of the methods that ship with the product."""
    return sorted(path.stem for path in METHODS.glob("*.yaml"))


def _find(path: Path) -> Path:
    if is_file(path):
        return path
    shipped = METHODS / f"{path}.yaml"
    if not is_file(shipped):
        known = listed(method_names())
        raise InputError(f"no method at {path}: give a YAML file or one of {known}")
    return shipped


def _sentence(source: Path, detail: ErrorDetails) -> str:
    where = f"{source}: {path_of(detail)}"
    if detail["type"] == "extra_forbidden":
        if len(detail["loc"]) > 1:
            return f"{where}: {unknown_key(str(detail['loc'][-1]), _Entry.model_fields)}"
        return f"{where}: unknown key; known: {', '.join(_File.model_fields)}"
    if detail["type"] == "missing":
        return f"{where}: missing; add it, such as {_EXAMPLE}"
    return f"{where}: {problem(detail)}"
