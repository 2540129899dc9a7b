"""What the dotted paths of settings lead to: their dimension, and their value in a SoC."""

from collections.abc import Iterator
from typing import Any, get_args

from simulator.hardware.part import Part, units_of
from simulator.hardware.soc import Hardware
from simulator.units import Quantity


def quantity_of(path: str) -> Quantity | None:
    """Return the dimension of the setting at `path`; None for plain numbers, texts, no setting."""
    *_, found = _along(path)
    return found


def value_of(hardware: Hardware, path: str) -> Any:
    """Return the value at `path`, in inner units; None where this SoC has no such part.

    A part that is there but is no single value, as at path "accelerator", is told as "described".
    """
    value: Any = hardware
    for name in path.split("."):
        value = getattr(value, name, None)
    return "described" if isinstance(value, Part) else value


def _along(path: str) -> Iterator[Quantity | None]:
    """Yield the dimension of each field on the way to `path`."""
    part: type[Part] | None = Hardware
    for name in path.split("."):
        info = part.model_fields.get(name) if part else None
        if info is None:
            yield None
            return
        kinds = (info.annotation, *get_args(info.annotation))
        part = next((k for k in kinds if isinstance(k, type) and issubclass(k, Part)), None)
        units = units_of(info)
        yield units[0] if units else None
