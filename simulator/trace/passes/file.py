"""Reads a training method from YAML; every mistake is one sentence."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import Field, create_model, field_validator, model_validator
from pydantic_core import ErrorDetails

from simulator.errors import InputError, nearest, shown
from simulator.files.forms import Form, Hints, validate
from simulator.files.text import is_file
from simulator.files.yaml import read_yaml
from simulator.trace.passes.prune import PruneWeights
from simulator.trace.passes.registry import hint, lookup
from simulator.trace.passes.treatment import AS_IS, MethodSchedule, Treatment, TreatmentRule
from simulator.units import Permille

METHODS = Path(__file__).resolve().parents[3] / "workloads" / "methods"
_EPOCHS = re.compile(r"(\d+)(?:(-)(\d*))?")
_DENSE = AS_IS.density
_EXAMPLE = "{layer: 'layer1.*', epochs: 0-9, weights: 8, activations: 8, gradients: 8}"


class _Entry(Form):
    """A rule as it stands in the file; `_model` adds the keys of further passes as aliases."""

    layer: str = "*"
    epochs: str | int | None = None
    weights: int | None = Field(default=None, ge=2, le=16)
    activations: int | None = Field(default=None, ge=2, le=16)
    gradients: int | None = Field(default=None, ge=2, le=16)
    master: bool = False
    density: Permille = Field(default=_DENSE, gt=0, le=_DENSE)
    frozen: bool = False

    @field_validator("epochs")
    @classmethod
    def _are_a_range(cls, value: str | int | None) -> str | int | None:
        first, last = _range(value) or (1, 0)
        if value is not None and last is not None and last < first:
            raise ValueError(f"{shown(value)}: write one epoch, or a range such as 0-9 or 10-")
        return value

    @model_validator(mode="after")
    def _has_one_density(self) -> Self:
        if self.density < _DENSE and PruneWeights.key in dict(self.settings):
            raise ValueError("density and sparsity both prune the weights: give one of them")
        return self

    @property
    def settings(self) -> tuple[tuple[str, Any], ...]:
        """The values of further passes, by their keys."""
        fields = type(self).model_fields
        further = ((field.alias, getattr(self, name)) for name, field in fields.items())
        return tuple((key, value) for key, value in further if key and value is not None)

    def rule(self) -> TreatmentRule:
        """Return the rule; its settings are those of further passes that the entry has."""
        own = {name: getattr(self, name) for name in _KEYS if name not in ("layer", "epochs")}
        first, last = _range(self.epochs) or (0, None)
        return TreatmentRule(Treatment(**own, settings=self.settings), self.layer, first, last)


_KEYS = frozenset(_Entry.model_fields)


class _File(Form):
    """A method as it stands in the file."""

    name: str
    rules: list[_Entry] = Field(min_length=1)


def load_method(path: str | Path) -> MethodSchedule:
    """Return the method that a YAML file describes, or one that ships with the product, by name.

    The file has a `name` and `rules`, of which the first that matches a layer in an epoch holds:
    `layer` (a pattern), `epochs` (from 0), bits of `weights`, `activations` and `gradients` (2 to
    16), `master` (the weights themselves stay as traced), `density` (such as 25 %), `frozen`,
    `sparsity` and `gradient_sparsity` (2:4, or {block: 16x16, density: 1/4}), and the keys of
    installed passes. Raises InputError naming file, key and value.
    """
    source = _find(Path(path))
    raw = read_yaml(source, "workloads/methods/int8.yaml")
    raw.setdefault("name", source.stem)
    file = validate(_model(set(_keys_in(raw))), raw, str(source), _HINTS)
    return MethodSchedule(file.name, tuple(entry.rule() for entry in file.rules))


def method_names() -> list[str]:
    """Return the names of the methods that ship with the product."""
    return sorted(path.stem for path in METHODS.glob("*.yaml"))


def _find(path: Path) -> Path:
    if is_file(path):
        return path
    shipped = METHODS / f"{path}.yaml"
    if not is_file(shipped):
        hint = nearest(str(path), method_names(), "give a YAML file or one of {}")
        raise InputError(f"no method at {path}: {hint}")
    return shipped


def _range(epochs: str | int | None) -> tuple[int, int | None] | None:
    """Return the first and last epoch of "3", "3-9" or "3-" (no last one), None for other text."""
    parts = _EPOCHS.fullmatch(str(epochs))
    if parts is None:
        return None
    first, dash, last = parts.groups()
    return int(first), (int(last) if last else None) if dash else int(first)


def _keys_in(raw: dict[str, Any]) -> Iterator[str]:
    """Yield the keys of the rules, whatever else is wrong with the file."""
    rules = raw.get("rules")
    for rule in rules if isinstance(rules, list) else []:
        yield from (key for key in rule if isinstance(key, str)) if isinstance(rule, dict) else ()


def _model(keys: set[str]) -> type[_File]:
    """Return the form of a file whose rules may have those of `keys` that are of passes, too."""
    matches = ((key, lookup(key)) for key in sorted(keys - _KEYS))
    passes = [(key, each.value_type) for key, each in matches if each is not None]
    if not passes:
        return _File
    further: dict[str, Any] = {
        f"further_{number}": (kind | None, Field(default=None, alias=key))
        for number, (key, kind) in enumerate(passes)
    }
    entry = create_model("_FurtherEntry", __base__=_Entry, **further)
    return create_model("_FurtherFile", __base__=_File, rules=(list[entry], Field(min_length=1)))


def _suggestion(unknown: ErrorDetails) -> str:
    if len(unknown["loc"]) > 1:
        return hint(str(unknown["loc"][-1]), _Entry.model_fields)
    return f"known: {', '.join(_File.model_fields)}"


_HINTS = Hints(_suggestion, f"add it, such as {_EXAMPLE}")
