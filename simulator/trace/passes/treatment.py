"""How a training method treats each layer: bits of its tensors, density, what is frozen.

A method says what training did, or would do, beyond the operations that were executed: weights
that lie in memory in few bits, products of narrow integers, blocks that are zero, layers that do
not learn. It is laid over a step by `overlay`.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from simulator.trace.op import Role


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a method does to the tensors of one layer.

    `weights`, `activations` and `gradients` are the bits in which products read them; None: as
    traced. With `master` the weights themselves stay as traced and the narrow ones are a copy;
    else they lie in memory in so many bits. `density` is the share of the weights' blocks that are
    kept, in permille. A `frozen` layer's weights do not learn.
    """

    weights: int | None = None
    activations: int | None = None
    gradients: int | None = None
    master: bool = False
    density: int = 1000
    frozen: bool = False

    def bits_of(self, role: Role) -> int | None:
        """Return the bits of a product in this role, those of its wider operand.

        None if one of its operands is as traced.
        """
        first, second = {
            Role.FORWARD: (self.weights, self.activations),
            Role.DGRAD: (self.weights, self.gradients),
            Role.WGRAD: (self.activations, self.gradients),
        }.get(role, (self.activations, self.activations))
        return None if first is None or second is None else max(first, second)


AS_IS = Treatment()


@dataclass(frozen=True, slots=True)
class Method:
    """Treatments by layer: pairs of a pattern ("layer1.*") and a treatment, the first that fits."""

    name: str = "as traced"
    layers: tuple[tuple[str, Treatment], ...] = ()

    def of(self, layer: str) -> Treatment:
        """Return the treatment of a layer; AS_IS where no pattern fits."""
        return next((each for name, each in self.layers if fnmatchcase(layer, name)), AS_IS)


AS_TRACED = Method()


@dataclass(frozen=True, slots=True)
class Rule:
    """A treatment of the layers that fit a pattern, in epochs `first` to `last` (None: the end)."""

    treatment: Treatment
    layer: str = "*"
    first: int = 0
    last: int | None = None

    def holds_in(self, epoch: int) -> bool:
        """Tell whether the rule holds in `epoch`, from 0."""
        return self.first <= epoch and (self.last is None or epoch <= self.last)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A method over a whole run, whose treatments change with the epochs."""

    name: str
    rules: tuple[Rule, ...]

    def in_epoch(self, epoch: int) -> Method:
        """Return what holds in `epoch`, from 0."""
        held = ((rule.layer, rule.treatment) for rule in self.rules if rule.holds_in(epoch))
        return Method(self.name, tuple(held))
