"""Ops bound to storages: what the importers of both PyTorch formats share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from simulator.errors import shown
from simulator.memo import remember
from simulator.trace.effect import Effect, Touch, effect
from simulator.trace.gemms import is_product, products
from simulator.trace.gemms.product import Product
from simulator.trace.header import LARGEST_STORAGE
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import Node, OpEvent
from simulator.trace.importers.signature import Signature, signature
from simulator.trace.kinds import reads, writes
from simulator.trace.op import DTYPE_BITS, OpKind, Phase, Tensor, contiguous

DTYPES = {
    "float": "float32", "double": "float64", "long int": "int64", "long": "int64", "int": "int32",
    "short int": "int16", "short": "int16", "signed char": "int8", "unsigned char": "uint8",
    "bool": "bool", "c10::Half": "float16", "c10::BFloat16": "bfloat16",
    "c10::complex<float>": "complex64", "c10::complex<double>": "complex128",
    "c10::complex<c10::Half>": "complex32",
    "c10::Float8_e4m3fn": "float8", "c10::Float8_e5m2": "float8",
    "c10::Float8_e4m3fnuz": "float8", "c10::Float8_e5m2fnuz": "float8",
    "c10::Float8_e8m0fnu": "float8", "c10::Float4_e2m1fn_x2": "float8",  # two in a byte
    "unsigned short": "int16", "unsigned int": "int32", "unsigned long": "int64",
    "short unsigned int": "int16", "long unsigned int": "int64",
    "c10::qint8": "int8", "c10::quint8": "uint8", "c10::qint32": "int32",
    "c10::bits16": "int16",
}  # fmt: skip
"""PyTorch's names of C++ element types; unsigned and quantized ones map to a type of their width.
"""

_PREFIX = "c10::"  # PyTorch's own types: any not listed above fills a byte


@remember("element types of tensors", most=1024)
def element_type(kind: str) -> str | None:
    """Return the element type of a tensor of C++ type `kind`, None if `kind` is no tensor type."""
    return DTYPES.get(kind) or ("uint8" if kind.startswith(_PREFIX) else None)


class MalformedField(ValueError):
    """A field that violates its file format; the message names field and value."""


def whole(name: str, value: Any) -> int:
    """Return the integer in the field `name`; raises Misfit."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise MalformedField(f"{name} is {shown(value)}, no whole number") from None


def complaint(error: Exception) -> str:
    """Return in plain words how an entry violates its format."""
    if isinstance(error, MalformedField):
        return str(error)
    if isinstance(error, KeyError) and error.args:
        return f"it has no {shown(error.args[0])}"
    return "one of its fields has the wrong type"


MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
"""What reading a malformed entry may raise."""


class _Unlisted:
    """A value that the file does not list; code that needs it gets a TypeError."""

    def __bool__(self) -> bool:
        raise TypeError("a value that is not in the file")


UNLISTED = _Unlisted()


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
    touches = [
        Touch(
            argument.name,
            tensor,
            _reads(base, argument.name, argument.out, args),
            _writes(base, argument.name, argument.written, args),
        )
        for argument, value in zip(sig.arguments, operands.inputs, strict=False)
        for tensor in tensors_in(value)
    ]
    op_effect = effect(base, kind_by_name(base) or OpKind.OTHER, touches, operands.results)
    space, _, plain = base.rpartition("::")
    name = ".".join(filter(None, (space or "aten", plain, sig.overload)))
    matrix_products = products(base, args) if op_effect.kind is OpKind.GEMM else ()
    doubt = _doubt(node, op_effect.kind, matrix_products, operands)
    return Call(
        event,
        name,
        phase,
        args,
        op_effect,
        matrix_products,
        inputs is not node.inputs,
        doubt,
        restarts,
    )


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
    node: Node, kind: OpKind, matrix_products: tuple[Product, ...], operands: Operands
) -> Doubt:
    if kind is OpKind.VIEW:
        return Doubt.NONE
    if is_product(node.base) and not matrix_products:
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


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value or a list of values."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from tensors_in(item)


@remember("tensors of calls", most=1 << 16)
def tensor_of(
    storage: int, kind: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> Tensor:
    """Return a tensor of C++ type `kind`; without strides it is contiguous.

    Equal windows share one object, because traces repeat themselves. Raises ValueError if no tensor
    can have these sizes.
    """
    if len(strides) != len(shape):
        strides = contiguous(shape)
    if not all(type(size) is int and size >= 0 for size in (*shape, *strides, offset)):
        raise ValueError(f"shape {shape}, strides {strides}, offset {offset}")
    tensor = Tensor(storage, element_type(kind) or "float32", shape, strides, offset)
    if extent(tensor) > LARGEST_STORAGE:
        raise ValueError(f"shape {shape}, strides {strides}, offset {offset}")
    return tensor


def extent(tensor: Tensor) -> int:
    """Return how many bytes of its storage a tensor spans, from the start of the storage."""
    if not all(tensor.shape):
        return 0
    pairs = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in pairs)
    return ((last + 1) * DTYPE_BITS.get(tensor.dtype, 32) + 7) // 8
