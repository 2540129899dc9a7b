"""Reading a training method from YAML, every mistake told in one sentence."""

import re
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_core import ErrorDetails

from simulator.errors import InputError, listed, shown
from simulator.files.forms import Form, Hints, validate
from simulator.files.text import is_file
from simulator.files.yaml import read_yaml
from simulator.trace.passes.treatment import Rule, Schedule, Treatment
from simulator.units import Permille

METHODS = Path(__file__).resolve().parents[3] / "workloads" / "methods"
_EXAMPLE = "{layer: 'layer1.*', epochs: 0-9, weights: 8, activations: 8, gradients: 8}"


class _Entry(Form):
    """A rule as it stands in the file."""

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
        found = re.fullmatch(r"(\d+)(?:-(\d*))?", str(value)) if value is not None else None
        if value is not None and (found is None or (found[2] and int(found[2]) < int(found[1]))):
            raise ValueError(f"{shown(value)}: write one epoch, or a range such as 0-9 or 10-")
        return value

    def rule(self) -> Rule:
        fields = self.model_dump(exclude={"layer", "epochs"})
        found = (
            re.fullmatch(r"(\d+)(-?)(\d*)", str(self.epochs)) if self.epochs is not None else None
        )
        if found is None:
            return Rule(Treatment(**fields), self.layer)
        last = int(found[3]) if found[3] else None if found[2] else int(found[1])
        return Rule(Treatment(**fields), self.layer, int(found[1]), last)


class _File(Form):
    name: str
    rules: list[_Entry] = Field(min_length=1)


def load_method(path: str | Path) -> Schedule:
    """Return the method that a YAML file describes, or one that ships with the product, by name.

    The file has a `name` and `rules`, of which the first that fits a layer in an epoch holds:
    `layer` (a pattern), `epochs` (from 0), bits of `weights`, `activations` and `gradients` (2 to
    16), `master` (the weights themselves stay as traced), `density` (such as 25 %), `frozen`.
    Raises InputError naming file, key and value.
    """
    source = _find(Path(path))
    raw = read_yaml(source, "workloads/methods/int8.yaml")
    raw.setdefault("name", source.stem)
    found = validate(_File, raw, str(source), _HINTS)
    return Schedule(found.name, tuple(entry.rule() for entry in found.rules))


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


def _known(unknown: ErrorDetails) -> str:
    form = _Entry if len(unknown["loc"]) > 1 else _File
    return f"known: {', '.join(form.model_fields)}"


_HINTS = Hints(_known, f"add it, such as {_EXAMPLE}")
