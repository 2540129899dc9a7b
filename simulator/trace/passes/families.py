"""Which storages of a step belong to the weights of a layer: gradients, state, temporaries."""

from collections.abc import Callable, Iterable

from simulator.trace.op import Op, Phase, Tensor
from simulator.trace.trace import Step, Storage, StorageKind

_AROUND_WEIGHTS = frozenset({Phase.WGRAD, Phase.OPTIMIZER, Phase.ZERO_GRAD, Phase.OTHER})
_BACKWARD = frozenset({Phase.DGRAD, Phase.WGRAD})


def layer_of(storage: Storage) -> str:
    """Return the module path of a parameter, "fc" for "fc.weight"."""
    return storage.name.rpartition(".")[0]


def weights(step: Step) -> dict[int, str]:
    """Return the parameters that products read, with their layers."""
    found = {}
    for op in step.ops:
        for gemm in op.gemms:
            for which in (gemm.a, gemm.b):
                storage = op.inputs[which].storage if which >= 0 else -1
                if which >= 0 and step.storages[storage].kind is StorageKind.PARAMETER:
                    found[storage] = layer_of(step.storages[storage])
    return found


def is_quantisation(op: Op) -> bool:
    """Tell whether an op rounds numbers to few bits, as training does that prepares for them."""
    return "fake_quantize" in op.name and not op.name.endswith("backward") and bool(op.outputs)


def copies(step: Step) -> dict[int, int]:
    """Return the quantised copies that a step makes of parameters, with the parameters."""
    return {
        op.outputs[0].storage: op.inputs[0].storage
        for op in step.ops
        if is_quantisation(op) and step.storages[op.inputs[0].storage].kind is StorageKind.PARAMETER
    }


def parameters(step: Step) -> dict[int, str]:
    """Return all parameters, with their layers."""
    return {
        index: layer_of(storage)
        for index, storage in enumerate(step.storages)
        if storage.kind is StorageKind.PARAMETER
    }


def family(step: Step, roots: Iterable[int], of_layer: Callable[[str], bool]) -> set[int]:
    """Return these parameters with all that has their shape for their sake.

    Their gradients, which backward ops of layers `of_layer` write; optimizer state, by name; and
    what an optimizer makes of any of them.
    """
    found = set(roots)
    names = {step.storages[index].name for index in found}
    found |= {
        index
        for index, storage in enumerate(step.storages)
        if storage.kind is StorageKind.OPTIMIZER_STATE and _owner(storage.name) in names
    }
    shapes = {tensor.shape for op in step.ops for tensor in op.inputs if tensor.storage in found}
    for op in step.ops:
        for tensor in op.outputs:
            gradient = step.storages[tensor.storage].kind is StorageKind.GRADIENT
            own = op.phase in _BACKWARD and of_layer(op.layer) and tensor.shape in shapes
            if (gradient and own) or _follows(op, tensor, step, found):
                found.add(tensor.storage)
    return found


def _owner(state: str) -> str:
    """Return the parameter that optimizer state "fc.weight.momentum_buffer" belongs to."""
    return state.rpartition(".")[0]


def _follows(op: Op, tensor: Tensor, step: Step, found: set[int]) -> bool:
    """Tell whether an op makes this of one of the family, of the same shape."""
    if op.phase not in _AROUND_WEIGHTS or step.storages[tensor.storage].name:
        return False
    return any(read.storage in found and read.shape == tensor.shape for read in op.inputs)
