"""Turns the calls on a tape into drafts: phase, layer, products, and which op they differentiate.

A forward op is identified by its autograd sequence number, which its backward node has too.
"""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from simulator.trace.drafts import Draft, derives
from simulator.trace.effect import (
    Effect,
    bound,
    phase_by_gemms,
    role_of,
    weights_among,
)
from simulator.trace.gemms import is_product
from simulator.trace.op import Gemm, Op, OpKind, Phase
from simulator.trace.phases import FACTS
from workloads.capture.effects import Effects, real_products
from workloads.capture.kinds import draws
from workloads.capture.operands import NOWHERE, AutogradNode, TensorWindow
from workloads.capture.spots import Spot
from workloads.capture.tape import RecordedCall, Tape


@dataclass(slots=True)
class OpContext:
    """Phase and layer of an op, the op it differentiates, the parameter whose gradient
    it stores.
    """

    phase: Phase
    layer: str = ""
    forward: Draft | None = None
    parameter: str | None = None


@dataclass(slots=True)
class Analysis:
    """Drafts the calls of a tape in order, and follows what each storage holds.

    `weights` and `buffers` are storages of parameters and buffers, `layers` the layer of each
    parameter by name. After `run`, `gradients` has the parameter of each gradient's storage and
    `unmodelled` counts the products that no GEMM describes, by name.
    """

    tape: Tape
    spots: Sequence[Spot]
    weights: Set[int]
    buffers: Set[int]
    layers: dict[str, str]
    drafts: list[Draft] = field(default_factory=list)
    gradients: dict[int, str] = field(default_factory=dict)
    unmodelled: Counter[str] = field(default_factory=Counter)
    _derived: set[int] = field(default_factory=set)
    _constants: set[int] = field(default_factory=set)
    _producer: dict[int, Phase] = field(default_factory=dict)
    _owners: dict[int, Draft] = field(default_factory=dict)
    _effects: Effects = field(default_factory=Effects)
    _backward: bool = False

    def run(self) -> None:
        """Draft all calls."""
        self.gradients.update(self.tape.gradients)
        self._derived.update(self.weights)
        self._constants.update(self.buffers)
        records = list(self.tape.records())
        functional = _functional_forward(records, self.spots, self.weights)
        for call, record in enumerate(records):
            self._draft(record, call in functional)

    def _draft(self, record: RecordedCall, functional: bool) -> None:
        signature = record.signature
        args, done = self._effects.of(record)
        place = self._place(record, done.touched, done.kind, functional)
        gemms, weights = self._gemms(record, args, done, place)
        draft = Draft(
            signature.full_name, done.kind, phase_by_gemms(place.phase, gemms), place.layer,
            done.reads, done.writes, gemms, place.forward, signature.seeded and draws(args),
            done.touched, place.parameter is not None, weights,
        )  # fmt: skip
        self.drafts.append(draft)
        self._follow(draft, place, record)

    # Products

    def _gemms(
        self, record: RecordedCall, args: dict[str, Any], done: Effect, place: OpContext
    ) -> tuple[tuple[Gemm, ...], int]:
        name = record.signature.name
        if not is_product(name):
            return (), 0
        products = real_products(name, args)
        if not products:
            self.unmodelled[name] += 1
            return (), 0
        weights = weights_among(products, done, self._derived)
        role = role_of(place.phase, weights, place.forward.weights if place.forward else 0)
        return tuple(bound(product, role, done) for product in products), weights

    # Places

    def _place(
        self, record: RecordedCall, touched: frozenset[int], kind: OpKind, functional: bool
    ) -> OpContext:
        spot = self.spots[record.spot]
        if record.node is not None:
            return self._in_backward(record, record.node, spot)
        if spot.root == "network":
            self._backward = False
            learns = spot.learns or record.grad
            return OpContext(Phase.FORWARD if learns else Phase.EVAL, spot.layer)
        if spot.root:
            return OpContext(Phase.LOSS)
        if functional:
            return OpContext(Phase.FORWARD)
        return OpContext(self._outside(record, touched, kind, spot))

    def _in_backward(self, record: RecordedCall, node: AutogradNode, spot: Spot) -> OpContext:
        if spot.inside is not None:  # an optimizer in a backward hook
            return OpContext(spot.inside)
        # Backward runs without grad mode, unless it is itself differentiated.
        if record.grad and (spot.root or not spot.twice):
            return OpContext(Phase.RECOMPUTE, spot.layer)
        self._backward = True
        if node == NOWHERE:
            return OpContext(Phase.DGRAD)
        if node.leaf >= 0:
            if not node.parameter and not node.is_parameter and node.leaf not in self.weights:
                return OpContext(Phase.DGRAD)  # gradient of an input
            return OpContext(Phase.WGRAD, self.layers.get(node.parameter, ""), None, node.parameter)
        forward = self._owners.get(node.sequence)
        return OpContext(Phase.DGRAD, forward.layer if forward else "", forward)

    def _outside(
        self, record: RecordedCall, touched: frozenset[int], kind: OpKind, spot: Spot
    ) -> Phase:
        # An optimizer runs without grad mode, except a closure that recomputes the loss.
        closure = record.grad and not self._backward
        update = spot.closure if closure else spot.outside
        if update is not None:
            return update
        if spot.loading:
            return Phase.DATA
        producers = (self._producer.get(storage) for storage in touched)
        follows = any(phase and FACTS[phase].precedes_loss for phase in producers)
        if follows and not self._backward and kind is not OpKind.SYNC:
            return Phase.LOSS
        return Phase.OTHER

    # State for later ops

    def _follow(self, draft: Draft, place: OpContext, record: RecordedCall) -> None:
        """Update writers, values derived from parameters, gradients and autograd owners."""
        written = {tensor.storage for tensor in draft.outputs}
        if draft.kind is not OpKind.VIEW:
            self._producer.update(dict.fromkeys(written, draft.phase))
        if place.parameter is not None:
            for storage in written:
                self.gradients.setdefault(storage, place.parameter)
            return
        if FACTS[draft.phase].forward:
            if is_number(draft):  # such as the flag that a fake quantisation makes for itself
                self._constants |= written
            if derives(draft, self._derived, self._constants):
                self._derived |= written
        if record.grad and record.newest > 0:
            self._own(record.newest - 1, draft)

    def _own(self, sequence: int, draft: Draft) -> None:
        """Make the draft the owner of the newest autograd node, unless an earlier op owns it.

        A product under vmap comes after views without a node of their own.
        """
        owner = self._owners.setdefault(sequence, draft)
        if owner.kind is OpKind.VIEW and draft.gemms:
            self._owners[sequence] = draft


