"""Integer training: the tensors of a layer are integers of few bits, forward, backward and update.

As NITI has it (Wang et al., IEEE TPDS 33(11), 2022): weights, activations, gradients and updates
are int8; only sums are wider. `weights`, `activations` and `gradients` of a method narrow what
products read instead, and leave tensors as traced.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from simulator.trace.op import Op, Tensor
from simulator.trace.passes.rewrite import Pass
from simulator.trace.trace import Step


@dataclass(frozen=True)
class Integers(Pass[int]):
    """Gives all floats that the ops of a layer read or write the bits of its value."""

    key = "integers"
    value_type = Annotated[int, Field(ge=2, le=16)]

    def apply(self, step: Step) -> Step:
        """Return `step` with integers for floats. A tensor of several layers has the widest."""
        bits = self._bits(step)
        ops = tuple(_with_integers(op, bits) for op in step.ops)
        storages = list(step.storages)
        for tensor in (t for op in step.ops for t in (*op.inputs, *op.outputs)):
            if tensor.storage in bits and tensor.is_float:
                whole = step.storages[tensor.storage].bytes * 8 // tensor.bits
                size = (whole * bits[tensor.storage] + 7) // 8
                storages[tensor.storage] = replace(storages[tensor.storage], bytes=size)
        return replace(step, ops=ops, storages=tuple(storages))

    def _bits(self, step: Step) -> dict[int, int]:
        """Return the bits of each storage that treated ops have floats in."""
        bits: dict[int, int] = {}
        for op in step.ops:
            value = self.of(op.layer)
            for tensor in (*op.inputs, *op.outputs) if value else ():
                if value and tensor.is_float:
                    bits[tensor.storage] = max(value, bits.get(tensor.storage, 0))
        return bits


def _with_integers(op: Op, bits: dict[int, int]) -> Op:
    def narrow(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(
            replace(tensor, dtype=f"int{bits[tensor.storage]}")
            if tensor.storage in bits and tensor.is_float
            else tensor
            for tensor in tensors
        )

    inputs, outputs = narrow(op.inputs), narrow(op.outputs)
    if (inputs, outputs) == (op.inputs, op.outputs):
        return op
    return replace(op, inputs=inputs, outputs=outputs)
