"""Calls as they were bound to memory: what the importers of both PyTorch formats share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from simulator.trace.effect import Effect, Touch, effect
from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import Seen
from simulator.trace.importers.signature import Signature, signature
from simulator.trace.kinds import reads, writes
from simulator.trace.op import DTYPE_BITS, OpKind, Phase, Tensor, contiguous

DTYPES = {
    "float": "float32", "double": "float64", "long int": "int64", "long": "int64", "int": "int32",
    "short int": "int16", "short": "int16", "signed char": "int8", "unsigned char": "uint8",
    "bool": "bool", "c10::Half": "float16", "c10::BFloat16": "bfloat16",
    "c10::complex<float>": "complex64", "c10::complex<double>": "complex128",
    "c10::Float8_e4m3fn": "float8", "c10::Float8_e5m2": "float8",
}  # fmt: skip
"""PyTorch's names of C++ element types."""

MISFITS = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
"""What reading an event raises that is not as it should be."""

_LARGEST = 1 << 56  # bytes: more than any machine addresses


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """An op of a step: its phase, its arguments by name and what it does to which storages.

    `number` tells that an operand was taken for a number of the program.
    """

    seen: Seen
    name: str
    phase: Phase
    args: dict[str, Any]
    done: Effect
    number: bool

    @property
    def base(self) -> str:
        """Its name without namespace."""
        return self.seen.node.base


class Memory(Protocol):
    """Tells the storages of a trace apart."""

    sizes: dict[int, int]

    def begin_step(self) -> None:
        """Be told that another step begins."""

    def returned(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is known to be what an op of the run returned."""

    def bind(
        self, seen: Seen, known: Signature, inputs: tuple[Any, ...]
    ) -> tuple[tuple[Any, ...], Sequence[Tensor]]:
        """Return the op's inputs and its results with the numbers of their storages."""


def bind(seen: Seen, phase: Phase, memory: Memory) -> Call:
    """Return the call of an op that was seen, its tensors bound to storages."""
    node = seen.node
    base = node.base
    known = signature(base, node.schema)
    given = _without_numbers(known, node.inputs, memory)
    inputs, results = memory.bind(seen, known, given)
    args = known.named(inputs)
    touches = [
        Touch(
            argument.name,
            tensor,
            reads(base, argument.name, argument.out, args),
            writes(base, argument.name, argument.written, args),
        )
        for argument, value in zip(known.arguments, inputs, strict=False)
        for tensor in tensors_in(value)
    ]
    done = effect(base, kind_by_name(base) or OpKind.OTHER, touches, results)
    space = node.name.partition("::")[0]
    name = ".".join(filter(None, (space, base, known.overload)))
    return Call(seen, name, phase, args, done, given is not node.inputs)


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


@lru_cache(maxsize=1 << 16)
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
    tensor = Tensor(storage, DTYPES.get(kind, "float32"), shape, strides, offset)
    if extent(tensor) > _LARGEST:
        raise ValueError(f"shape {shape}, strides {strides}, offset {offset}")
    return tensor


def extent(tensor: Tensor) -> int:
    """Return how many bytes of its storage a tensor reaches to."""
    if not all(tensor.shape):
        return 0
    pairs = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in pairs)
    return ((last + 1) * DTYPE_BITS.get(tensor.dtype, 32) + 7) // 8
