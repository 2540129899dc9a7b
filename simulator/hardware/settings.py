"""What the dotted paths of settings lead to: their dimension, and their value in a SoC."""

from typing import Any

from simulator.hardware.part import Part, part_of, units_of, value_at
from simulator.hardware.soc import Hardware
from simulator.units import Quantity


def quantity_of(path: str) -> Quantity | None:
    """Return the dimension of the setting at `path`; None for plain numbers, texts, no setting."""
    *parents, leaf = path.split(".")
    part: type[Part] | None = Hardware
    for name in parents:
        field = part.model_fields.get(name) if part else None
        part = part_of(field.annotation) if field else None
    info = part.model_fields.get(leaf) if part else None
    return next(iter(units_of(info)), None) if info else None


def value_of(hardware: Hardware, path: str) -> Any:
    """Return the value at `path`, in inner units; None where this SoC has no such part.

    A part that is there but is no single value, as at path "accelerator", is told as "described".
    """
    value = value_at(hardware, path)
    return "described" if isinstance(value, Part) else value
