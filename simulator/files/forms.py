"""Descriptions that people write: strict models, and the sentences on what is wrong with one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from simulator.errors import InputError, sentence, several
from simulator.files.refusals import path_of, problem

_FIRST = 20  # mistakes that are looked at; the rest is counted


class Form(BaseModel):
    """What a person writes: exact types, unknown keys are refused, nothing changes afterwards."""

    # Built at first use: most commands read few of the forms that they import.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


_Form = TypeVar("_Form", bound=Form)
_Value = TypeVar("_Value")


def _none(_: ErrorDetails) -> None:
    return None


def _no_paths(_: Sequence[ErrorDetails]) -> set[str]:
    return set()


@dataclass(frozen=True, slots=True)
class Hints:
    """What only a form itself knows about the mistakes in it.

    `unknown` is the fix for an unknown key, `missing` that for a missing one; `instead` may replace
    path and problem by words of its own; `implied` are the missing paths that another mistake
    explains, such as a key that is misspelt.
    """

    unknown: Callable[[ErrorDetails], str]
    missing: str = "add it"
    instead: Callable[[ErrorDetails], str | None] = _none
    implied: Callable[[Sequence[ErrorDetails]], set[str]] = _no_paths


def validate(
    form: type[_Form], content: Any, label: str, hints: Hints, others: Sequence[str] = ()
) -> _Form:
    """Return the form with this `content`, of the file or setting `label`.

    Raises InputError with the first mistakes and how many more there are. `others` are sentences
    on mistakes that pydantic does not look for; they come last.
    """
    try:
        valid = form.model_validate(content)
    except ValidationError as error:
        raise _refusal(error, label, hints, others) from None
    if others:
        raise InputError(several(others, len(others)), others)
    return valid


def check(kind: TypeAdapter[_Value], value: Any) -> _Value:
    """Return a single `value` as its kind has it. Raises ValueError with the fix."""
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError as error:
        raise ValueError(problem(error.errors(include_url=False)[0])) from None


def _refusal(error: ValidationError, label: str, hints: Hints, others: Sequence[str]) -> InputError:
    details = error.errors(include_url=False, include_context=False)
    first = sorted(details, key=_rank)[:_FIRST]
    implied = hints.implied(first)
    survivors = [one for one in first if one["type"] != "missing" or path_of(one) not in implied]
    texts = list(dict.fromkeys([*(_sentence(one, label, hints) for one in survivors), *others]))
    count = len(texts) + len(details) - len(first)
    more = [f"and {count - len(texts):,} more"] if count > len(texts) else []
    return InputError(several(texts, count), [*texts, *more])


def _rank(detail: ErrorDetails) -> int:
    """Return how soon a mistake is told: what is misspelt explains others, what is missing may be
    one of those.
    """
    return {"extra_forbidden": 0, "missing": 2}.get(detail["type"], 1)


def _sentence(detail: ErrorDetails, label: str, hints: Hints) -> str:
    words = hints.instead(detail)
    if words is None:
        path = path_of(detail)  # empty where the parts of a form do not fit each other
        words = f"{path}: {_fix(detail, hints)}" if path else _fix(detail, hints)
    return sentence(f"{label}: {words}")


def _fix(detail: ErrorDetails, hints: Hints) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key; {hints.unknown(detail)}"
    if detail["type"] == "missing":
        return f"missing; {hints.missing}"
    return problem(detail)
