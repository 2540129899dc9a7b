"""An axis of a design space: settings that move together, and the values that they take."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulator.errors import InputError, shown
from simulator.hardware.settings import UNITS, layers_of, likely, setting_paths
from simulator.si import exact
from simulator.views.design_space import knob_quantity

LABELS = ("trace", "method", "batch")
"""Axes that are no settings of the hardware: which training, treated how, with which batch."""

MODEL = "model."
"""The start of axes that are parameters of the network: model.depth, model.width."""

_MOST = 10_000  # values of one range; more is a slip of the keyboard
_RANGE = re.compile(r"(.+?)\.\.(.+?):\s*([x+])\s*(.+)")
_HOW = "key=v1,v2,... or key=8..64:x2 (doubling) or key=8..64:+8 (in steps)"


@dataclass(frozen=True)
class Axis:
    """Settings `keys` that move together; a choice holds the text of a value for each of them."""

    keys: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Raise InputError for an axis that is empty, or lists a choice or a key twice."""
        name = " = ".join(self.keys)
        if not self.choices:
            raise InputError(f"axis {name}: it has no values: give at least one")
        for key in self.keys:
            if self.keys.count(key) > 1:
                raise InputError(f"axis {name}: {key} is given twice")
        for choice in self.choices:
            if self.choices.count(choice) > 1:
                raise InputError(f"axis {name}: {' '.join(choice)} is given twice")

    @property
    def name(self) -> str:
        """The axis as it is written: its keys, equal ones joined by "="."""
        return (" = " if self.is_equal else ", ").join(self.keys)

    @property
    def is_equal(self) -> bool:
        """Whether all keys take the same value in every choice."""
        return all(len(set(choice)) == 1 for choice in self.choices)


def is_label(key: str) -> bool:
    """Return whether an axis says what trains, and not on which hardware."""
    return key in LABELS or key.startswith(MODEL)


def parse_axes(texts: Sequence[str], *, of_scenario: bool = False) -> tuple[Axis, ...]:
    """Return the axes that texts such as "accelerator.rows=accelerator.cols=8,16" span.

    They are settings of a SoC, or of a scenario, which checks them itself. Raises InputError
    naming the text, and for a key that is given twice.
    """
    axes = []
    for text in texts:
        *keys, values = (part.strip() for part in text.split("="))
        if not keys or not all(keys) or not values:
            raise InputError(f"--set {text}: write it as {_HOW}")
        axes.append(_equal(keys, list(_values(values, keys[0]))))
    return checked(axes, of_scenario=of_scenario)


def read_axes(entries: Mapping[str, Any], *, of_scenario: bool = False) -> tuple[Axis, ...]:
    """Return the axes of a file: values, ranges or pairs by key, by "key = key" or "key, key".

    Raises InputError naming the axis.
    """
    axes = [_read(str(name), value) for name, value in entries.items()]
    return checked(axes, of_scenario=of_scenario)


def checked(axes: Sequence[Axis], *, of_scenario: bool = False) -> tuple[Axis, ...]:
    """Return `axes`; raises InputError for a key in two of them, or one that no SoC has."""
    names = [*setting_paths(), *LABELS]
    keys = [key for axis in axes for key in axis.keys]
    for key in keys:
        is_free = of_scenario or key.startswith((UNITS, MODEL)) or layers_of(key) is not None
        if key not in names and not is_free:
            raise InputError(f"axis {key}: unknown setting; {likely(key, names)}")
        if keys.count(key) > 1:
            raise InputError(f"axis {key}: given twice; list all its values once")
    return tuple(axes)


def _read(name: str, value: Any) -> Axis:
    if "," in name:
        return _linked([key.strip() for key in name.split(",")], value)
    keys = [key.strip() for key in name.split("=")]
    if isinstance(value, Mapping):
        return _equal(keys, list(_described(name, keys[0], value)))
    if isinstance(value, list):
        texts = [_text(name, item) for item in value]
    else:
        texts = [_text(name, value)]
    return _equal(keys, [each for text in texts for each in _values(text, keys[0])])


def _linked(keys: list[str], value: Any) -> Axis:
    rows = value if isinstance(value, list) else []
    if not rows or not all(isinstance(row, list) and len(row) == len(keys) for row in rows):
        raise InputError(
            f"axis {', '.join(keys)}: write a list of [{', '.join(keys)}] with a value for each"
        )
    name = ", ".join(keys)
    return Axis(tuple(keys), tuple(tuple(_text(name, item) for item in row) for row in rows))


def _equal(keys: Sequence[str], values: Sequence[str]) -> Axis:
    return Axis(tuple(keys), tuple((value,) * len(keys) for value in values))


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str) and str(value).strip():
        return str(value).strip()
    raise InputError(f"axis {name}: {shown(value)} is no value: write numbers, texts, or a range")


def _described(name: str, key: str, value: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of {from: 8, to: 64, times: 2} or {from: 8, to: 64, step: 8}."""
    signs = {"times": "x", "step": "+"}
    by = [word for word in signs if word in value]
    if set(value) != {"from", "to", *by} or len(by) != 1:
        raise InputError(f"axis {name}: write a range as {{from: 8, to: 64, times: 2}} or step: 8")
    first, last, step = (_text(name, value[word]) for word in ("from", "to", by[0]))
    yield from _range(key, first, last, signs[by[0]], step)


def _values(text: str, key: str) -> Iterator[str]:
    """Yield the values in "8,16,32", of which each may be a range."""
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match:
            yield from _range(key, *match.groups())
        elif ".." in part and key not in LABELS:  # a path may have dots
            raise InputError(f"axis {key}: {part.strip()}: no such range: write it as {_HOW}")
        elif part.strip():
            yield part.strip()


def _range(key: str, first: str, last: str, sign: str, step: str) -> Iterator[str]:
    text = f"{first}..{last}:{sign}{step}"
    quantity = knob_quantity(key)
    try:
        low, high = (Decimal(quantity.parse(v) if quantity else v) for v in (first, last))
        times = sign == "x" or not quantity
        by = Decimal(step) if times or quantity is None else Decimal(quantity.parse(step))
    except (ValueError, ArithmeticError) as error:
        why = str(error) if quantity and isinstance(error, ValueError) else "not numbers"
        raise InputError(f"axis {key}: {text}: {why}") from None
    if not all(number.is_finite() for number in (low, high, by)):
        raise InputError(f"axis {key}: {text}: not numbers")
    if low > high or by <= (1 if sign == "x" else 0) or (sign == "x" and low <= 0):
        raise InputError(f"axis {key}: {text}: is empty or has no end: write it as {_HOW}")
    for count in range(_MOST + 1):
        value = low * by**count if sign == "x" else low + by * count
        if value > high:
            return
        yield quantity.text(int(value)) if quantity else exact(value)
    raise InputError(f"axis {key}: {text}: has more than {_MOST} values")
