"""What a call does to memory: which tensors the op reads and writes, and its GEMMs among them."""

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
    """A tensor argument: under which name it came, and whether its bytes are read or written."""

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
    """Return what a call of the op `name` does; one that moves nothing is a view."""
    held = frozenset(touch.tensor.storage for touch in touches)
    touched = held | {tensor.storage for tensor in results}
    named = {touch.argument: touch.tensor for touch in touches}
    mutated = [touch.tensor for touch in touches if touch.written]
    fresh = [tensor for tensor in results if tensor.storage not in held]
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
    """Return what a gather reads of a table: as many elements as it returns, not all of it."""
    if GATHERS.get(name) != touch.argument or not results:
        return touch.tensor
    others = [other.tensor for other in touches if other is not touch]
    return spread(touch.tensor, *gathered(others, prod(results[0].shape)))


def _distinct(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    return tuple(dict.fromkeys(tensors))


def bound(product: Product, role: Role, done: Effect) -> Gemm:
    """Return the GEMM of a product, its operands found among what the op reads and writes."""
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


def weights_among(found: Sequence[Product], done: Effect, derived: Container[int]) -> int:
    """Return how many operands of the products are on storages derived from parameters."""
    operands = {name for product in found for name in (product.a, product.b)}
    return sum(done.named[name].storage in derived for name in operands & done.named.keys())


def role_of(phase: Phase, weights: int, forward_weights: int) -> Role:
    """Return the role of a plain product that reads so many parameters, as its forward one did.

    In backward it follows from the forward product: reading its weight gives the gradient of the
    data, not reading it the weight's own; a product of two weights has only weight gradients.
    """
    if phase is not Phase.DGRAD:
        return Role.FORWARD if FACTS[phase].forward else Role.OTHER
    if forward_weights == 2 or (forward_weights == 1 and not weights):
        return Role.WGRAD
    return Role.DGRAD


def phase_by_gemms(phase: Phase, gemms: Sequence[Gemm]) -> Phase:
    """Return the phase of an op with these GEMMs: backward ones of weights alone are wgrad."""
    if phase is Phase.DGRAD and gemms and all(gemm.role is Role.WGRAD for gemm in gemms):
        return Phase.WGRAD
    return phase
