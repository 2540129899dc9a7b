"""Turns the calls of a step into drafts: roles of GEMMs, layers, forward ops of backward ones."""

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
    """Drafts one step. `weights` are the storages of parameters; if None, shapes decide the roles
    of matrix products.
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
        """Start from the parameters themselves."""
        self._derived |= self.weights or frozenset()

    def add(self, call: Call) -> None:
        """Draft a call."""
        if call.restarts:
            self._counts.clear()
        scope, effect = call.event.scope, call.effect
        owner = self._owner(call)
        layer = self._layer(call, owner)
        gemms, weights = self._gemms(call, owner)
        draft = Draft(
            call.name, effect.kind, phase_by_gemms(call.phase, gemms), layer, effect.reads,
            effect.writes, gemms, owner if call.phase is Phase.DGRAD else None, _is_random(call),
            effect.touched, scope.accumulates, weights, call.event.node.measured_ns or 0,
        )  # fmt: skip
        if scope.accumulates:
            draft.phase = Phase.WGRAD
        self.drafts.append(draft)
        self._follow(call, draft)

    def _owner(self, call: Call) -> Draft | None:
        """Return the forward op that a backward op differentiates."""
        scope = call.event.scope
        forward = self._forward.get(scope.backward) if scope.backward else None
        if forward or call.phase is not Phase.DGRAD or not call.products:
            return forward
        # In compiled code many forward ops share a sequence number: match them by shape.
        return partner(call.products[0], self.drafts)

    def _follow(self, call: Call, draft: Draft) -> None:
        scope = call.event.scope
        written = {tensor.storage for tensor in draft.outputs}
        if scope.accumulates:
            self.gradients |= written
        elif FACTS[call.phase].forward:
            if derives(draft, self._derived, self.constants):
                self._derived |= written
            if scope.seq >= 0:
                # The last op under a sequence number is the one that has the autograd node.
                self._forward[call.event.node.thread, scope.seq] = draft
            self._name_parameters(call, draft)
        if draft.kind is not OpKind.VIEW:
            self._writers.update(dict.fromkeys(written, draft.layer))

    # Layers

    def _layer(self, call: Call, owner: Draft | None) -> str:
        scope = call.event.scope
        if scope.accumulates:
            layers = {self._writers.get(storage, "") for storage in call.effect.touched}
            return layers.pop() if len(layers) == 1 else ""
        if call.phase is Phase.DGRAD:
            return owner.layer if owner else ""
        if not FACTS[call.phase].forward:
            return ""
        if scope.modules:
            return ".".join(scope.modules[1:]) or scope.modules[0]
        if call.effect.kind is OpKind.VIEW or call.phase is Phase.LOSS or scope.outer is None:
            return ""
        return ".".join((*scope.labels, self._numbered(scope.outer)))

    def _numbered(self, outer: Node) -> str:
        name = self._layers.get(id(outer))
        if name is None:
            number = self._counts.get(outer.base, 0)
            self._counts[outer.base] = number + 1
            name = self._layers[id(outer)] = f"{outer.base}_{number}"
        return name

    def _name_parameters(self, call: Call, draft: Draft) -> None:
        if draft.kind is OpKind.VIEW:
            return
        for argument, tensor in call.effect.named.items():
            if tensor.storage in (self.weights or ()) and tensor.storage not in self.names:
                label = argument if argument in ("weight", "bias") else _by_dims(tensor)
                name = f"{draft.layer}.{label}"
                if name in self.names.values():
                    name = f"{name}_{len(self.names)}"
                self.names[tensor.storage] = name

    # GEMMs

    def _gemms(self, call: Call, owner: Draft | None) -> tuple[tuple[Gemm, ...], int]:
        products = call.products
        if not products:
            return (), 0
        effect = call.effect
        weights = weights_among(products, effect, self._derived)
        if self.weights is None and call.phase is Phase.DGRAD and products[0].role is None:
            self.guessed += 1
            role = role_by_shape(products[0], owner, effect.named.get(products[0].a))
        else:
            role = role_of(call.phase, weights, owner.weights if owner else 0)
        return tuple(bound(product, role, effect) for product in products), weights


def role_by_shape(product: Product, owner: Draft | None, first: Tensor | None) -> Role:
    """Return the role of a backward product from the shapes of its forward product.

    It is wgrad if it sums over the rows (M) of the forward product, dgrad if over the columns (N).
    If M = N, wgrad is the one whose first operand is transposed. A batched product is between
    activations.
    """
    forward = owner.gemms[0] if owner and owner.gemms else None
    if forward is None or product.batch > 1 or forward.batch > 1:
        return Role.DGRAD
    if forward.m != forward.n:
        return Role.WGRAD if product.k == forward.m else Role.DGRAD
    transposed = first is not None and bool(first.strides) and first.strides[0] == 1
    return Role.WGRAD if transposed else Role.DGRAD


def partner(product: Product, drafts: Sequence[Draft]) -> Draft | None:
    """Return the last forward op of which a product can be a gradient."""
    sizes = sorted((product.m, product.n, product.k))
    for draft in reversed(drafts):
        if FACTS[draft.phase].forward and draft.gemms and draft.gemms[0].batch == product.batch:
            gemm = draft.gemms[0]
            if gemm.conv is None and sorted((gemm.m, gemm.n, gemm.k)) == sizes:
                return draft
    return None


def _is_random(call: Call) -> bool:
    dropout = call.args.get("dropout_p", 0)
    return draws(call.base) or (isinstance(dropout, float) and dropout > 0)


def _by_dims(tensor: Tensor) -> str:
    return "weight" if len(tensor.shape) > 1 else "bias"
