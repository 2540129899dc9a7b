"""Traffic of weights in a step, in bits, between memory and the units that compute with them."""

from collections.abc import Iterator

from simulator.trace.op import Op, bits_of
from simulator.trace.passes.families import copies, weights
from simulator.trace.trace import Step


def moved_weight_bits(step: Step) -> int:
    """Return the bits of weights that the ops of `step` read and write.

    A GEMM reads its weights in its own precision. Where memory holds them in another one, a copy
    in that precision is written once a step, as the master is updated. Other ops read and write
    weights as they are stored. Views move nothing.
    """
    own_copies = copies(step)
    owned = {*weights(step), *own_copies, *own_copies.values()}
    total, written = 0, {}
    for op in step.ops:
        for storage, elements, width, stored in _operands(op, owned):
            total += elements * width
            if width != stored:
                written[storage, width] = elements * width
        total += _plain_bits(op, owned)
    return total + sum(written.values())


def _operands(op: Op, owned: set[int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield storage, elements, bits read and bits stored of each weight that a GEMM reads."""
    for gemm in op.gemms:
        for which in (gemm.a, gemm.b):
            if which >= 0 and op.inputs[which].storage in owned:
                tensor = op.inputs[which]
                width = bits_of(gemm.precision) if gemm.precision else tensor.bits
                yield tensor.storage, tensor.elements, width, tensor.bits


def _plain_bits(op: Op, owned: set[int]) -> int:
    """Return the bits of weights that an op moves besides the operands of its GEMMs."""
    if not (op.read_bytes or op.write_bytes):
        return 0
    operands = {which for gemm in op.gemms for which in (gemm.a, gemm.b) if which >= 0}
    others = [tensor for index, tensor in enumerate(op.inputs) if index not in operands]
    return sum(t.elements * t.bits for t in (*others, *op.outputs) if t.storage in owned)
