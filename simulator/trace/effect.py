"""The effect of a call on memory: the tensors it reads and writes, and the GEMMs among them."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from math import prod

from simulator.trace.accesses.loop import spread
from simulator.trace.accesses.scattered import gathered
from simulator.trace.gemms import Product
from simulator.trace.kinds import GATHERS
from simulator.trace.op import Gemm, OpKind, Phase, Role, Tensor
from simulator.trace.phases import FACTS


@dataclass(frozen=True, slots=True)
class Touch:
    """A tensor argument: its name, and whether the call reads or writes its bytes."""

    argument: str
    tensor: Tensor
    read: bool
    written: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """The tensors of a call by argument, the op's inputs and outputs, and the results in order.

    `touched` are the storages of all of them, also of those neither read nor written.
    """

    kind: OpKind
    named: dict[str, Tensor]
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    results: tuple[Tensor, ...]
    touched: frozenset[int]


def effect(name: str, kind: OpKind, touches: Sequence[Touch], results: Sequence[Tensor]) -> Effect:
    """Return the effect of a call of op `name`; a call that moves no bytes is a view."""
    arguments = frozenset(touch.tensor.storage for touch in touches)
    touched = arguments | {tensor.storage for tensor in results}
    named = {touch.argument: touch.tensor for touch in touches}
    mutated = [touch.tensor for touch in touches if touch.written]
    fresh = [tensor for tensor in results if tensor.storage not in arguments]
    moves_nothing = not mutated and not fresh and kind is not OpKind.SYNC
    if moves_nothing and (results or kind is OpKind.OTHER):
        kind = OpKind.VIEW
    if kind is OpKind.VIEW:
        reads, writes = [touch.tensor for touch in touches], list(results)
    else:
        reads = [_window(name, touch, touches, results) for touch in touches if touch.read]
        writes = mutated + fresh
    return Effect(kind, named, _distinct(reads), _distinct(writes), tuple(results), touched)


def _window(name: str, touch: Touch, touches: Sequence[Touch], results: Sequence[Tensor]) -> Tensor:
    """Return the part of a table that a gather reads: as many elements as it returns."""
    if GATHERS.get(name) != touch.argument or not results:
        return touch.tensor
    others = [other.tensor for other in touches if other is not touch]
    return spread(touch.tensor, *gathered(others, prod(results[0].shape)))


def _distinct(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    return tuple(dict.fromkeys(tensors))


def bound(product: Product, role: Role, done: Effect) -> Gemm:
    """Return the GEMM of a product, its operands as indices of the op's inputs and outputs."""
    result = done.results[product.c] if 0 <= product.c < len(done.results) else None
    return Gemm(
        product.role or role,
        product.batch,
        product.m,
        product.n,
        product.k,
        _position(done.reads, done.named.get(product.a)),
        _position(done.reads, done.named.get(product.b)),
        _position(done.writes, result),
        product.conv,
        causal=product.causal,
    )


def _position(tensors: tuple[Tensor, ...], tensor: Tensor | None) -> int:
    return tensors.index(tensor) if tensor in tensors else -1


def weights_among(products: Sequence[Product], done: Effect, derived: Container[int]) -> int:
    """Return the number of operands whose storages derive from parameters."""
    operands = {name for product in products for name in (product.a, product.b)}
    return sum(done.named[name].storage in derived for name in operands & done.named.keys())


def role_of(phase: Phase, weights: int, forward_weights: int) -> Role:
    """Return the role of a GEMM from the number of weights that it and its forward GEMM read.

    A backward GEMM that reads the weight is dgrad, one that does not is wgrad; a product of two
    weights has weight gradients alone.
    """
    if phase is not Phase.DGRAD:
        return Role.FORWARD if FACTS[phase].forward else Role.OTHER
    if forward_weights == 2 or (forward_weights == 1 and not weights):
        return Role.WGRAD
    return Role.DGRAD


def phase_by_gemms(phase: Phase, gemms: Sequence[Gemm]) -> Phase:
    """Return the phase of an op with these GEMMs: wgrad if backward and all of them are wgrad."""
    if phase is Phase.DGRAD and gemms and all(gemm.role is Role.WGRAD for gemm in gemms):
        return Phase.WGRAD
    return phase
