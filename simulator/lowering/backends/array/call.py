"""A call of an array: one GEMM, where it belongs, and how the array computes it."""

from dataclasses import dataclass

from simulator.hardware.accelerator import ArrayInterface
from simulator.hardware.precision import FORMATS, PRECISION_BITS, accumulator_of
from simulator.lowering.binding import Site
from simulator.lowering.epilogue import EpilogueKernels, carries, epilogue_of, ridden
from simulator.lowering.placement import Placement, is_readable
from simulator.mapping.layout import Layout, layout, replicated
from simulator.mapping.problem import OperandBits
from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.units import ceil_div


@dataclass(frozen=True, slots=True)
class ArrayCall:
    """One GEMM to offload: the op that it serves, its placement and layout."""

    site: Site
    op: Op
    gemm: Gemm
    placement: Placement
    layout: Layout
    copies: int = 0  # of operand a, a gradient, that a replicated wgrad takes
    parts: int = 1  # that the CPU sums to the result: one per image, of a replicated wgrad
    by_unit: bool = False  # the DMA engine converts: memory holds the traced formats alone
    by_vector: bool = False  # a vector unit scales the outputs on their way out
    carries: bool = False  # the riders of its op

    @property
    def target(self) -> Tensor | None:
        """The tensor that holds the result, unless that is a temporary."""
        return self.op.outputs[self.gemm.c] if self.gemm.c >= 0 else None

    @property
    def weights(self) -> int | None:
        """Which operand the accelerator takes for weights, 0 or 1; a plain wgrad has none, and
        a product of two activations neither.
        """
        if self.gemm.role in (Role.WGRAD, Role.OTHER):
            return 0 if self.copies else None
        return 1

    @property
    def made(self) -> int:
        """Elements that the array writes."""
        if self.is_summed or self.target is None:
            return self.gemm.result_elements
        return self.target.elements

    @property
    def is_summed(self) -> bool:
        """Whether the CPU sums the array's outputs where they overlap or come in parts."""
        return self.layout.fold_back or self.parts > 1

    @property
    def is_raw(self) -> bool:
        """Whether the array's output is not yet the result."""
        if self.target is None or self.is_summed or self.placement.passes > 1:
            return True
        same = self.summed_in == "fp32" and self.target.bits == 32
        return self.placement.convert and not (self.by_unit or self.by_vector) and not same

    @property
    def summed_in(self) -> str:
        """The precision of the array's sums."""
        return accumulator_of(self.placement.precision)

    @property
    def out_bits(self) -> int:
        """Bits of an output of the array in memory."""
        if self.is_raw and not self.by_unit:
            return PRECISION_BITS[self.summed_in]
        return sum(self.epilogue.writes) if self.epilogue else self._traced.bits

    @property
    def epilogue(self) -> EpilogueKernels | None:
        """What the vector unit does to the outputs on their way to memory, None for nothing."""
        return self.epilogue_beside(frozenset())

    def epilogue_beside(self, on_chip: frozenset[int]) -> EpilogueKernels | None:
        """Return the epilogue where it need not load the storages `on_chip`."""
        scales = self.by_vector and self.placement.convert
        if self.target is None or self.is_raw or not (scales or self.carries):
            return None
        reads = [tensor.bits for tensor in self.epilogue_reads if tensor.storage not in on_chip]
        op = self.op if self.carries else self.op.head
        return epilogue_of(op, self.target, reads, scales=scales)

    @property
    def epilogue_reads(self) -> tuple[Tensor, ...]:
        """The tensors that the epilogue reads beside the outputs, element by element."""
        return ridden(self.op, self.target) if self.carries and self.target else ()

    @property
    def others(self) -> tuple[Tensor, ...]:
        """What the call reads besides its op's operands: a bias, tensors that riders read."""
        return others_of(self.op if self.carries else self.op.head)

    @property
    def written(self) -> tuple[int, ...]:
        """The storages that riders write besides the target."""
        if not self.carries or self.target is None:
            return ()
        made = {tensor.storage for rider in self.op.riders for tensor in rider.outputs}
        stored = {tensor.storage for tensor in self.op.outputs} - {self.target.storage}
        return tuple(sorted(made & stored))

    @property
    def _traced(self) -> Tensor:
        """A tensor in the format that the result has in the trace, a temporary that of its op."""
        op = self.op
        return self.target or (*op.outputs, *op.inputs)[0]

    @property
    def operands(self) -> tuple[OperandBits, OperandBits] | None:
        """How operands a and b lie in memory and scratchpad, None if both as the array computes.

        Narrower integers stay packed up to the array; what the DMA engine converts does not.
        """
        a, b = (self._operand(name) for name in "ab")
        own = PRECISION_BITS[self.placement.precision]
        return None if a == b == OperandBits(own, own) else (a, b)

    def _operand(self, name: str) -> OperandBits:
        which = self.gemm.a if name == "a" else self.gemm.b
        memory, native = self.operand_bits(which), self.operand_format(which)
        on_the_way = self.by_unit and (which < 0 or self.converts(which))
        scratchpad = PRECISION_BITS[native] if on_the_way else memory
        block = FORMATS[native].block if which < 0 or self.converts(which) else 0
        return OperandBits(memory, scratchpad, block)

    def operand_format(self, which: int) -> str:
        """Return the format that input `which` is converted to; of a temporary, -1.

        The array's, or a narrower one that a method has for the operand.
        """
        gemm, precision = self.gemm, self.placement.precision
        own = gemm.formats[0 if which == gemm.a else 1] if which >= 0 else ""
        return own if own in FORMATS and is_readable(own, precision) else precision

    def converts(self, which: int) -> bool:
        """Return whether input `which` of the op must be converted before the array computes."""
        precision = self.placement.precision
        return self.placement.convert and not is_readable(self.op.inputs[which].dtype, precision)

    def operand_bits(self, which: int) -> int:
        """Return the bits in memory of input `which` as the array reads it; of a temporary, -1."""
        if which >= 0 and (self.by_unit or not self.converts(which)):
            return self.op.inputs[which].bits
        return self._traced.bits if self.by_unit else PRECISION_BITS[self.operand_format(which)]


def call_of(
    site: Site,
    op: Op,
    gemm: Gemm,
    placement: Placement,
    array: ArrayInterface,
    *,
    by_unit: bool = False,
    by_vector: bool = False,
) -> ArrayCall:
    """Return the call as this array computes it: it may lack the convolution of a wgrad.

    Its DMA engine converts `by_unit` what there is to convert, or its vector unit `by_vector`.
    """
    conv, by_unit = gemm.conv, by_unit and placement.convert
    if array.wgrad == "im2col" or gemm.role is not Role.WGRAD or conv is None or conv.transposed:
        return ArrayCall(
            site, op, gemm, placement, layout(gemm, array),
            by_unit=by_unit, by_vector=by_vector, carries=carries(op, gemm),
        )  # fmt: skip
    alone = replicated(gemm)
    copies = conv.in_channels // conv.groups
    laid = layout(alone, array)
    return ArrayCall(site, op, alone, placement, laid, copies, conv.images, by_unit)


def others_of(op: Op) -> tuple[Tensor, ...]:
    """Return what the op reads besides its GEMMs' operands, such as a bias."""
    operands = {which for gemm in op.gemms for which in (gemm.a, gemm.b)}
    return tuple(tensor for i, tensor in enumerate(op.inputs) if i not in operands)


def bytes_of(elements: int, bits: int) -> int:
    """Return the whole bytes of so many elements."""
    return ceil_div(elements * bits, 8)
