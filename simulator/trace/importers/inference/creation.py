"""Results of ops that create a tensor."""

from collections.abc import Iterator
from math import ceil
from typing import Any

from simulator.trace.importers.inference.result import (
    Args,
    ResultRule,
    TensorType,
    dtype_of_code,
    sizes,
)
from simulator.trace.importers.values import tensors_in

_FLOAT = "float32"


def _numbers(args: Args) -> list[Any]:
    return list(args.values())


def _of_size(args: Args) -> Iterator[TensorType]:
    """`size` is the first argument, the element type the first code after it."""
    size, *others = _numbers(args)
    yield sizes(size), _option_dtype(others, _FLOAT)


def _option_dtype(others: list[Any], default: str) -> str:
    """Return the type that the first of `dtype, layout, device, pin_memory` selects."""
    return dtype_of_code(others[0], default) if len(others) >= 4 else default


def _full(args: Args) -> Iterator[TensorType]:
    size, value, *others = _numbers(args)
    default = "bool" if isinstance(value, bool) else "int64" if isinstance(value, int) else _FLOAT
    yield sizes(size), _option_dtype(others, default)


def _random_integers(args: Args) -> Iterator[TensorType]:
    size = next(value for value in _numbers(args) if isinstance(value, tuple))
    yield sizes(size), "int64"


def _permutation(args: Args) -> Iterator[TensorType]:
    yield (int(_numbers(args)[0]),), "int64"


def _new(args: Args) -> Iterator[TensorType]:
    base, size, *others = _numbers(args)
    skipped = 1 if len(others) > 4 else 0  # the value of new_full
    yield sizes(size), _option_dtype(others[skipped:], base.dtype)


def _range(args: Args) -> Iterator[TensorType]:
    """arange(end), (start, end) or (start, end, step); then four options, or the result."""
    values = _numbers(args)
    bounds = len(values) - 4 if len(values) > 4 else len(values) - 1
    numbers, options = values[:bounds], values[bounds:]
    start, end, step = (0, numbers[0], 1) if bounds == 1 else (*numbers, 1)[:3]
    whole = all(isinstance(number, int) for number in numbers)
    result = next(tensors_in(tuple(options)), None)
    dtype = result.dtype if result else _option_dtype(options, "int64" if whole else _FLOAT)
    yield (max(0, ceil((end - start) / step)),), dtype


def _steps(args: Args) -> Iterator[TensorType]:
    yield (int(_numbers(args)[2]),), _FLOAT


def _identity(args: Args) -> Iterator[TensorType]:
    rows, *rest = _numbers(args)
    columns = rest[0] if len(rest) > 4 else rows
    yield (int(rows), int(columns)), _FLOAT


def _triangle(args: Args) -> Iterator[TensorType]:
    rows, columns = int(args["self"]), int(args["other"])
    offset = int(args.get("third") or 0)
    lengths = [min(columns, max(0, row + offset + 1)) for row in range(rows)]
    yield (2, sum(lengths)), "int64"


def _triangle_above(args: Args) -> Iterator[TensorType]:
    rows, columns = int(args["self"]), int(args["other"])
    offset = int(args.get("third") or 0)
    lengths = [columns - min(columns, max(0, row + offset)) for row in range(rows)]
    yield (2, sum(lengths)), "int64"


def _number(args: Args) -> Iterator[TensorType]:
    _, *others = _numbers(args)
    yield (), _option_dtype(others, _FLOAT)


def _window(args: Args) -> Iterator[TensorType]:
    yield (int(args["self"]),), _FLOAT


def _samples(args: Args) -> Iterator[TensorType]:
    yield (*args["self"].shape[:-1], int(args["other"])), "int64"


RULES: dict[str, ResultRule] = {
    **dict.fromkeys(("zeros", "ones", "rand", "randn"), _of_size),
    "full": _full,
    "randint": _random_integers,
    "randperm": _permutation,
    **dict.fromkeys(("new_zeros", "new_ones", "new_full"), _new),
    **dict.fromkeys(("arange", "range"), _range),
    **dict.fromkeys(("linspace", "logspace"), _steps),
    "eye": _identity,
    "tril_indices": _triangle,
    "triu_indices": _triangle_above,
    "scalar_tensor": _number,
    "hann_window": _window,
    "hamming_window": _window,
    "multinomial": _samples,
}
