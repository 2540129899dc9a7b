"""What a description says of its numbers: values in their plain form, ranges, sources.

A number is written plainly with its source as a comment, `launch: 10 us  # guess: ioctl`, or as
`launch: {value: 10 us, range: 3 us .. 40 us, source: ..., kind: guess}`, where the source may stay
a comment. Without `kind` words of the source tell it: "guess" makes a guess, "chosen" a decision of
the design, "calibrated" or "fitted" a fitted number, "measured" a measured one, the first of these
that is there; anything else is published, and what has no source a guess. Of a number
with neither source nor range nothing is known. Ranges are for settings alone: entries of lists
and of mappings by name, which no `--set` reaches, have sources only.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_origin

from simulator.errors import listed, shown
from simulator.hardware.constant import KINDS, Constant, Kind
from simulator.hardware.part import Part, part_of
from simulator.hardware.ranges import NumberField, number_field, range_of

if TYPE_CHECKING:
    from simulator.files.yaml_comments import Comments

_KEYS = ("value", "range", "source", "kind")
_WORDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("guess", re.compile(r"\bguess(es|ed)?\b", re.IGNORECASE)),
    ("chosen", re.compile(r"\bchosen\b", re.IGNORECASE)),
    ("fitted", re.compile(r"\b(calibrated|fitted)\b", re.IGNORECASE)),
    ("measured", re.compile(r"(?<!not )\bmeasured\b", re.IGNORECASE)),
)


@dataclass(frozen=True)
class Mistake:
    """What is wrong with what is said of a number, and whether it leaves it without a value."""

    path: str
    problem: str
    is_unset: bool = False

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"{self.path}: {self.problem}"


@dataclass
class Stated:
    """A description in plain values, what it says of them, and what is wrong with that."""

    values: dict[str, Any] = field(default_factory=dict)
    constants: list[Constant] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


def stated(
    part: type[Part], content: Mapping[str, Any], comments: "Comments", *, ranges: bool = True
) -> Stated:
    """Return what the YAML `content` of a part says; `content` itself stays as it is.

    Without `ranges` it is a part that no setting reaches, and a range in it is a mistake.
    """
    found = Stated()
    found.values.update(_Reader(comments, found).part(part, content, (), ranges))
    return found


def kind_of(source: str) -> Kind:
    """Return how a number came about, by the words of its source; without any it is a guess."""
    words = (kind for kind, word in _WORDS if word.search(source))
    return next(words, "published") if source else "guess"


def is_long_form(value: Any) -> bool:
    """Whether a value in YAML is one with its range or source."""
    return isinstance(value, Mapping) and not value.keys().isdisjoint(_KEYS)


def _constant(
    path: str, number: NumberField, value: int, given: Mapping[str, Any], comment: str
) -> Constant:
    """Return what the long form of a number says. Raises ValueError with the fix."""
    _check_keys(given)
    source, kind = given.get("source", comment), given.get("kind")
    if not isinstance(source, str):
        raise ValueError(f"source {shown(source)}: write a text")
    if "kind" in given and kind not in KINDS:
        raise ValueError(f"kind {shown(kind)}: write one of {listed(KINDS)}")
    low, high = range_of(number, given["range"], value) if "range" in given else (value, value)
    return Constant(path, value, low, high, source, kind or kind_of(source))


def _check_keys(given: Iterable[Any]) -> None:
    unknown = next((key for key in given if key not in _KEYS), None)
    if unknown is not None:
        close = difflib.get_close_matches(str(unknown), _KEYS, 1)
        hint = f"did you mean {close[0]}?" if close else f"known: {listed(_KEYS)}"
        raise ValueError(f"unknown key {shown(unknown)}; {hint}")


@dataclass
class _Reader:
    """Goes through a description by the fields of its parts, and adds to what is `found`."""

    comments: "Comments"
    found: Stated

    def part(
        self, part: type[Part], content: Mapping[str, Any], path: tuple[str, ...], ranges: bool
    ) -> dict[str, Any]:
        """Return the plain values of one part."""
        return {
            name: self._value(part, name, value, (*path, str(name)), ranges)
            for name, value in content.items()
            if not self._is_unset(number_field(part, name), value, (*path, str(name)))
        }

    def _is_unset(self, number: NumberField | None, value: Any, path: tuple[str, ...]) -> bool:
        unset = number is not None and is_long_form(value) and "value" not in value
        if unset:
            self._wrong(path, "has no value: add value", is_unset=True)
        return unset

    def _value(
        self, part: type[Part], name: str, value: Any, path: tuple[str, ...], ranges: bool
    ) -> Any:
        number = number_field(part, name)
        info = part.model_fields.get(name)
        if number:
            return self._number(number, value, path, ranges)
        nested = part_of(info.annotation) if info else None
        if info and nested:
            return self._nested(nested, get_origin(info.annotation), value, path, ranges)
        if info and is_long_form(value) and "value" in value:
            self._wrong(path, f"is no number and has no range: write {name}: value")
            return value["value"]
        return value

    def _nested(
        self, part: type[Part], origin: Any, value: Any, path: tuple[str, ...], ranges: bool
    ) -> Any:
        """Return a part in plain values, or a list of parts, or parts by name."""
        if isinstance(value, list):
            return [self._entry(part, item, (*path, str(i))) for i, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if origin is dict:
            return {key: self._entry(part, item, (*path, str(key))) for key, item in value.items()}
        return self.part(part, value, path, ranges)

    def _entry(self, part: type[Part], value: Any, path: tuple[str, ...]) -> Any:
        return self.part(part, value, path, ranges=False) if isinstance(value, dict) else value

    def _number(self, number: NumberField, value: Any, path: tuple[str, ...], ranges: bool) -> Any:
        """Return the plain value of a number, and note what is said of it."""
        comment = self.comments.get(path, "")
        given = value if is_long_form(value) else {"value": value}
        if "range" in given and not ranges:
            self._wrong(path, "is no setting and has no range: leave out range")
        elif comment or len(given) > 1:
            self._note(number, given, path, comment)
        return given["value"]

    def _note(
        self, number: NumberField, given: Mapping[str, Any], path: tuple[str, ...], comment: str
    ) -> None:
        """Note what is said of a number. Whether it is one at all is told by its field."""
        value, where = _parsed(number, given["value"]), ".".join(path)
        if value is None:
            return
        try:
            self.found.constants.append(_constant(where, number, value, given, comment))
        except ValueError as error:
            self._wrong(path, str(error))

    def _wrong(self, path: tuple[str, ...], problem: str, *, is_unset: bool = False) -> None:
        self.found.mistakes.append(Mistake(".".join(path), problem, is_unset))


def _parsed(number: NumberField, value: Any) -> int | None:
    """Return a number in its inner unit, or None if it is none."""
    if number.quantity is None:
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    try:
        return number.quantity.parse(value)
    except ValueError:
        return None
