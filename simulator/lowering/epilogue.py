"""What a vector unit is asked for: kernels on the way out of a product, and loops of its own."""

from collections.abc import Iterable
from typing import NamedTuple

from simulator.activity import Stage
from simulator.lowering.cache import Transfers
from simulator.timing.kernels import KernelCost, kernel_of
from simulator.trace.op import Gemm, Op, OpKind, Tensor
from simulator.trace.op_kinds import KIND_FACTS

SIMPLE = KernelCost("elementwise")
"""One operation per element."""


class EpilogueKernels(NamedTuple):
    """Kernels in a row that a product's outputs pass, the bits per output of each further tensor
    that they read, and of each that they write.
    """

    kernels: tuple[KernelCost, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]


class VectorLoop(NamedTuple):
    """A loop over elements: kernels, each with the elements that it computes, transfers, the bits
    of a result, and bytes of tensors that it reads and writes where they stay, in the scratchpad.
    Elements are a matrix with rows of `row` bytes, if that is known.
    """

    stage: Stage
    kernels: tuple[tuple[KernelCost, int], ...]
    transfers: Transfers
    out_bits: int
    resident: tuple[int, int] = (0, 0)
    row: int = 0


def can_ride(rider: Op) -> bool:
    """Return whether each output of `rider` depends on one output of the product alone: an op over
    elements, or a batch norm by statistics that are known.
    """
    by_element = KIND_FACTS[rider.kind].fuses == "element"
    return by_element or (rider.kind is OpKind.NORM and kernel_of(rider) == SIMPLE)


def carries(op: Op, gemm: Gemm) -> bool:
    """Return whether the riders of a fused op follow this product of it."""
    riders = [rider for rider in op.riders if rider.kind is not OpKind.VIEW]
    if not riders or gemm.c < 0 or gemm not in op.gemms:
        return False
    result = op.head.outputs[op.head.gemms[op.gemms.index(gemm)].c]
    return result.storage in {tensor.storage for tensor in riders[0].inputs}


def ridden(op: Op, result: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors, one element per output, that riders of the fused `op` read beside the
    `result` of its product. What has fewer elements (a bias, statistics of channels) stays in the
    unit.
    """
    others = {tensor.storage for rider in op.riders for tensor in rider.inputs}
    return tuple(
        tensor
        for tensor in op.inputs
        if tensor.elements == result.elements and tensor.storage in others
    )


def epilogue_of(op: Op, result: Tensor, reads: Iterable[int], *, scales: bool) -> EpilogueKernels:
    """Return the epilogue of a product of the fused `op` with this `result`, which the vector unit
    `scales` first. It `reads` tensors of so many bits per output.
    """
    riders = [rider for rider in op.riders if rider.kind is not OpKind.VIEW]
    kernels = (SIMPLE,) * scales + tuple(map(kernel_of, riders))
    made = {tensor.storage for rider in riders for tensor in rider.outputs} | {result.storage}
    whole = [tensor for tensor in op.outputs if tensor.elements == result.elements]
    writes = tuple(tensor.bits for tensor in whole if tensor.storage in made)
    return EpilogueKernels(kernels, tuple(reads), writes)
