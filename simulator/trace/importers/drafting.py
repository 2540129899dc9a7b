"""Turns the calls of a step into its drafts: roles of GEMMs, layers, forward ops of backward."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.trace.drafts import Draft, derives
from simulator.trace.effect import bound, phase_by_gemms, role_of, weights_among
from simulator.trace.gemms import Product
from simulator.trace.importers.calls import Call
from simulator.trace.importers.names import draws
from simulator.trace.importers.nodes import Node
from simulator.trace.op import Gemm, OpKind, Phase, Role, Tensor
from simulator.trace.phases import FACTS


@dataclass(slots=True)
class Drafter:
    """Drafts one step. `weights` are the storages of parameters, None if they are not known: then
    the roles of matrix products follow from their shapes.
    """

    weights: frozenset[int] | None
    constants: frozenset[int]
    drafts: list[Draft] = field(default_factory=list)
    gradients: set[int] = field(default_factory=set)
    names: dict[int, str] = field(default_factory=dict)
    guessed: int = 0
    _derived: set[int] = field(default_factory=set)
    _layers: dict[int, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _forward: dict[tuple[int, int], Draft] = field(default_factory=dict)
    _writers: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with the parameters themselves."""
        self._derived |= self.weights or frozenset()

    def add(self, call: Call) -> None:
        """Draft a call."""
        if call.restarts:
            self._counts.clear()
        scope, done = call.seen.scope, call.done
        owner = self._owner(call)
        layer = self._layer(call, owner)
        gemms, weights = self._gemms(call, owner)
        draft = Draft(
            call.name, done.kind, phase_by_gemms(call.phase, gemms), layer, done.reads,
            done.writes, gemms, owner if call.phase is Phase.DGRAD else None, _is_random(call),
            done.touched, scope.accumulates, weights, call.seen.node.measured_ns or 0,
        )  # fmt: skip
        if scope.accumulates:
            draft.phase = Phase.WGRAD
        self.drafts.append(draft)
        self._follow(call, draft)

    def _owner(self, call: Call) -> Draft | None:
        """Return the forward op that a backward one differentiates."""
        scope = call.seen.scope
        known = self._forward.get(scope.backward) if scope.backward else None
        if known or call.phase is not Phase.DGRAD or not call.products:
            return known
        # Compiled, many forward ops have one number: their shapes tell them apart.
        return partner(call.products[0], self.drafts)

    def _follow(self, call: Call, draft: Draft) -> None:
        scope = call.seen.scope
        written = {tensor.storage for tensor in draft.outputs}
        if scope.accumulates:
            self.gradients |= written
        elif FACTS[call.phase].forward:
            if derives(draft, self._derived, self.constants):
                self._derived |= written
            if scope.seq >= 0:
                # Of the ops that saw a number the last one took it.
                self._forward[call.seen.node.thread, scope.seq] = draft
            self._name_parameters(call, draft)
        if draft.kind is not OpKind.VIEW:
            self._writers.update(dict.fromkeys(written, draft.layer))

    # Layers

    def _layer(self, call: Call, owner: Draft | None) -> str:
        scope = call.seen.scope
        if scope.accumulates:
            found = {self._writers.get(storage, "") for storage in call.done.touched}
            return found.pop() if len(found) == 1 else ""
        if call.phase is Phase.DGRAD:
            return owner.layer if owner else ""
        if not FACTS[call.phase].forward:
            return ""
        if scope.modules:
            return ".".join(scope.modules[1:]) or scope.modules[0]
        if call.done.kind is OpKind.VIEW or call.phase is Phase.LOSS or scope.outer is None:
            return ""
        return ".".join((*scope.labels, self._numbered(scope.outer)))

    def _numbered(self, outer: Node) -> str:
        known = self._layers.get(id(outer))
        if known is None:
            number = self._counts.get(outer.base, 0)
            self._counts[outer.base] = number + 1
            known = self._layers[id(outer)] = f"{outer.base}_{number}"
        return known

    def _name_parameters(self, call: Call, draft: Draft) -> None:
        if draft.kind is OpKind.VIEW:
            return
        for argument, tensor in call.done.named.items():
            if tensor.storage in (self.weights or ()) and tensor.storage not in self.names:
                kept = argument if argument in ("weight", "bias") else _by_dims(tensor)
                name = f"{draft.layer}.{kept}"
                if name in self.names.values():
                    name = f"{name}_{len(self.names)}"
                self.names[tensor.storage] = name

    # GEMMs

    def _gemms(self, call: Call, owner: Draft | None) -> tuple[tuple[Gemm, ...], int]:
        found = call.products
        if not found:
            return (), 0
        done = call.done
        weights = weights_among(found, done, self._derived)
        if self.weights is None and call.phase is Phase.DGRAD and found[0].role is None:
            self.guessed += 1
            role = role_by_shape(found[0], owner, done.named.get(found[0].a))
        else:
            role = role_of(call.phase, weights, owner.weights if owner else 0)
        return tuple(bound(product, role, done) for product in found), weights


def role_by_shape(product: Product, owner: Draft | None, first: Tensor | None) -> Role:
    """Return the role of a backward product from the shapes of its forward one.

    Summing over the rows of the forward product gives the gradient of the weights, over its
    columns that of the data; of a square one the transposed first operand tells. A batch of
    products is between activations.
    """
    forward = owner.gemms[0] if owner and owner.gemms else None
    if forward is None or product.batch > 1 or forward.batch > 1:
        return Role.DGRAD
    if forward.m != forward.n:
        return Role.WGRAD if product.k == forward.m else Role.DGRAD
    transposed = first is not None and bool(first.strides) and first.strides[0] == 1
    return Role.WGRAD if transposed else Role.DGRAD


def partner(product: Product, drafts: Sequence[Draft]) -> Draft | None:
    """Return the forward op of which a product can be a gradient, of several the last one."""
    wanted = sorted((product.m, product.n, product.k))
    for draft in reversed(drafts):
        if FACTS[draft.phase].forward and draft.gemms and draft.gemms[0].batch == product.batch:
            gemm = draft.gemms[0]
            if gemm.conv is None and sorted((gemm.m, gemm.n, gemm.k)) == wanted:
                return draft
    return None


def _is_random(call: Call) -> bool:
    dropout = call.args.get("dropout_p", 0)
    return draws(call.base) or (isinstance(dropout, float) and dropout > 0)


def _by_dims(tensor: Tensor) -> str:
    return "weight" if len(tensor.shape) > 1 else "bias"
