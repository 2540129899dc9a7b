"""Reading JSON that the product wrote: strict models, one sentence for a mistake."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from simulator.errors import InputError
from simulator.files.refusals import damage

BY_NEED = ConfigDict(defer_build=True)
"""Configures a document so that its check is built where one is read: few commands read any."""

_M = TypeVar("_M", bound="Strict")
_D = TypeVar("_D")


class Strict(BaseModel):
    """An object of a file: exact types, finite numbers; keys that it does not name are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


def parse_json(model: type[_M], data: str | bytes, source: str, fix: str) -> _M:
    """Return the object that `data`, content of the file `source`, holds.

    Raises InputError that names file, field and value, and ends in `fix`.
    """
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise InputError(f"{source}: {damage(error)}: {fix}") from None


def read_document(adapter: TypeAdapter[_D], path: Path, fix: str) -> _D:
    """Return the whole content of a JSON file, an object as the TypedDict of `adapter` has it.

    Keys that it does not name are there too. Raises OSError, and InputError as `parse_json` does.
    """
    data = path.read_bytes()
    try:
        adapter.validate_json(data, strict=True)
        document: _D = from_json(data, allow_inf_nan=False)
    except ValidationError as error:
        raise InputError(f"{path}: {damage(error)}: {fix}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}): {fix}") from None
    return document
