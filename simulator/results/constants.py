"""The constants of a SoC with their ranges and sources, as hardware.json lists them."""

from typing import Any

from simulator.energy import price_constants
from simulator.energy.factors import PREFIX
from simulator.hardware import Hardware
from simulator.hardware.constant import Constant
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
    texts = {f"{name}_text": text_of(constant, number) for name, number in ends.items()}
    about = {"source": constant.source, "kind": constant.kind}
    unit = _FACTOR if constant.path.startswith(PREFIX) else constant.unit
    return {"path": constant.path} | ends | {"unit": unit} | texts | about


def text_of(constant: Constant, value: int) -> str:
    """Return a number in the unit of `constant` as a description would have it, a factor as
    "x0.5".
    """
    factor = constant.path.startswith(PREFIX)
    return f"x{digits(value / 1000)}" if factor else constant.text(value)
