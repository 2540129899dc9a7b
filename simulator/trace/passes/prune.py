"""Pruned weights: structured zeros that are not stored, and that machines may skip.

What is stored of a layer's weights is the values that are kept and an index. Their gradient and the
optimizer's state shrink as well: the mask is fixed, and all of them share it. Activations stay.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from simulator.sparsity import PatternText, SparsityPattern
from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.trace.passes.families import family, weights
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
from simulator.trace.passes.thin import axis_of_inputs
from simulator.trace.trace import Step, Storage, StorageKind


class _Weights(NamedTuple):
    """A parameter that is pruned, of so many `inputs` x `outputs`, and what else exists for it."""

    matrix: PrunedMatrix
    inputs: int
    outputs: int
    storage: int


@dataclass(frozen=True)
class PruneWeights(Pass[SparsityPattern]):
    """Leaves out the zeros of each layer's weights."""

    key = "sparsity"
    value_type = PatternText

    def apply(self, step: Step) -> Step:
        """Return `step` with pruned weights, their gradients and optimizer state."""
        members: dict[int, _Weights] = {}
        indices: list[Storage] = []
        for storage, layer in weights(step).items():
            pattern = self.of(layer)
            if pattern is None:
                continue
            gemm, axes = _reader(step, storage)
            matrix = matrix_of(pattern, gemm, axes, len(step.storages) + len(indices))
            own = _Weights(matrix, getattr(gemm, axes.rows), getattr(gemm, axes.cols), storage)
            values = gemm.batch * own.inputs * own.outputs
            name = f"{step.storages[storage].name}.index"
            indices.append(index_storage(matrix, values, StorageKind.BUFFER, name))
            members |= dict.fromkeys(family(step, {storage}, layer.__eq__), own)
        if not members:
            return step
        storages = [
            replace(each, bytes=ceil(each.bytes * members[at].matrix.density))
            if at in members
            else each
            for at, each in enumerate(step.storages)
        ]
        storages += indices
        ops = tuple(_without_zeros(op, members, storages) for op in step.ops)
        return replace(step, ops=ops, storages=tuple(storages))


def _reader(step: Step, storage: int) -> tuple[Gemm, MatrixAxes]:
    """Return the first product that has a parameter for an operand, and how it lies there."""
    return next(
        (gemm, _as_operand(gemm, name))
        for op in step.ops
        for gemm in op.gemms
        for name, tensor in matrices(op, gemm)
        if tensor.storage == storage and name != "c"
    )


def _as_operand(gemm: Gemm, name: str) -> MatrixAxes:
    """Return the dimensions of inputs and outputs of weights that are operand "a" or "b"."""
    outer = "m" if name == "a" else "n"
    return MatrixAxes(outer, "k") if gemm.role is Role.DGRAD else MatrixAxes("k", outer)


def _as_result(op: Op, gemm: Gemm, own: _Weights) -> MatrixAxes:
    """Return the dimensions of inputs and outputs of weights whose gradient a product makes."""
    if own.inputs == own.outputs:
        inputs_first = axis_of_inputs(op.outputs[gemm.c]) == 0
    else:
        inputs_first = (gemm.m, gemm.n) == (own.inputs, own.outputs)
    return MatrixAxes("m", "n") if inputs_first else MatrixAxes("n", "m")


def _without_zeros(op: Op, members: dict[int, _Weights], storages: list[Storage]) -> Op:
    if not any(tensor.storage in members for tensor in (*op.inputs, *op.outputs)):
        return op
    read: dict[int, PrunedMatrix] = {}
    gemms = []
    for gemm in op.gemms:
        sparsity = gemm.sparsity
        for name, tensor in matrices(op, gemm):
            own = members.get(tensor.storage)
            if own is None:
                continue
            indexed = tensor.storage == own.storage
            axes = _as_result(op, gemm, own) if name == "c" else _as_operand(gemm, name)
            operand = own.matrix.operand(axes, indexed=indexed)
            sparsity = sparsity._replace(**{name: operand})
            if indexed:
                read[own.storage] = own.matrix
        gemms.append(replace(gemm, sparsity=sparsity))
    indices = (index_tensor(each, storages[each.index_at].bytes) for each in read.values())

    def stored(tensor: Tensor) -> Tensor:
        own = members.get(tensor.storage)
        if own is None or not tensor.shape:
            return tensor
        return shortened(tensor, axis_of_inputs(tensor), own.matrix.density)

    return replace(
        op,
        inputs=(*map(stored, op.inputs), *indices),
        outputs=tuple(map(stored, op.outputs)),
        gemms=tuple(gemms),
    )
