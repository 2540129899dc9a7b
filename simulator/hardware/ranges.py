"""Numbers and ranges as text in the unit of their field, checked by it."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, get_args

from pydantic import TypeAdapter

from simulator.errors import shown
from simulator.files.forms import check
from simulator.hardware.part import Part, units_of
from simulator.memo import remember
from simulator.units import Quantity

_FACTOR = re.compile(r"x([0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class NumberField:
    """A field of a part that holds one number."""

    part: type[Part]
    name: str

    @property
    def quantity(self) -> Quantity | None:
        """Its dimension; None for a plain number."""
        return next(iter(units_of(self.part.model_fields[self.name])), None)


@remember("fields of numbers", most=2048)
def number_field(part: type[Part], name: str) -> NumberField | None:
    """Return the field of `part` called `name` if it holds one number, always or at times."""
    info = part.model_fields.get(name)
    kinds = (info.annotation, *get_args(info.annotation)) if info else ()
    inner = [item for kind in kinds for item in get_args(kind)]
    return NumberField(part, name) if int in (*kinds, *inner) else None


def range_of(field: NumberField, text: Any, value: int) -> tuple[int, int]:
    """Return the ends of a range of this field: "3 us .. 40 us", or of `value`: "x0.5 .. x2".

    Raises ValueError with the fix unless they are numbers of the field with `value` between them.
    """
    ends = [end.strip() for end in text.split("..", 1)] if isinstance(text, str) else []
    if len(ends) != 2 or not all(ends):
        raise ValueError(f"range {shown(text)}: write it as low .. high, or x0.5 .. x2")
    low, high = (_end(field, end, value) for end in ends)
    if low > high:
        raise ValueError(f"range {shown(text)}: begins above its end: swap the two")
    if not low <= value <= high:
        raise ValueError(f"range {shown(text)}: the value lies outside: widen it")
    return low, high


def _end(field: NumberField, text: str, value: int) -> int:
    factor = _FACTOR.fullmatch(text)
    if factor is None:
        return _whole_number(field, text)
    scaled = round(value * Decimal(factor[1]))
    return _whole_number(field, field.quantity.text(scaled) if field.quantity else scaled)


def _whole_number(field: NumberField, value: Any) -> int:
    """Return `value` as a number of this field, in its inner unit.

    Raises ValueError with the fix unless the field accepts it.
    """
    if field.quantity is None and isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    number: int = check(_adapter(field), value)
    return number


@remember("checks of numbers", most=512)
def _adapter(field: NumberField) -> TypeAdapter[Any]:
    """Return the check of one value of a field."""
    info = field.part.model_fields[field.name]
    kind: Any = info.annotation
    return TypeAdapter(Annotated[kind, *info.metadata] if info.metadata else kind)
