"""Training methods as data: bits, density and freezing of each layer, epoch by epoch.

A method describes what training did, or would do, beyond the operations that were executed. The
passes of `registry` turn it into rewrites of a step.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from simulator.trace.op import Role


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a method does to the tensors of one layer.

    `weights`, `activations` and `gradients` are the bits in which GEMMs read them; None: as traced.
    With `master` the weights stay as traced and the narrow ones are a copy; else they are stored
    in that many bits. `density` is the fraction of weight blocks kept, in permille. The weights of
    a `frozen` layer are not trained. `settings` are the values of further passes, by their keys.
    """

    weights: int | None = None
    activations: int | None = None
    gradients: int | None = None
    master: bool = False
    density: int = 1000
    frozen: bool = False
    # Not in the text form, so that digests of methods without further passes stay what they were.
    settings: tuple[tuple[str, Hashable], ...] = field(default=(), repr=False)

    def bits_of(self, role: Role) -> int | None:
        """Return the bits of a GEMM in this role: those of its wider operand.

        None if one of its operands is as traced.
        """
        first, second = {
            Role.FORWARD: (self.weights, self.activations),
            Role.DGRAD: (self.weights, self.gradients),
            Role.WGRAD: (self.activations, self.gradients),
        }.get(role, (self.activations, self.activations))
        return None if first is None or second is None else max(first, second)

    def setting(self, key: str) -> Hashable | None:
        """Return the value of a further pass, None if the treatment does not ask for it."""
        return dict(self.settings).get(key)


AS_IS = Treatment()


@dataclass(frozen=True, slots=True)
class Method:
    """Treatments by layer: pairs of a pattern ("layer1.*") and a treatment, first match wins."""

    name: str = "as traced"
    layers: tuple[tuple[str, Treatment], ...] = ()

    def of(self, layer: str) -> Treatment:
        """Return the treatment of a layer; AS_IS where no pattern matches."""
        return next((each for name, each in self.layers if fnmatchcase(layer, name)), AS_IS)

    @property
    def content(self) -> str:
        """The method as text, complete; equal methods have equal text."""
        settings = [each.settings for _, each in self.layers]
        return repr(self) + (repr(settings) if any(settings) else "")


AS_TRACED = Method()


@dataclass(frozen=True, slots=True)
class TreatmentRule:
    """A treatment of the layers that match a pattern, in epochs `first` to `last` (None: all)."""

    treatment: Treatment
    layer: str = "*"
    first: int = 0
    last: int | None = None

    def holds_in(self, epoch: int) -> bool:
        """Return whether the rule holds in `epoch`, from 0."""
        return self.first <= epoch and (self.last is None or epoch <= self.last)


@dataclass(frozen=True, slots=True)
class MethodSchedule:
    """A method over a whole run, whose treatments change with the epochs."""

    name: str
    rules: tuple[TreatmentRule, ...]

    def in_epoch(self, epoch: int) -> Method:
        """Return the method of `epoch`, from 0."""
        active = ((rule.layer, rule.treatment) for rule in self.rules if rule.holds_in(epoch))
        return Method(self.name, tuple(active))
