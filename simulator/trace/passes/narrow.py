"""Narrow integers: low-precision GEMMs, and weights that are stored in few bits."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.trace.passes.families import copies, is_quantisation, weights
from simulator.trace.passes.rewrite import Pass
from simulator.trace.passes.treatment import AS_IS, Treatment
from simulator.trace.phases import FACTS
from simulator.trace.trace import Step


@dataclass(frozen=True)
class Narrow(Pass[Treatment]):
    """Gives the GEMMs and weights of each layer the bits of its treatment."""

    key = "weights"  # and those of activations, gradients and master, in one value
    value_type = Treatment

    @classmethod
    def value_in(cls, treatment: Treatment) -> Treatment | None:
        """Return the bits of a treatment and nothing else of it, None if all is as traced."""
        bits = replace(treatment, density=AS_IS.density, frozen=False, settings=())
        return None if bits == AS_IS else bits

    def apply(self, step: Step) -> Step:
        """Return `step` with GEMMs and weights in few bits."""
        dtypes = self._stored(step) | self._quantised(step)
        own = set(weights(step)) | set(copies(step))
        ops = tuple(_narrow(op, self._bits(op.layer), dtypes, own) for op in step.ops)
        sizes = _sizes(ops, dtypes)
        storages = tuple(
            replace(storage, bytes=sizes.get(index, storage.bytes))
            for index, storage in enumerate(step.storages)
        )
        return replace(step, ops=ops, storages=storages)

    def _bits(self, layer: str) -> Treatment:
        return self.of(layer) or AS_IS

    def _stored(self, step: Step) -> dict[int, str]:
        """Return the types of weights that have no master copy."""
        treated = ((index, self._bits(layer)) for index, layer in weights(step).items())
        return {
            index: f"int{treatment.weights}"
            for index, treatment in treated
            if treatment.weights is not None and not treatment.master
        }

    def _quantised(self, step: Step) -> dict[int, str]:
        """Return the types of what the step itself quantises, so that an array reads it as is."""
        dtypes: dict[int, str] = {}
        weight_copies = copies(step)
        for op in step.ops:
            if is_quantisation(op):
                treatment, storage = self._bits(op.layer), op.outputs[0].storage
                bits = treatment.weights if storage in weight_copies else treatment.activations
                bits = treatment.gradients if FACTS[op.phase].backward else bits
                dtypes |= {storage: f"int{bits}"} if bits else {}
        return dtypes


def _operand_bits(
    op: Op, which: int, gemm: Gemm, treatment: Treatment, stored: set[int]
) -> int | None:
    """Return the bits in which a method has an operand: of weights, that are `stored`, or of the
    other operand. Which of a weight gradient's operands is the activation is not told apart.
    """
    if which >= 0 and op.inputs[which].storage in stored:
        return treatment.weights
    others = {Role.FORWARD: treatment.activations, Role.DGRAD: treatment.gradients}
    return others.get(gemm.role)


def _narrow(op: Op, treatment: Treatment, dtypes: dict[int, str], stored: set[int]) -> Op:
    def formats(gemm: Gemm, width: int | None) -> tuple[str, str]:
        if not width:
            return "", ""
        own = [_operand_bits(op, which, gemm, treatment, stored) for which in (gemm.a, gemm.b)]
        a, b = (f"int{bits}" if bits and bits < width else "" for bits in own)
        return a, b

    def narrow(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(
            replace(tensor, dtype=dtypes[tensor.storage]) if tensor.storage in dtypes else tensor
            for tensor in tensors
        )

    widths = [treatment.bits_of(gemm.role) for gemm in op.gemms]
    if not any(widths) and not any(t.storage in dtypes for t in (*op.inputs, *op.outputs)):
        return op
    gemms = tuple(
        replace(gemm, precision=f"int{width}", formats=formats(gemm, width)) if width else gemm
        for gemm, width in zip(op.gemms, widths, strict=True)
    )
    return replace(op, inputs=narrow(op.inputs), outputs=narrow(op.outputs), gemms=gemms)


def _sizes(ops: Iterable[Op], dtypes: dict[int, str]) -> dict[int, int]:
    """Return the bytes of the narrow storages: those of the largest window on each."""
    sizes: dict[int, int] = {}
    for op in ops:
        for tensor in (*op.inputs, *op.outputs):
            if tensor.storage in dtypes:
                sizes[tensor.storage] = max(tensor.bytes, sizes.get(tensor.storage, 0))
    return sizes
