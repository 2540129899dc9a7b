"""Few bits: products of narrow integers, and weights that lie in memory as such."""

from collections.abc import Iterable
from dataclasses import replace

from simulator.trace.op import Op, Phase, Tensor
from simulator.trace.passes.families import copies, is_quantisation, weights
from simulator.trace.passes.treatment import Method, Treatment
from simulator.trace.trace import Step


def narrowed(step: Step, method: Method) -> Step:
    """Return `step` with the products and weights of each layer in the bits of its treatment."""
    dtypes = {
        index: f"int{treatment.weights}"
        for index, treatment in ((i, method.of(layer)) for i, layer in weights(step).items())
        if treatment.weights is not None and not treatment.master
    }
    dtypes |= _quantised(step, method)
    ops = tuple(_narrow(op, method.of(op.layer), dtypes) for op in step.ops)
    sizes = _sizes(ops, dtypes)
    storages = tuple(
        replace(storage, bytes=sizes.get(index, storage.bytes))
        for index, storage in enumerate(step.storages)
    )
    return replace(step, ops=ops, storages=storages)


def _quantised(step: Step, method: Method) -> dict[int, str]:
    """Return what the step itself rounds to few bits, and that an array takes as it is then."""
    made: dict[int, str] = {}
    of_weights = copies(step)
    for op in step.ops:
        if is_quantisation(op):
            treatment, storage = method.of(op.layer), op.outputs[0].storage
            bits = treatment.weights if storage in of_weights else treatment.activations
            bits = treatment.gradients if op.phase in (Phase.DGRAD, Phase.WGRAD) else bits
            made |= {storage: f"int{bits}"} if bits else {}
    return made


def _narrow(op: Op, treatment: Treatment, dtypes: dict[int, str]) -> Op:
    def narrow(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(
            replace(tensor, dtype=dtypes[tensor.storage]) if tensor.storage in dtypes else tensor
            for tensor in tensors
        )

    widths = [treatment.bits_of(gemm.role) for gemm in op.gemms]
    if not any(widths) and not any(t.storage in dtypes for t in (*op.inputs, *op.outputs)):
        return op
    gemms = tuple(
        replace(gemm, precision=f"int{width}") if width else gemm
        for gemm, width in zip(op.gemms, widths, strict=True)
    )
    return replace(op, inputs=narrow(op.inputs), outputs=narrow(op.outputs), gemms=gemms)


def _sizes(ops: Iterable[Op], dtypes: dict[int, str]) -> dict[int, int]:
    """Return what the narrow storages take, by the largest window on each."""
    sizes: dict[int, int] = {}
    for op in ops:
        for tensor in (*op.inputs, *op.outputs):
            if tensor.storage in dtypes:
                sizes[tensor.storage] = max(tensor.bytes, sizes.get(tensor.storage, 0))
    return sizes