def _functional_forward(
    records: Sequence[RecordedCall], spots: Sequence[Spot], weights: Set[int]
) -> frozenset[int]:
    """Return the calls that are the forward pass of functions, before any module runs.

    They are differentiated, and one of them or a later one uses a parameter; what follows is the
    loss.
    """
    networks = (call for call, r in enumerate(records) if spots[r.spot].root == "network")
    before = next(networks, len(records))
    differentiated = {record.node.sequence for record in records if record.node is not None}
    calls = [
        call
        for call, record in enumerate(records[:before])
        if record.node is None and record.grad and record.newest - 1 in differentiated
    ]
    with_weights = [
        call
        for call in calls
        if any(seen.storage in weights for seen in _seen_in(records[call].operands))
    ]
    last = with_weights[-1] if with_weights else -1
    return frozenset(call for call in calls if call <= last)


def _seen_in(values: Sequence[Any]) -> Iterator[TensorWindow]:
    for value in values:
        if value.__class__ is TensorWindow:
            yield value
        elif value.__class__ is list:
            yield from _seen_in(value)


def is_number(draft: Draft | Op) -> bool:
    """Return whether an op creates a scalar from nothing; values derived from parameters may use
    it.
    """
    made = not draft.inputs and bool(draft.outputs) and draft.kind is OpKind.COPY
    return made and all(tensor.elements == 1 for tensor in draft.outputs)
