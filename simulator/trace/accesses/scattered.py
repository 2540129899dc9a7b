"""Gathers and scatters: kernels that access a tensor by indices.

Each place costs its cache lines (`loop.spread`), all places together at most the whole tensor.
"""

from collections.abc import Sequence

from simulator.trace.accesses.loop import Access, KernelLoop, Loops, Scan, places, whole
from simulator.trace.kinds import GATHERS
from simulator.trace.op import Op, Tensor


def gather(op: Op) -> Loops:
    """Read a place per index, and write each to the output."""
    table, *others = op.inputs
    picked = places(table, *gathered(others, op.outputs[0].elements))
    return _one_pass((picked, *whole(others)), whole(op.outputs))


def gathered(others: Sequence[Tensor], elements: int) -> tuple[int, int]:
    """Return the places that a gather of `elements` reads, and the contiguous elements of each.

    One place per index among its other arguments, if their number divides the result; a mask has
    more elements than it selects.
    """
    count = max(1, min(_indices(others), elements))
    return (count, elements // count) if elements % count == 0 else (elements, 1)


def bag(op: Op) -> Loops:
    """Read a row per index and write the sums of bags.

    aten/src/ATen/native/EmbeddingBag.cpp: index_select_add.
    """
    table, *others = op.inputs
    picked = places(table, _indices(others), (1, *table.shape)[-1])
    return _one_pass((picked, *whole(others)), whole(op.outputs))


def pick(op: Op) -> Loops:
    """Read one element per target.

    aten/src/ATen/native/LossNLL.cpp: nll_loss_out_frame.
    """
    table, *others = op.inputs
    picked = places(table, _indices(others), 1)
    return _one_pass((picked, *whole(others)), whole(op.outputs))


def scatter(op: Op) -> Loops:
    """Write places of a tensor, or add to them; both read the lines first.

    In place, or into a copy.
    """
    target = op.outputs[0]
    in_place = any(tensor.storage == target.storage for tensor in op.inputs)
    others = tuple(tensor for tensor in op.inputs[1:] if tensor.storage != target.storage)
    count, run = _sources(target, others)
    copy = () if in_place else _one_pass(whole(op.inputs[:1]), whole((target,)))
    return (*copy, *_added(others, places(target, count, run)))


def _sources(target: Tensor, others: tuple[Tensor, ...]) -> tuple[int, int]:
    """Return the number of places written and the elements of each: the values per index, or a
    row where one value goes everywhere.
    """
    count = _indices(others)
    values = max((tensor.elements for tensor in others if not _is_index(tensor)), default=0)
    if values < 2:
        return count, target.elements // max((1, *target.shape[:1]))
    count = max(1, min(count, values))
    return count, values // count


def zeroed_rows(op: Op) -> Loops:
    """Write zeros over the gradient of a table, then add a row to it for each index.

    aten/src/ATen/native/Embedding.cpp: embedding_dense_backward_cpu.
    """
    gradient, *others = op.inputs
    count = max(1, _indices(others))
    return _zeroed(op, places(op.outputs[0], count, gradient.elements // count))


def zeroed_targets(op: Op) -> Loops:
    """Write zeros over the gradient, then one element for each target.

    aten/src/ATen/native/LossNLL.cpp: nll_loss_backward_out_cpu_template.
    """
    return _zeroed(op, places(op.outputs[0], _indices(op.inputs), 1))


def zeroed_places(op: Op) -> Loops:
    """Write zeros over the result, then add to a place for each element of the gradient.

    aten/src/ATen/native/cpu/MaxPoolKernel.cpp, AvgPoolKernel.cpp, UpSampleMoreKernel.cpp,
    im2col.h (col2im).
    """
    return _zeroed(op, places(op.outputs[0], op.inputs[0].elements, 1))


def zeroed_slice(op: Op) -> Loops:
    """Write zeros over the result, then copy the input into a part of it.

    aten/src/ATen/native/TensorShape.cpp: slice_backward, select_backward, diagonal_backward.
    """
    result, size = op.outputs[0], sum(access.size for access in whole(op.inputs))
    part = Access(result.storage, size)
    return (KernelLoop((Scan((), whole(op.outputs)), Scan(whole(op.inputs), (part,)))),)


def _zeroed(op: Op, part: Access) -> Loops:
    zeros = Scan((), whole(op.outputs))
    return (KernelLoop((zeros, Scan((*whole(op.inputs), part), (part,)))),)


def _added(sources: tuple[Tensor, ...], part: Access) -> Loops:
    return _one_pass((*whole(sources), part), (part,))


def _one_pass(reads: tuple[Access, ...], writes: tuple[Access, ...]) -> Loops:
    return (KernelLoop((Scan(reads, writes),)),)


def _indices(tensors: Sequence[Tensor]) -> int:
    return max((tensor.elements for tensor in tensors if _is_index(tensor)), default=1)


def _is_index(tensor: Tensor) -> bool:
    return tensor.dtype in ("int64", "int32", "bool", "uint8")


def _named(text: str) -> list[str]:
    return text.split()


OF_TABLES = {
    **dict.fromkeys(GATHERS, gather),
    **dict.fromkeys(_named("_embedding_bag _embedding_bag_forward_only"), bag),
    **dict.fromkeys(_named("nll_loss_forward nll_loss2d_forward"), pick),
    **dict.fromkeys(
        _named(
            """index_put _index_put_impl _unsafe_index_put index_add index_copy index_fill
            index_reduce scatter scatter_add scatter_reduce put masked_scatter
            _unsafe_masked_index_put_accumulate"""
        ),
        scatter,
    ),
}
"""Kernels that access their first input by indices and stream over the others."""

OF_ZEROS = {
    **dict.fromkeys(_named("embedding_dense_backward _embedding_bag_dense_backward"), zeroed_rows),
    **dict.fromkeys(_named("nll_loss_backward nll_loss2d_backward"), zeroed_targets),
    **dict.fromkeys(
        _named(
            """max_pool2d_with_indices_backward max_pool3d_with_indices_backward
            avg_pool2d_backward avg_pool3d_backward adaptive_max_pool2d_backward
            adaptive_max_pool3d_backward _adaptive_avg_pool2d_backward
            _adaptive_avg_pool3d_backward adaptive_avg_pool3d_backward
            upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward
            upsample_linear1d_backward upsample_bilinear2d_backward upsample_trilinear3d_backward
            upsample_bicubic2d_backward max_unpool2d max_unpool3d col2im unfold_backward"""
        ),
        zeroed_places,
    ),
    **dict.fromkeys(_named("select_backward slice_backward diagonal_backward"), zeroed_slice),
}
"""Kernels that fill their result with zeros first."""
