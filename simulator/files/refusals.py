"""What pydantic finds wrong with a description or a file, in plain words."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from simulator.errors import shown

_NAME = 80  # characters of a path
_PLAIN = {
    "string_type": "write a text, in quotes if it looks like a number",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_from_float": "input should be a valid integer",
    "list_type": "write a list, such as [a, b]",
    "tuple_type": "write a list, such as [a, b]",
    "dict_type": "write settings by name, one in a line",
    "model_type": "write settings by name, one in a line",
    "model_attributes_type": "write settings by name, one in a line",
    "invalid_key": "names of settings are texts: put it in quotes",
    "finite_number": "write a finite number",
}


def path_of(detail: ErrorDetails) -> str:
    """Return the dotted path of a setting, long names cut."""
    places = detail["loc"][:-1] if detail["type"] == "invalid_key" else detail["loc"]
    return ".".join(str(item)[:_NAME] for item in places)


def problem(detail: ErrorDetails) -> str:
    """Return a value that a person wrote and how to write it; our own errors name it themselves."""
    message = _PLAIN.get(detail["type"]) or _own_words(detail)
    if detail["type"] == "value_error":
        return message
    return f"{shown(detail['input'])}: {_lower(message)}"


def damage(error: ValidationError) -> str:
    """Return the first thing wrong with JSON that the product wrote: field, value, expectation."""
    detail = error.errors(include_url=False)[0]
    message = _own_words(detail)
    if detail["type"] == "json_invalid":
        return f"not JSON ({message.removeprefix('Invalid JSON: ')})"
    message = message.removeprefix("Input ").replace(" after validation", "")
    message = _lower(message.replace("Tuple", "List"))
    if not detail["loc"]:
        return message
    where = shown(".".join(map(str, detail["loc"])), _NAME)[1:-1]
    if detail["type"] == "missing":
        return f"{where}: missing"
    return f"{where}: {shown(detail['input'])}: {message}"


def _own_words(detail: ErrorDetails) -> str:
    return detail["msg"].removeprefix("Value error, ")


def _lower(message: str) -> str:
    return f"{message[:1].lower()}{message[1:]}"
