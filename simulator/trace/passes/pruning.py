"""What pruning does to the matrices of a step: fewer values, and an index in its own storage."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from simulator.sparsity import SparsityPattern, density_of, index_bits_of
from simulator.trace.op import Gemm, Op, Tensor
from simulator.trace.sparsity import SparseOperand
from simulator.trace.trace import Storage, StorageKind


class MatrixAxes(NamedTuple):
    """The dimensions of a product along which rows and columns of a pruned matrix run."""

    rows: str
    cols: str


class PrunedMatrix(NamedTuple):
    """A matrix of which `density` is kept, with `index_bits` a value in storage `index_at`."""

    pattern: SparsityPattern
    density: Fraction
    index_bits: Fraction
    index_at: int

    def operand(self, axes: MatrixAxes, *, indexed: bool = True) -> SparseOperand:
        """Return the matrix as one of a product; `indexed`: the product needs the index."""
        if not indexed:
            return SparseOperand(self.pattern, *axes, self.density)
        return SparseOperand(self.pattern, *axes, self.density, self.index_bits, self.index_at)

    def index_bytes(self, values: int) -> int:
        """Return the bytes of the index of so many values, zeros included."""
        return ceil(values * self.density * self.index_bits / 8)


def matrix_of(
    pattern: SparsityPattern, gemm: Gemm, axes: MatrixAxes, index_at: int
) -> PrunedMatrix:
    """Return a matrix of `gemm` as `pattern` prunes it, with its index in storage `index_at`."""
    rows, cols = getattr(gemm, axes.rows), getattr(gemm, axes.cols)
    density = density_of(pattern, rows)
    return PrunedMatrix(pattern, density, index_bits_of(pattern, rows, cols), index_at)


def matrices(op: Op, gemm: Gemm) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that a product of `op` names, as "a", "b" and "c"."""
    tensors = (("a", gemm.a, op.inputs), ("b", gemm.b, op.inputs), ("c", gemm.c, op.outputs))
    yield from ((name, among[which]) for name, which, among in tensors if which >= 0)


def shortened(tensor: Tensor, axis: int, density: Fraction) -> Tensor:
    """Return a tensor with so much of one dimension, rounded, without gaps; at least one stays."""
    shape, strides, step = list(tensor.shape), list(tensor.strides), 1
    shape[axis] = max(1, round(shape[axis] * density))
    for at in sorted(range(len(shape)), key=lambda at: (tensor.strides[at], -at)):
        if strides[at]:
            strides[at] = step
            step *= shape[at]
    offset = round(tensor.offset * density)
    return replace(tensor, shape=tuple(shape), strides=tuple(strides), offset=offset)


def index_tensor(matrix: PrunedMatrix, size: int) -> Tensor:
    """Return the index of a matrix, of `size` bytes."""
    return Tensor(matrix.index_at, "uint8", (size,), (1,))


def index_storage(matrix: PrunedMatrix, values: int, kind: StorageKind, name: str = "") -> Storage:
    """Return the storage of the index of so many values, zeros included."""
    return Storage(matrix.index_bytes(values), kind, name)
