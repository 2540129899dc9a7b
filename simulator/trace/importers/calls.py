"""Calls as they were bound to memory: what the importers of both PyTorch formats share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from simulator.errors import shown
from simulator.memo import remember
from simulator.trace.effect import Effect, Touch, effect
from simulator.trace.gemms import is_product, products
from simulator.trace.gemms.product import Product
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import Node, Seen
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
"""PyTorch's names of C++ element types; of unsigned and quantized ones the width counts."""

_PREFIX = "c10::"  # PyTorch's own types: those not above fill a byte


@remember("element types of tensors", most=1024)
def element_type(kind: str) -> str | None:
    """Return the element type of a tensor of the C++ type `kind`, None if it is no such type."""
    return DTYPES.get(kind) or ("uint8" if kind.startswith(_PREFIX) else None)


class Misfit(ValueError):
    """A field of a file is not as its format has it; the message names field and value."""


def whole(name: str, value: Any) -> int:
    """Return the integer in the field `name`; raises Misfit."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise Misfit(f"{name} is {shown(value)}, no whole number") from None


def amiss(error: Exception) -> str:
    """Return what is not as the format has it, in plain words."""
    if isinstance(error, Misfit):
        return str(error)
    if isinstance(error, KeyError) and error.args:
        return f"it has no {shown(error.args[0])}"
    return "one of its fields is of another kind than it should be"


MISFITS = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
"""What reading an event raises that is not as it should be."""


class _Unlisted:
    """A value that a trace does not list: whoever needs it cannot tell the sizes."""

    def __bool__(self) -> bool:
        raise TypeError("a value that is not in the file")


UNLISTED = _Unlisted()
LARGEST = 1 << 56  # bytes: more than any machine addresses


class Doubt(StrEnum):
    """Why what an op costs is not known."""

    NONE = ""
    PRODUCT = "a product of unknown size"
    OP = "an unknown op"
    SIZE = "the size of its result is not in the file"
    TIME = "its duration was lost"


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """An op of a step: its phase, its arguments by name and what it does to which storages.

    `products` are the matrix products that it stands for; `number` tells that an operand was taken
    for a number of the program, `doubt` what is not known of it, `restarts` that the network begins
    once more in its step.
    """

    seen: Seen
    name: str
    phase: Phase
    args: dict[str, Any]
    done: Effect
    products: tuple[Product, ...]
    number: bool
    doubt: Doubt
    restarts: bool = False

    @property
    def base(self) -> str:
        """Its name, without namespace if that is ATen's."""
        return self.seen.node.base


@dataclass(frozen=True, slots=True)
class Bound:
    """The inputs and results of an op on storages; `guessed` if no argument tells the results."""

    inputs: tuple[Any, ...]
    results: Sequence[Tensor]
    guessed: bool = False


class Memory(Protocol):
    """Tells the storages of a trace apart."""

    sizes: dict[int, int]

    def begin_step(self) -> None:
        """Be told that another step begins."""

    def restart(self) -> None:
        """Be told that the network begins once more in its step: its parameters are the same."""

    def returned(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is known to be what an op of the run returned."""

    def bind(self, seen: Seen, known: Signature, inputs: tuple[Any, ...]) -> Bound:
        """Return the op's inputs and its results with the numbers of their storages."""


def bind(seen: Seen, phase: Phase, memory: Memory, *, restarts: bool = False) -> Call:
    """Return the call of an op that was seen, its tensors bound to storages."""
    if restarts:
        memory.restart()
    node = seen.node
    base = node.base
    known = signature(base, node.schema)
    given = _without_numbers(known, node.inputs, memory)
    bound = memory.bind(seen, known, given)
    args = known.named(bound.inputs)
    touches = [
        Touch(
            argument.name,
            tensor,
            _reads(base, argument.name, argument.out, args),
            _writes(base, argument.name, argument.written, args),
        )
        for argument, value in zip(known.arguments, bound.inputs, strict=False)
        for tensor in tensors_in(value)
    ]
    done = effect(base, kind_by_name(base) or OpKind.OTHER, touches, bound.results)
    space, _, plain = base.rpartition("::")
    name = ".".join(filter(None, (space or "aten", plain, known.overload)))
    found = products(base, args) if done.kind is OpKind.GEMM else ()
    doubt = _doubt(node, done.kind, found, bound)
    return Call(seen, name, phase, args, done, found, given is not node.inputs, doubt, restarts)


def _reads(base: str, argument: str, out: bool, args: dict[str, Any]) -> bool:
    """Tell whether a call reads an argument; all it may read where its other arguments lack."""
    try:
        return reads(base, argument, out, args)
    except MISFITS:
        return not out


def _writes(base: str, argument: str, annotated: bool, args: dict[str, Any]) -> bool:
    try:
        return writes(base, argument, annotated, args)
    except MISFITS:
        return annotated


def _doubt(node: Node, kind: OpKind, found: tuple[Product, ...], bound: Bound) -> Doubt:
    if kind is OpKind.VIEW:
        return Doubt.NONE
    if is_product(node.base) and not found:
        return Doubt.PRODUCT
    if kind is OpKind.OTHER:
        return Doubt.OP
    if bound.guessed:
        return Doubt.SIZE
    return Doubt.TIME if node.measured_ns is None else Doubt.NONE


def _without_numbers(known: Signature, inputs: tuple[Any, ...], memory: Memory) -> tuple[Any, ...]:
    """Return the inputs less the tensors that only wrap a number of the program.

    No op returns those. A tensor without dimensions from before the trace looks like one, and is
    taken for it.
    """
    names = [argument.name for argument in known.arguments[: len(inputs)]]
    if "other" not in names:
        return inputs
    place = names.index("other")
    if not _may_be_number(inputs[place], inputs[0]) or memory.returned(inputs[place]):
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
def described(
    storage: int, kind: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> Tensor:
    """Return a tensor of the C++ type `kind`; without strides it is contiguous.

    It is one object for all that describe the same window: traces repeat themselves. Raises
    ValueError if no tensor is like that.
    """
    if len(strides) != len(shape):
        strides = contiguous(shape)
    if not all(type(size) is int and size >= 0 for size in (*shape, *strides, offset)):
        raise ValueError(f"shape {shape}, strides {strides}, offset {offset}")
    tensor = Tensor(storage, element_type(kind) or "float32", shape, strides, offset)
    if extent(tensor) > LARGEST:
        raise ValueError(f"shape {shape}, strides {strides}, offset {offset}")
    return tensor


def extent(tensor: Tensor) -> int:
    """Return how many bytes of its storage a tensor reaches to."""
    if not all(tensor.shape):
        return 0
    pairs = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in pairs)
    return ((last + 1) * DTYPE_BITS.get(tensor.dtype, 32) + 7) // 8
