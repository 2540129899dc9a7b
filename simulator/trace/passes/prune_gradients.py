"""Pruned gradients of outputs, which dgrad and wgrad read: sparsity in training.

The op that makes the gradient writes the values that are kept and an index, and prunes for free (a
guess). A product that makes it writes all of it, and it is pruned on its way into the next one.
Other readers, such as the sum of a bias gradient, take the gradient as if it were dense.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from simulator.sparsity import PatternText, SparsityPattern
from simulator.trace.op import Gemm, Op, OpKind, Role, Tensor
from simulator.trace.passes.pruning import (
    MatrixAxes,
    PrunedMatrix,
    index_storage,
    index_tensor,
    matrices,
    matrix_of,
    shortened,
)
from simulator.trace.passes.rewrite import Pass
from simulator.trace.phases import FACTS
from simulator.trace.trace import Step, Storage, StorageKind

_Gradients = Mapping[int, PrunedMatrix]
"""Pruned gradients by storage."""


@dataclass(frozen=True)
class PruneGradients(Pass[SparsityPattern]):
    """Leaves out the zeros of the gradient of each layer's outputs."""

    key = "gradient_sparsity"
    value_type = PatternText

    def apply(self, step: Step) -> Step:
        """Return `step` with pruned gradients of outputs."""
        gradients: dict[int, PrunedMatrix] = {}
        indices: list[Storage] = []
        operands = list(_operands(step))
        for op, names in zip(step.ops, operands, strict=True):
            pattern = self.of(op.layer)
            for gemm, name in zip(op.gemms, names, strict=True) if pattern is not None else ():
                tensor = dict(matrices(op, gemm)).get(name)
                if pattern is None or tensor is None or tensor.storage in gradients:
                    continue
                at = len(step.storages) + len(indices)
                matrix = gradients[tensor.storage] = matrix_of(pattern, gemm, _axes(gemm, name), at)
                indices.append(index_storage(matrix, tensor.elements, StorageKind.ACTIVATION))
        if not gradients:
            return step
        sizes = {len(step.storages) + at: each.bytes for at, each in enumerate(indices)}
        ops = tuple(
            _reading(op, names, gradients, sizes)
            if self.of(op.layer) is not None and any(names)
            else _writing(op, gradients, sizes)
            for op, names in zip(step.ops, operands, strict=True)
        )
        return replace(step, ops=ops, storages=(*_fitting(step, ops, gradients), *indices))


def _operands(step: Step) -> Iterator[list[str]]:
    """Yield, for each op, which operand of each product is the gradient of its layer's outputs: the
    one that backward made, "" where there is none.
    """
    made: set[int] = set()
    for op in step.ops:
        yield [_made_by_backward(op, gemm, made) for gemm in op.gemms]
        written = {tensor.storage for tensor in op.outputs} if op.kind is not OpKind.VIEW else set()
        made = made | written if FACTS[op.phase].backward else made - written


def _made_by_backward(op: Op, gemm: Gemm, made: set[int]) -> str:
    if gemm.role not in (Role.DGRAD, Role.WGRAD):
        return ""
    names = [name for name, each in matrices(op, gemm) if name != "c" and each.storage in made]
    return names[0] if names else ""


def _axes(gemm: Gemm, name: str) -> MatrixAxes:
    """Return the dimensions of outputs and of pixels of a gradient that is operand `name`."""
    outer = "m" if name == "a" else "n"
    return MatrixAxes("k", outer) if gemm.role is Role.DGRAD else MatrixAxes(outer, "k")


def _reading(op: Op, names: list[str], gradients: _Gradients, sizes: Mapping[int, int]) -> Op:
    """Return an op whose products read gradients, which are operands of these names, as stored."""
    gemms, read = [], set()
    for gemm, name in zip(op.gemms, names, strict=True):
        tensor = dict(matrices(op, gemm)).get(name)
        if tensor is None:
            gemms.append(gemm)
            continue
        read.add(tensor.storage)
        operand = gradients[tensor.storage].operand(_axes(gemm, name))
        gemms.append(replace(gemm, sparsity=gemm.sparsity._replace(**{name: operand})))
    inputs = [_stored(t, gradients) if t.storage in read else t for t in op.inputs]
    inputs += _indices(read, gradients, sizes)
    return replace(op, inputs=tuple(inputs), gemms=tuple(gemms))


def _writing(op: Op, gradients: _Gradients, sizes: Mapping[int, int]) -> Op:
    """Return an op that makes gradients as it stores them, any other op unchanged."""
    made = {tensor.storage for tensor in op.outputs} & gradients.keys()
    if not made or op.gemms or op.kind is OpKind.VIEW:
        return op
    outputs = [_stored(t, gradients) if t.storage in made else t for t in op.outputs]
    return replace(op, outputs=(*outputs, *_indices(made, gradients, sizes)))


def _stored(tensor: Tensor, gradients: _Gradients) -> Tensor:
    """Return a gradient as it is stored: with fewer outputs, the dimension that is contiguous but
    in feature maps, whose channels come second.
    """
    if not tensor.shape:
        return tensor
    contiguous = next((at for at, by in enumerate(tensor.strides) if by == 1), -1)
    axis = 1 if len(tensor.shape) > 3 else contiguous
    return shortened(tensor, axis, gradients[tensor.storage].density)


def _indices(
    storages: set[int], gradients: _Gradients, sizes: Mapping[int, int]
) -> Iterator[Tensor]:
    for storage in sorted(storages):
        matrix = gradients[storage]
        yield index_tensor(matrix, sizes[matrix.index_at])


def _fitting(step: Step, ops: tuple[Op, ...], gradients: _Gradients) -> Iterator[Storage]:
    """Yield the storages, those of gradients as large as the largest tensor that is in one."""
    largest: dict[int, int] = {}
    for op in ops:
        for tensor in (*op.inputs, *op.outputs) if op.kind is not OpKind.VIEW else ():
            largest[tensor.storage] = max(tensor.bytes, largest.get(tensor.storage, 0))
    for at, storage in enumerate(step.storages):
        fits = at in gradients and largest[at] < storage.bytes
        yield replace(storage, bytes=largest[at]) if fits else storage
