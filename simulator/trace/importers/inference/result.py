"""Shapes and element types of results, and what the rules for them share."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

from simulator.trace.importers.values import UNLISTED, tensors_in
from simulator.trace.op import Tensor

TensorShape = tuple[int, ...]
TensorType = tuple[TensorShape, str]
Args = dict[str, Any]
ResultRule = Callable[[Args], Iterator[TensorType]]

_CODES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32",
    7: "float64", 8: "complex32", 9: "complex64", 10: "complex128", 11: "bool", 12: "int8",
    13: "uint8", 14: "int32", 15: "bfloat16", 23: "float8", 24: "float8", 25: "float8",
    26: "float8", 27: "int16", 28: "int32", 29: "int64", 44: "float8", 45: "float8",
}  # fmt: skip
"""c10::ScalarType as the profiler prints it."""


def dtype_of_code(code: Any, default: str) -> str:
    """Return the element type that a `dtype` argument selects, the default if none.

    Raises TypeError if the file does not list the argument.
    """
    if code is UNLISTED:
        raise TypeError("an element type that is not in the file")
    whole = isinstance(code, int) and not isinstance(code, bool)
    return _CODES.get(code, default) if whole else default


def first_tensor(args: Args) -> Tensor:
    """Return the first tensor among the arguments; raises StopIteration if there is none."""
    return next(tensor for value in args.values() for tensor in tensors_in(value))


def like(*names: str, dtype: str = "") -> ResultRule:
    """Return the rule of an op with one result like each of these arguments."""

    def rule(args: Args) -> Iterator[TensorType]:
        for name in names:
            yield args[name].shape, dtype or args[name].dtype

    return rule


def sized(name: str, source: str = "grad_output") -> ResultRule:
    """Return the rule of an op whose result has the size in argument `name` and the type of
    `source`.
    """

    def rule(args: Args) -> Iterator[TensorType]:
        yield sizes(args[name]), args[source].dtype

    return rule


def sizes(value: Any) -> TensorShape:
    """Return a value as sizes; raises TypeError or ValueError if it is no list of sizes."""
    dims = tuple(int(size) for size in value)
    if min(dims, default=0) < 0:
        raise ValueError(f"sizes {dims}")
    return dims


def at(value: Any, index: int) -> int:
    """Return a setting of one spatial dimension; a single number holds for all."""
    values = value if isinstance(value, tuple) else (value,)
    return int(values[index] if index < len(values) else values[0])


def with_size(shape: TensorShape, dim: int, size: int) -> TensorShape:
    """Return the shape with another size in dimension `dim`; raises IndexError without that one."""
    changed = list(shape)
    changed[dim] = size
    return tuple(changed)


def broadcast(*shapes: TensorShape) -> TensorShape:
    """Return the broadcast shape; raises ValueError if the shapes do not fit."""
    length = max(map(len, shapes), default=0)
    padded = [(1,) * (length - len(shape)) + tuple(shape) for shape in shapes]
    result = []
    for column in zip(*padded, strict=True):
        sizes_ = {size for size in column if size != 1}
        if len(sizes_) > 1:
            raise ValueError(f"shapes {shapes}")
        result.append(sizes_.pop() if sizes_ else 1)
    return tuple(result)


def count(shape: TensorShape) -> int:
    """Return the number of elements."""
    return prod(shape)
