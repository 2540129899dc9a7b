"""What an op is taken to return: shapes and element types, and what rules for them share."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

from simulator.trace.importers.calls import UNLISTED, tensors_in
from simulator.trace.op import Tensor

Shape = tuple[int, ...]
Result = tuple[Shape, str]
Args = dict[str, Any]
Rule = Callable[[Args], Iterator[Result]]

_CODES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32",
    7: "float64", 8: "complex32", 9: "complex64", 10: "complex128", 11: "bool", 12: "int8",
    13: "uint8", 14: "int32", 15: "bfloat16", 23: "float8", 24: "float8", 25: "float8",
    26: "float8", 27: "int16", 28: "int32", 29: "int64", 44: "float8", 45: "float8",
}  # fmt: skip
"""c10::ScalarType as the profiler prints it."""


def element_type(code: Any, default: str) -> str:
    """Return the element type that an argument `dtype` asks for, the default if none.

    Raises TypeError if the trace does not list the argument.
    """
    if code is UNLISTED:
        raise TypeError("an element type that is not in the file")
    whole = isinstance(code, int) and not isinstance(code, bool)
    return _CODES.get(code, default) if whole else default


def first_tensor(args: Args) -> Tensor:
    """Return the first tensor among the arguments; raises StopIteration if there is none."""
    return next(tensor for value in args.values() for tensor in tensors_in(value))


def like(*names: str, dtype: str = "") -> Rule:
    """Return the rule of an op that returns one tensor like each of the arguments that it names."""

    def rule(args: Args) -> Iterator[Result]:
        for name in names:
            yield args[name].shape, dtype or args[name].dtype

    return rule


def sized(name: str, source: str = "grad_output") -> Rule:
    """Return the rule of an op that returns the size in argument `name`, typed as `source`."""

    def rule(args: Args) -> Iterator[Result]:
        yield sizes(args[name]), args[source].dtype

    return rule


def sizes(value: Any) -> Shape:
    """Return a list of sizes; raises TypeError or ValueError if it is none."""
    found = tuple(int(size) for size in value)
    if min(found, default=0) < 0:
        raise ValueError(f"sizes {found}")
    return found


def at(value: Any, index: int) -> int:
    """Return a setting of one spatial dimension; one number is that of all."""
    given = value if isinstance(value, tuple) else (value,)
    return int(given[index] if index < len(given) else given[0])


def with_size(shape: Shape, dim: int, size: int) -> Shape:
    """Return the shape with another size in one dimension; raises IndexError without that."""
    changed = list(shape)
    changed[dim] = size
    return tuple(changed)


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that all are stretched to; raises ValueError where they do not fit."""
    length = max(map(len, shapes), default=0)
    padded = [(1,) * (length - len(shape)) + tuple(shape) for shape in shapes]
    result = []
    for column in zip(*padded, strict=True):
        wanted = {size for size in column if size != 1}
        if len(wanted) > 1:
            raise ValueError(f"shapes {shapes}")
        result.append(wanted.pop() if wanted else 1)
    return tuple(result)


def count(shape: Shape) -> int:
    """Return the number of elements."""
    return prod(shape)
