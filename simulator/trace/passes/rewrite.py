"""The type of a pass: a pure rewrite of a step, described by its key and a value for each layer."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

from simulator.trace.passes.treatment import Treatment

if TYPE_CHECKING:
    from simulator.trace.trace import Step

V = TypeVar("V", bound=Hashable)


@dataclass(frozen=True)
class Pass(ABC, Generic[V]):
    """A rewrite of a step, with a value for each layer that it applies to.

    A pass is a frozen dataclass that defines `key`, `value_type` and `apply`. A rule of a method
    file asks for it by its `key`; `value_type` is the type of the value there, as pydantic reads it
    strictly: a number, a text, a frozen model. Values are hashable, can be pickled, and unequal
    ones have unequal text forms. `layers` are pairs of a pattern and a value, first match wins;
    None: these layers stay as they are.
    """

    layers: tuple[tuple[str, V | None], ...]

    key: ClassVar[str]
    value_type: ClassVar[Any]

    @abstractmethod
    def apply(self, step: "Step") -> "Step":
        """Return `step` rewritten; a pure function of the step and the values."""

    @classmethod
    def value_in(cls, treatment: Treatment) -> V | None:
        """Return the value that a treatment has for this pass, None if it does not ask for it."""
        return cast(V | None, treatment.setting(cls.key))

    @classmethod
    def of_layers(cls, layers: Iterable[tuple[str, Treatment]]) -> Self | None:
        """Return the pass that a method's layers ask for, None if no layer does."""
        values = tuple((pattern, cls.value_in(treatment)) for pattern, treatment in layers)
        return cls(values) if any(value is not None for _, value in values) else None

    @classmethod
    def everywhere(cls, value: V) -> Self:
        """Return the pass with this value for all layers, as a machine asks for it."""
        return cls((("*", value),))

    def of(self, layer: str) -> V | None:
        """Return the value of a layer, None where the pass leaves it as it is."""
        matching = (value for pattern, value in self.layers if fnmatchcase(layer, pattern))
        return next(matching, None)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of key and values; equal passes have equal digests."""
        return hashlib.sha256(repr((self.key, self.layers)).encode()).hexdigest()
