"""Which storages belong to the weights of a layer: gradients, optimizer state, temporaries."""

from collections.abc import Callable, Iterable

from simulator.trace.op import Op, Tensor
from simulator.trace.phases import FACTS
from simulator.trace.trace import Step, Storage, StorageKind


def layer_of(storage: Storage) -> str:
    """Return the module path of a parameter, "fc" for "fc.weight"."""
    return storage.name.rpartition(".")[0]


def weights(step: Step) -> dict[int, str]:
    """Return the parameters that GEMMs read, with their layers."""
    layers = {}
    for op in step.ops:
        for gemm in op.gemms:
            for which in (gemm.a, gemm.b):
                storage = op.inputs[which].storage if which >= 0 else -1
                if which >= 0 and step.storages[storage].kind is StorageKind.PARAMETER:
                    layers[storage] = layer_of(step.storages[storage])
    return layers


def is_quantisation(op: Op) -> bool:
    """Return whether an op quantises its input, as quantisation-aware training does."""
    return "fake_quantize" in op.name and not op.name.endswith("backward") and bool(op.outputs)


def copies(step: Step) -> dict[int, int]:
    """Return the quantised copies of parameters that a step makes, each with its parameter."""
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


def family(step: Step, roots: Iterable[int], in_layer: Callable[[str], bool]) -> set[int]:
    """Return these parameters with all storages that exist for their sake.

    Their gradients, which backward ops of the layers `in_layer` write; their optimizer state, by
    name; and temporaries of the same shape that updates derive from any of these.
    """
    members = set(roots)
    names = {step.storages[index].name for index in members}
    members |= {
        index
        for index, storage in enumerate(step.storages)
        if storage.kind is StorageKind.OPTIMIZER_STATE and _owner(storage.name) in names
    }
    shapes = {tensor.shape for op in step.ops for tensor in op.inputs if tensor.storage in members}
    for op in step.ops:
        for tensor in op.outputs:
            gradient = step.storages[tensor.storage].kind is StorageKind.GRADIENT
            own = FACTS[op.phase].backward and in_layer(op.layer) and tensor.shape in shapes
            if (gradient and own) or _derives(op, tensor, step, members):
                members.add(tensor.storage)
    return members


def _owner(state: str) -> str:
    """Return the parameter that optimizer state "fc.weight.momentum_buffer" belongs to."""
    return state.rpartition(".")[0]


def _derives(op: Op, tensor: Tensor, step: Step, members: set[int]) -> bool:
    """Return whether an op computes this temporary from a member of the same shape."""
    if not FACTS[op.phase].derives_from_weights or step.storages[tensor.storage].name:
        return False
    return any(read.storage in members and read.shape == tensor.shape for read in op.inputs)
