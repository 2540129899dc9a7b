"""What a description says of its numbers: plain values, ranges, sources.

A number stands plainly, its source a comment, `launch: 10 us  # guess: ioctl`, or in the long form
`launch: {value: 10 us, range: 3 us .. 40 us, source: ..., kind: guess}`, whose source may be a
comment as well. Without `kind`, the first of these words that the source has decides: "guess",
"chosen" (the design is free to take it), "calibrated" or "fitted", "measured". Any other source
makes the number published, no source a guess. Only settings have ranges: `--set` does not reach
entries of lists and mappings, which have sources only.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_origin

from simulator.errors import join_names, shown
from simulator.hardware.constant import KINDS, Constant, ConstantKind
from simulator.hardware.part import Part, part_of
from simulator.hardware.ranges import NumberField, number_field, range_of

if TYPE_CHECKING:
    from simulator.files.yaml_comments import Comments

_KEYS = ("value", "range", "source", "kind")
_WORDS: tuple[tuple[ConstantKind, re.Pattern[str]], ...] = (
    ("guess", re.compile(r"\bguess(es|ed)?\b", re.IGNORECASE)),
    ("chosen", re.compile(r"\bchosen\b", re.IGNORECASE)),
    ("fitted", re.compile(r"\b(calibrated|fitted)\b", re.IGNORECASE)),
    ("measured", re.compile(r"(?<!not )\bmeasured\b", re.IGNORECASE)),
)


@dataclass(frozen=True)
class Mistake:
    """A mistake in the long form of a number; `is_unset` if the number has no value then."""

    path: str
    problem: str
    is_unset: bool = False

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"{self.path}: {self.problem}"


@dataclass
class Stated:
    """A description: plain values, ranges and sources of its numbers, and mistakes."""

    values: dict[str, Any] = field(default_factory=dict)
    constants: list[Constant] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


def stated(
    part: type[Part],
    content: Mapping[str, Any],
    comments: "Comments",
    at: tuple[str, ...] = (),
    *,
    ranges: bool = True,
) -> Stated:
    """Return what the YAML `content` of the part at a path says; `content` is not changed.

    Without `ranges` a range is a mistake: no setting reaches this part.
    """
    result = Stated()
    result.values.update(_Reader(comments, result).part(part, content, at, ranges))
    return result


def kind_of(source: str) -> ConstantKind:
    """Return the kind of a number by the words of its source; without a source it is a guess."""
    words = (kind for kind, word in _WORDS if word.search(source))
    return next(words, "published") if source else "guess"


def is_long_form(value: Any) -> bool:
    """Whether a value in YAML is in the long form, with a range or source."""
    return isinstance(value, Mapping) and not value.keys().isdisjoint(_KEYS)


def _constant(
    path: str, number: NumberField, value: int, entry: Mapping[str, Any], comment: str
) -> Constant:
    """Return what the long form of a number says. Raises ValueError with the fix."""
    _check_keys(entry)
    source, kind = entry.get("source", comment), entry.get("kind")
    if not isinstance(source, str):
        raise ValueError(f"source {shown(source)}: write a text")
    if "kind" in entry and kind not in KINDS:
        raise ValueError(f"kind {shown(kind)}: write one of {join_names(KINDS)}")
    low, high = range_of(number, entry["range"], value) if "range" in entry else (value, value)
    unit = number.quantity.unit if number.quantity else ""
    return Constant(path, value, low, high, source, kind or kind_of(source), unit)


def _check_keys(entry: Iterable[Any]) -> None:
    unknown = next((key for key in entry if key not in _KEYS), None)
    if unknown is not None:
        close = difflib.get_close_matches(str(unknown), _KEYS, 1)
        hint = f"did you mean {close[0]}?" if close else f"known: {join_names(_KEYS)}"
        raise ValueError(f"unknown key {shown(unknown)}; {hint}")


@dataclass
class _Reader:
    """Walks a description along the fields of its parts and collects into `result`."""

    comments: "Comments"
    result: Stated

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
        """Return the plain value of a number, and note its range and source."""
        comment = self.comments.get(path, "")
        entry = value if is_long_form(value) else {"value": value}
        if "range" in entry and not ranges:
            self._wrong(path, "is no setting and has no range: leave out range")
        elif comment or len(entry) > 1:
            self._note(number, entry, path, comment)
        return entry["value"]

    def _note(
        self, number: NumberField, entry: Mapping[str, Any], path: tuple[str, ...], comment: str
    ) -> None:
        """Note range and source of a number; its field refuses a value that is none."""
        value, where = _parsed(number, entry["value"]), ".".join(path)
        if value is None:
            return
        try:
            self.result.constants.append(_constant(where, number, value, entry, comment))
        except ValueError as error:
            self._wrong(path, str(error))

    def _wrong(self, path: tuple[str, ...], problem: str, *, is_unset: bool = False) -> None:
        self.result.mistakes.append(Mistake(".".join(path), problem, is_unset))


def _parsed(number: NumberField, value: Any) -> int | None:
    """Return a number in its inner unit, or None if it is none."""
    if number.quantity is None:
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    try:
        return number.quantity.parse(value)
    except ValueError:
        return None
