"""Models with parameters: a name such as cnn_digits:depth=4,width=24 is one of its networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from simulator.errors import InputError, shown
from workloads.models.model import Model


@dataclass(frozen=True)
class Family:
    """Networks alike but for whole numbers that `build` takes by name.

    `values` are those that each may have, `defaults` what it has where nobody says; `shape`,
    `classes` and `batch` are those of a model.
    """

    name: str
    about: str
    build: Callable[..., nn.Module]
    values: Mapping[str, range]
    defaults: Mapping[str, int]
    shape: tuple[int, ...]
    classes: int
    batch: int

    def member(self, texts: Mapping[str, str]) -> Model:
        """Return the network with these parameters; raises InputError for one that is none."""
        numbers = {**self.defaults} | {key: self._number(key, text) for key, text in texts.items()}
        parameters = ",".join(f"{key}={number}" for key, number in numbers.items())
        return Model(
            f"{self.name}:{parameters}",
            self.about,
            lambda: self.build(**numbers),
            self.shape,
            self.classes,
            self.batch,
        )

    def _number(self, key: str, text: str) -> int:
        allowed = self.values.get(key)
        if allowed is None:
            names = ", ".join(self.values)
            raise InputError(f"model {self.name}: no parameter {shown(key)}: it has {names}")
        if text.isdecimal() and len(text) < 10 and int(text) in allowed:
            return int(text)
        steps = f" in steps of {allowed.step}" if allowed.step > 1 else ""
        raise InputError(
            f"model {self.name}: {key}={text}: write a whole number from {allowed[0]} to "
            f"{allowed[-1]}{steps}"
        )


def parameters_of(name: str) -> tuple[str, dict[str, str]]:
    """Return the model and the parameters in "cnn_digits:depth=4,width=24", as text.

    Raises InputError for parameters that are written in another way.
    """
    model, _, texts = name.partition(":")
    parameters: dict[str, str] = {}
    for text in filter(None, texts.split(",")):
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or key in parameters:
            raise InputError(f"model {name}: write it as {model}:depth=4,width=24, each once")
        parameters[key] = value
    return model, parameters
