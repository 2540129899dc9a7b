"""How many bits of weights move in a step: between memory and whoever computes with them."""

from simulator.trace.op import Gemm, Op, bits_of
from simulator.trace.passes.families import copies, weights
from simulator.trace.trace import Step


def moved_weight_bits(step: Step) -> int:
    """Return the bits of weights that the ops of `step` read and write.

    A product reads its weights in its own precision; where they lie in memory in another, a copy
    in that precision is written once a step, as its master is updated. Other ops read and write
    the weights as they lie. Views move nothing.
    """
    found, written = 0, {}
    own_copies = copies(step)
    owned = {*weights(step), *own_copies, *own_copies.values()}
    for op in step.ops:
        read = {which for gemm in op.gemms for which in (gemm.a, gemm.b) if which >= 0}
        for gemm in op.gemms:
            for which in (gemm.a, gemm.b):
                if which >= 0 and op.inputs[which].storage in owned:
                    width = _width(op, gemm, which)
                    tensor = op.inputs[which]
                    found += tensor.elements * width
                    if width != tensor.bits:
                        written[tensor.storage, width] = tensor.elements * width
        rest = [tensor for index, tensor in enumerate(op.inputs) if index not in read]
        if op.read_bytes or op.write_bytes:
            moved = (t for t in (*rest, *op.outputs) if t.storage in owned)
            found += sum(tensor.elements * tensor.bits for tensor in moved)
    return found + sum(written.values())


def _width(op: Op, gemm: Gemm, which: int) -> int:
    return bits_of(gemm.precision) if gemm.precision else op.inputs[which].bits
