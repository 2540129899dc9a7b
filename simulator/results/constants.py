"""The constants of a SoC with their ranges and sources, as hardware.json lists them."""

from typing import Any

from simulator.energy import price_constants
from simulator.energy.factors import PREFIX
from simulator.hardware import Hardware
from simulator.hardware.constant import Constant
from simulator.hardware.settings import quantity_of
from simulator.si import digits

_FACTOR = "permille"


def constants_document(hardware: Hardware) -> list[dict[str, Any]]:
    """Return the constants of a SoC and of its prices with their ranges and sources, for JSON.

    `value`, `low` and `high` are in inner units, which `unit` names, and as text; a price is a
    factor in permille on what the energy tables say.
    """
    return [_row(each) for each in (*hardware.constants, *price_constants(hardware))]


def _row(constant: Constant) -> dict[str, Any]:
    ends = {name: getattr(constant, name) for name in ("value", "low", "high")}
    texts = {f"{name}_text": text_of(constant.path, number) for name, number in ends.items()}
    about = {"source": constant.source, "kind": constant.kind}
    return {"path": constant.path} | ends | {"unit": _unit(constant.path)} | texts | about


def _unit(path: str) -> str:
    quantity = quantity_of(path)
    return _FACTOR if path.startswith(PREFIX) else quantity.suffix[1:] if quantity else ""


def text_of(path: str, value: int) -> str:
    """Return a number as a description would have it, a factor as "x0.5"."""
    if path.startswith(PREFIX):
        return f"x{digits(value / 1000)}"
    quantity = quantity_of(path)
    return quantity.text(value) if quantity else str(value)
