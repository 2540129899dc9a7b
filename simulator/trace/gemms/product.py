"""What a formula returns, and how formulas look at arguments."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from simulator.trace.op import Causal, Conv, Role


@dataclass(frozen=True, slots=True)
class Product:
    """A GEMM whose operands are argument names, "" for a temporary; role None: by context."""

    role: Role | None
    batch: int
    m: int
    n: int
    k: int
    a: str = ""
    b: str = ""
    c: int = -1
    conv: Conv | None = None
    causal: Causal = Causal.NONE


def words(text: str) -> frozenset[str]:
    """Return the names in a text."""
    return frozenset(text.split())


Args = dict[str, Any]
Products = tuple[Product, ...]
Formula = Callable[[Args], Products]


@dataclass(frozen=True, slots=True)
class Operand:
    """An operand that is no plain tensor, for formulas that count less than its shape.

    `nnz` is the number of values that a sparse tensor stores; `lengths` the extents of a nested
    tensor's rows along its ragged dimension, whose entry in `shape` is their maximum. Formulas ask
    any argument for these attributes, and take a tensor without them for dense.
    """

    shape: tuple[int, ...]
    dtype: str
    nnz: int | None = None
    lengths: tuple[int, ...] | None = None


def stored(operand: Any) -> int | None:
    """Return the number of values that a sparse operand stores, None for a dense one."""
    nnz = getattr(operand, "nnz", None)
    return nnz if isinstance(nnz, int) else None


def lengths(operand: Any) -> tuple[int, ...] | None:
    """Return the row lengths of a nested operand, None for any other."""
    value = getattr(operand, "lengths", None)
    return value if isinstance(value, tuple) else None


def rows(operand: Any) -> int:
    """Return how many rows of its last dimension an operand has: of a nested one, those it has."""
    row_lengths, shape = lengths(operand), tuple(operand.shape)
    if row_lengths is None:
        return int(prod(shape[:-1]))
    return sum(row_lengths) * int(prod(shape[1:-1])) // max(row_lengths, default=1)


def matrices(args: Args) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and shape of the arguments with two dimensions or more, in order."""
    for name, value in args.items():
        shape = getattr(value, "shape", ())
        if len(shape) > 1:
            yield name, tuple(shape)
