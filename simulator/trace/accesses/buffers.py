"""Kernels with temporary tensors of their own, which a trace does not list."""

from simulator.trace.accesses.loop import (
    SCRATCH,
    Access,
    KernelLoop,
    Loops,
    Scan,
    lines_of,
    side_by_side,
    whole,
)
from simulator.trace.op import Op


def reduced_loss(op: Op) -> Loops:
    """Write the loss of each element, then average; a loss without reduction is one scan.

    aten/src/ATen/native/Loss.cpp: mse_loss_out, smooth_l1_loss_out, binary_cross_entropy_out_cpu,
    apply_loss_reduction.
    """
    losses = _scratch(op)
    if op.outputs[0].elements >= op.inputs[0].elements:
        return side_by_side(op)
    return _in_turn(Scan(whole(op.inputs), (losses,)), Scan((losses,), whole(op.outputs)))


def logits_loss(op: Op) -> Loops:
    """Write logarithms of sigmoids, 1 - target, its product with the input, the difference; then
    average.

    aten/src/ATen/native/Loss.cpp: binary_cross_entropy_with_logits.
    """
    logits, target = whole(op.inputs[:1]), whole(op.inputs[1:2])
    logarithm, loss = _scratch(op), _scratch(op)._replace(token=SCRATCH - 1)
    return _in_turn(
        Scan(logits, (logarithm,)),
        Scan(target, (loss,)),
        Scan((*logits, loss), (loss,)),
        Scan((loss, logarithm), (loss,)),
        Scan((loss, *whole(op.inputs[2:])), whole(op.outputs)),
    )


def logsumexp(op: Op) -> Loops:
    """Maxima, differences from them, their exponentials, the sums.

    aten/src/ATen/native/ReduceOps.cpp: logsumexp_out_impl.
    """
    inputs, rest = whole(op.inputs), _scratch(op)
    return _in_turn(
        Scan(inputs),
        Scan(inputs, (rest,)),
        Scan((rest,), (rest,)),
        Scan((rest,), whole(op.outputs)),
    )


def dropout(op: Op) -> Loops:
    """Draw the mask, multiply by it, then scale the result in place.

    aten/src/ATen/native/Dropout.cpp: native_dropout_cpu.
    """
    if len(op.outputs) != 2:
        return side_by_side(op)
    result, mask = whole(op.outputs[:1]), whole(op.outputs[1:])
    return _in_turn(Scan((), mask), Scan((*whole(op.inputs), *mask), result), Scan(result, result))


def nonzero(op: Op) -> Loops:
    """Count, then write the indices.

    aten/src/ATen/native/TensorAdvancedIndexing.cpp: nonzero_out_cpu.
    """
    return (KernelLoop((Scan(whole(op.inputs)),)), *side_by_side(op))


def _scratch(op: Op) -> Access:
    return Access(SCRATCH, lines_of(op.inputs[0]))


def _in_turn(*passes: Scan) -> Loops:
    return (KernelLoop(passes),)


BUFFERED = {
    **dict.fromkeys(
        ("mse_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy"), reduced_loss
    ),
    "binary_cross_entropy_with_logits": logits_loss,
    "logsumexp": logsumexp,
    "native_dropout": dropout,
    "nonzero": nonzero,
}
