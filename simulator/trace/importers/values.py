"""Values in a trace file: fields, element types and tensors."""

from collections.abc import Iterator
from typing import Any

from simulator.errors import shown
from simulator.memo import remember
from simulator.trace.header import LARGEST_STORAGE
from simulator.trace.op import DTYPE_BITS, Tensor, contiguous

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
