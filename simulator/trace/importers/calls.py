"""Ops bound to storages: what the importers of both PyTorch formats share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from simulator.trace.effect import Effect, Touch, effect
from simulator.trace.gemms import is_product, products
from simulator.trace.gemms.product import Product
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import Node, OpEvent
from simulator.trace.importers.signature import Signature, signature
from simulator.trace.importers.values import MALFORMED, tensors_in
from simulator.trace.kinds import reads, writes
from simulator.trace.op import OpKind, Phase, Tensor


class Doubt(StrEnum):
    """Why the cost of an op is unknown."""

    NONE = ""
    PRODUCT = "a product of unknown size"
    OP = "an unknown op"
    SIZE = "the size of its result is not in the file"
    TIME = "its duration was lost"


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """An op of a step: its phase, its arguments by name, and its effect on storages.

    `products` are its matrix products. `number`: an operand was taken for a scalar of the program.
    `doubt`: why its cost is unknown. `restarts`: the network starts again here, within the step.
    """

    event: OpEvent
    name: str
    phase: Phase
    args: dict[str, Any]
    effect: Effect
    products: tuple[Product, ...]
    number: bool
    doubt: Doubt
    restarts: bool = False

    @property
    def base(self) -> str:
        """Name of the op, without the namespace of ATen."""
        return self.event.node.base


@dataclass(frozen=True, slots=True)
class Operands:
    """Inputs and results of an op on storages; `guessed` if no argument determines the results."""

    inputs: tuple[Any, ...]
    results: Sequence[Tensor]
    guessed: bool = False


class StorageResolver(Protocol):
    """Assigns a storage to each tensor of a file."""

    sizes: dict[int, int]

    def begin_step(self) -> None:
        """Start another step."""

    def restart(self) -> None:
        """Start the network again within the step; its parameters stay the same."""

    def returned(self, tensor: Tensor) -> bool:
        """Return whether an op of the run is known to have returned this tensor."""

    def bind(self, event: OpEvent, sig: Signature, inputs: tuple[Any, ...]) -> Operands:
        """Return the inputs and results of an op with the numbers of their storages."""


def bind(
    event: OpEvent, phase: Phase, resolver: StorageResolver, *, restarts: bool = False
) -> Call:
    """Return the call of an op, its tensors bound to storages."""
    if restarts:
        resolver.restart()
    node = event.node
    base = node.base
    sig = signature(base, node.schema)
    inputs = _without_numbers(sig, node.inputs, resolver)
    operands = resolver.bind(event, sig, inputs)
    args = sig.named(operands.inputs)
    touches = list(_touches(base, sig, operands, args))
    op_effect = effect(base, kind_by_name(base) or OpKind.OTHER, touches, operands.results)
    gemm_products = products(base, args) if op_effect.kind is OpKind.GEMM else ()
    doubt = _doubt(node, op_effect.kind, gemm_products, operands)
    number = inputs is not node.inputs
    return Call(
        event, _name(base, sig), phase, args, op_effect, gemm_products, number, doubt, restarts
    )


def _name(base: str, sig: Signature) -> str:
    space, _, plain = base.rpartition("::")
    return ".".join(filter(None, (space or "aten", plain, sig.overload)))


def _touches(
    base: str, sig: Signature, operands: Operands, args: dict[str, Any]
) -> Iterator[Touch]:
    """Yield each tensor among the arguments, and whether the call reads and writes it."""
    for argument, value in zip(sig.arguments, operands.inputs, strict=False):
        for tensor in tensors_in(value):
            reading = _reads(base, argument.name, argument.out, args)
            writing = _writes(base, argument.name, argument.written, args)
            yield Touch(argument.name, tensor, reading, writing)


def _reads(base: str, argument: str, out: bool, args: dict[str, Any]) -> bool:
    """Return whether a call reads an argument; assume so if other arguments are missing."""
    try:
        return reads(base, argument, out, args)
    except MALFORMED:
        return not out


def _writes(base: str, argument: str, annotated: bool, args: dict[str, Any]) -> bool:
    try:
        return writes(base, argument, annotated, args)
    except MALFORMED:
        return annotated


def _doubt(
    node: Node, kind: OpKind, gemm_products: tuple[Product, ...], operands: Operands
) -> Doubt:
    if kind is OpKind.VIEW:
        return Doubt.NONE
    if is_product(node.base) and not gemm_products:
        return Doubt.PRODUCT
    if kind is OpKind.OTHER:
        return Doubt.OP
    if operands.guessed:
        return Doubt.SIZE
    return Doubt.TIME if node.measured_ns is None else Doubt.NONE


def _without_numbers(
    sig: Signature, inputs: tuple[Any, ...], resolver: StorageResolver
) -> tuple[Any, ...]:
    """Return the inputs, with None for a tensor that only wraps a scalar of the program.

    No op returns such a tensor. A zero-dimensional tensor from before the trace looks the same, and
    is dropped with them.
    """
    names = [argument.name for argument in sig.arguments[: len(inputs)]]
    if "other" not in names:
        return inputs
    place = names.index("other")
    if not _may_be_number(inputs[place], inputs[0]) or resolver.returned(inputs[place]):
        return inputs
    return (*inputs[:place], None, *inputs[place + 1 :])


def _may_be_number(value: Any, first: Any) -> bool:
    if not isinstance(value, Tensor) or value.shape or value.dtype not in ("float64", "int64"):
        return False
    return not isinstance(first, Tensor) or bool(first.shape) or first.dtype != "float64"
