"""Reading JSON that the product wrote itself: checked once, every mistake in one sentence."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from simulator.errors import InputError, shown

_M = TypeVar("_M", bound="Strict")
_D = TypeVar("_D")


class Strict(BaseModel):
    """An object of a file: exact types, finite numbers; keys that it does not name are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


def parse_json(model: type[_M], data: str | bytes, source: str, fix: str) -> _M:
    """Return the object that `data`, content of the file `source`, holds.

    Raises InputError that names file, field and value, and ends in `fix`.
    """
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise _refused(error, source, fix) from None


def read_document(adapter: TypeAdapter[_D], path: Path, fix: str) -> _D:
    """Return the whole content of a JSON file, an object as the TypedDict of `adapter` has it.

    Keys that it does not name are there too. Raises OSError, and InputError as `parse_json` does.
    """
    data = path.read_bytes()
    try:
        adapter.validate_json(data, strict=True)
        document: _D = from_json(data, allow_inf_nan=False)
    except ValidationError as error:
        raise _refused(error, str(path), fix) from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}): {fix}") from None
    return document


def _refused(error: ValidationError, source: str, fix: str) -> InputError:
    first = error.errors(include_url=False)[0]
    return InputError(f"{source}: {_mistake(first)}: {fix}")


def _mistake(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "json_invalid":
        return f"not JSON ({message.removeprefix('Invalid JSON: ')})"
    message = (
        message.removeprefix("Input ").replace(" after validation", "").replace("Tuple", "List")
    )
    if not error["loc"]:
        return f"{message[:1].lower()}{message[1:]}"
    where = shown(".".join(map(str, error["loc"])), 80)[1:-1]
    if error["type"] == "missing":
        return f"{where}: missing"
    return f"{where}: {shown(error['input'])}: {message[:1].lower()}{message[1:]}"
