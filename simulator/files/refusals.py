"""Mistakes in a description, in plain words: pydantic finds them, this tells them."""

from collections.abc import Callable, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from simulator.errors import InputError, sentence, several, shown

_FIRST = 20  # mistakes that are looked at; the rest is counted
_NAME = 80  # characters of a key
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


def refusal(
    error: ValidationError,
    told: Callable[[ErrorDetails], str],
    implied: Callable[[Sequence[ErrorDetails]], set[str]] = lambda _: set(),
    others: Sequence[str] = (),
) -> InputError:
    """Return the first mistakes and how many more there are, each as `told` says it.

    `implied` are paths whose absence follows from another mistake; `others` are sentences on
    mistakes that pydantic does not look for, and come last.
    """
    details = error.errors(include_url=False, include_context=False)
    first = details[:_FIRST]
    silent = implied(first)
    kept = [one for one in first if one["type"] != "missing" or path_of(one) not in silent]
    texts = list(dict.fromkeys([*(sentence(told(one)) for one in kept), *others]))
    return InputError(several(texts, len(texts) + len(details) - len(first)))


def path_of(detail: ErrorDetails) -> str:
    """Return the dotted path of a setting, long names cut."""
    places = detail["loc"][:-1] if detail["type"] == "invalid_key" else detail["loc"]
    return ".".join(str(item)[:_NAME] for item in places)


def problem(detail: ErrorDetails) -> str:
    """Return a value and what is wrong with it; without the value where that tells it itself."""
    plain = _PLAIN.get(detail["type"])
    message = plain or detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return message
    return f"{shown(detail['input'])}: {message[:1].lower()}{message[1:]}"
