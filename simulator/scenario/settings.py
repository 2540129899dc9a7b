"""The settings of a scenario by dotted path: their forms and dimensions."""

from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel

from simulator.hardware.part import units_of
from simulator.hardware.settings import quantity_of
from simulator.scenario.description import Scenario
from simulator.units import Quantity

HARDWARE = ".set."
"""Behind it comes a setting of a device's hardware."""


def quantity_in(path: str) -> Quantity | None:
    """Return the dimension of the setting at `path`; None for plain numbers, texts, no setting."""
    _, behind, setting = path.partition(HARDWARE)
    if behind:
        return quantity_of(setting)
    *parents, leaf = path.split(".")
    info = form_at(parents).model_fields.get(leaf)
    return next(iter(units_of(info)), None) if info else None


def form_at(path: Sequence[str]) -> type[BaseModel]:
    """Return the form at a path from a scenario on."""
    form: type[BaseModel] = Scenario
    for place in path:
        form = _inner(form, place)
    return form


def _inner(form: type[BaseModel], place: str) -> type[BaseModel]:
    """Return the form of a field, or of its entries; of a name or number the form itself."""
    field = form.model_fields.get(place)
    kinds = (field.annotation, *get_args(field.annotation)) if field else ()
    inner = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(inner, form)
