"""Verbs with many options take them as one frozen object."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints


def with_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Return the verb as typer reads it: each field of its last argument is an option.

    That argument is a dataclass of `Annotated` fields; the verb gets it filled in.
    """
    *others, options = inspect.signature(verb).parameters.values()
    hints = get_type_hints(options.annotation, include_extras=True)

    def command(**values: Any) -> None:
        own = {other.name: values.pop(other.name) for other in others}
        verb(*own.values(), options.annotation(**values))

    parameters = [*others, *(_parameter(each, hints) for each in fields(options.annotation))]
    command.__name__, command.__doc__ = verb.__name__, verb.__doc__
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    command.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    return command


def _parameter(field: "Field[Any]", hints: dict[str, Any]) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    keyword, hint = inspect.Parameter.KEYWORD_ONLY, hints[field.name]
    return inspect.Parameter(field.name, keyword, default=default, annotation=hint)
