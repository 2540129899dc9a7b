"""Kernels that scan a tensor several times: reductions first, then the normalisation.

Scans are counted in ATen's sources (aten/src/ATen/native/cpu of PyTorch). Later scans of a channel
or row may hit in a cache.
"""

from simulator.trace.accesses.loop import (
    LINE,
    Access,
    KernelLoop,
    Loops,
    Scan,
    lines_of,
    side_by_side,
    whole,
)
from simulator.trace.op import Op, Tensor


def batch_norm(op: Op) -> Loops:
    """Training: the sum and the variance of a channel in all images, channel by channel; then one
    pass over images and channels that scales. Evaluation: the last pass alone.

    batch_norm_kernel.cpp: batch_norm_cpu_collect_stats_contiguous_impl (2 reads),
    batch_norm_cpu_contiguous_impl (1 read, 1 write); with channels last the same passes over all.
    """
    if not _is_trained(op.outputs):
        return side_by_side(op)
    statistics = whole(op.inputs[:1])
    return (
        KernelLoop((Scan(statistics), Scan(statistics)), _channels(op.inputs[0])),
        *side_by_side(op),
    )


def batch_norm_backward(op: Op) -> Loops:
    """Sums over gradient and input of a channel, then its gradient from both, in training; in
    evaluation from the gradient alone.

    batch_norm_kernel.cpp: batch_norm_cpu_backward_contiguous_impl (4 reads, 1 write).
    """
    gradient, activation = (op.inputs * 2)[:2]
    if len(op.inputs) < 2 or all(each.elements != activation.elements for each in op.outputs):
        return side_by_side(op)
    scaled = op.inputs if _is_trained(op.inputs) else (gradient, *op.inputs[2:])
    sums = Scan(whole((gradient, activation)))
    return (KernelLoop((sums, Scan(whole(scaled), whole(op.outputs))), _channels(activation)),)


def _is_trained(tensors: tuple[Tensor, ...]) -> bool:
    """Return whether a batch norm is in training mode: in evaluation its statistics are empty."""
    return len(tensors) > 1 and all(tensor.elements for tensor in tensors)


def _channels(tensor: Tensor) -> int:
    """Return the parts in which a batch norm scans its input.

    One with channels last. Channels narrower than a cache line share lines.
    """
    images, channels, *rest = (*tensor.shape, 1, 1)[: max(2, len(tensor.shape))]
    if rest and channels > 1 and tensor.strides[1] == 1:
        return 1
    return max(1, min(channels, lines_of(tensor) // max(1, images * LINE)))


def layer_norm(op: Op) -> Loops:
    """Two moments of a row, or of a group of channels of an image, in one read; then it scales.

    layer_norm_kernel.cpp: LayerNormKernelImplInternal; group_norm_kernel.cpp:
    GroupNormKernelImplInternal (2 reads, 1 write). Also weight_norm_kernel.cpp, by row.
    """
    return _by_rows(op, op.outputs[1].elements if len(op.outputs) > 1 else 1, whole(op.inputs[:1]))


def layer_norm_backward(op: Op) -> Loops:
    """Row by row: what goes into the gradients of weight and bias, two sums, then the gradient.

    layer_norm_kernel.cpp: LayerNormBackwardKernelImplInternal (5 reads of the gradient, 3 of the
    input, 1 write).
    """
    both, gradient, mean = whole(op.inputs[:2]), whole(op.inputs[:1]), op.inputs[2:3]
    rows = mean[0].elements if mean else 1
    return _by_rows(op, rows, both, gradient, both, gradient)


def group_norm_backward(op: Op) -> Loops:
    """Sums over gradient and input of all channels first, then the gradient from both.

    group_norm_kernel.cpp: ComputeInternalGradients, then the gradient (4 reads, 1 write).
    """
    return (KernelLoop((Scan(whole(op.inputs[:2])),)), *side_by_side(op))


def softmax(op: Op) -> Loops:
    """Row by row: maximum, exponentials, their sum, quotients.

    SoftMaxKernel.cpp: _vec_softmax_lastdim (2 reads of the input, 2 reads and 2 writes of the
    result). Other dimensions than the last one go in blocks of 128 KiB (_vec_softmax_backward).
    """
    inputs, result = whole(op.inputs), whole(op.outputs)
    passes = (Scan(inputs), Scan(inputs, result), Scan(result), Scan(result, result))
    return (KernelLoop(passes, _rows(op)),)


def log_softmax(op: Op) -> Loops:
    """Row by row: maximum, sum of exponentials, differences.

    SoftMaxKernel.cpp: _vec_log_softmax_lastdim (3 reads, 1 write).
    """
    inputs = whole(op.inputs)
    return _by_rows(op, _rows(op), inputs, inputs)


def softmax_backward(op: Op) -> Loops:
    """Row by row: a product's sum, then the gradient.

    SoftMaxKernel.cpp: _vec_host_softmax_backward_lastdim (2 reads of gradient and result each, 1
    write).
    """
    return _by_rows(op, _rows(op), whole(op.inputs))


def log_softmax_backward(op: Op) -> Loops:
    """Row by row: the gradient's sum, then the gradient from both.

    SoftMaxKernel.cpp: _vec_host_softmax_backward_lastdim (2 reads of the gradient, 1 of the
    result, 1 write).
    """
    return _by_rows(op, _rows(op), whole(op.inputs[:1]))


def _rows(op: Op) -> int:
    """Return the rows of a softmax, assumed over the last dimension: a trace has no arguments."""
    tensor = op.inputs[0]
    return tensor.elements // max(1, tensor.shape[-1]) if tensor.shape else 1


def _by_rows(op: Op, rows: int, *first: tuple[Access, ...]) -> Loops:
    """Return read-only scans, then one over all inputs and outputs, row by row."""
    last = Scan(whole(op.inputs), whole(op.outputs))
    return (KernelLoop((*(Scan(reads) for reads in first), last), max(1, rows)),)


NORMS = {
    **dict.fromkeys(
        (
            "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_functional",
            "_batch_norm_with_update", "cudnn_batch_norm", "miopen_batch_norm",
        ),
        batch_norm,
    ),
    **dict.fromkeys(
        (
            "native_batch_norm_backward", "batch_norm_backward", "cudnn_batch_norm_backward",
            "miopen_batch_norm_backward",
        ),
        batch_norm_backward,
    ),
    "native_layer_norm": layer_norm,
    "native_layer_norm_backward": layer_norm_backward,
    "native_group_norm": layer_norm,
    "native_group_norm_backward": group_norm_backward,
    "_weight_norm_interface": layer_norm,
    "_softmax": softmax,
    "_safe_softmax": softmax,
    "_log_softmax": log_softmax,
    "_softmax_backward_data": softmax_backward,
    "_log_softmax_backward_data": log_softmax_backward,
}  # fmt: skip
