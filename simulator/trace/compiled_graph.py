"""What a step's network is as a compiled graph: its lasting tensors, the masks that it keeps, and
the gradients that it finds in another order than its own.

Inductor keeps the least bytes from forward to backward (its min-cut partitioner). What a library's
kernel reads in backward is kept anyway, and what follows from it element by element or by a norm is
computed again; else a byte per element tells what a rectifier or a dropout let through.

Feature maps have their channels last, and so have weights of convolutions, which are turned in
every forward pass. The gradient of a depthwise convolution's input has not: inductor computes that
input again in an order that no library has a kernel for, and PyTorch then goes by the order of the
weights. Loops that read such a gradient turn it.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from types import MappingProxyType
from typing import NamedTuple

from simulator.trace.accesses import loops_of
from simulator.trace.op import Conv, Op, OpKind, Role
from simulator.trace.op_kinds import KIND_FACTS
from simulator.trace.phases import FACTS
from simulator.trace.trace import PERSISTENT, Step, StorageKind

_NEED_SIGNS = frozenset({"threshold_backward", "hardtanh_backward", "leaky_relu_backward"})


class LoopExtras(NamedTuple):
    """Elements of which an op writes a mask, of which it reads one, and which it turns from another
    order into its own.
    """

    written: int = 0
    read: int = 0
    turned: int = 0


NO_EXTRAS = LoopExtras()


class CompiledGraph(NamedTuple):
    """How many lasting tensors a network reads, and what its loops do besides, by the op."""

    tensors: int = 0
    extras: Mapping[int, LoopExtras] = MappingProxyType({})


NO_GRAPH = CompiledGraph()


def graph_of(step: Step) -> CompiledGraph:
    """Return the compiled graph of a step's network; ops have their numbers in the step."""
    parts = [each for each in _parts(step) if FACTS[each[1].phase].in_network]
    inputs = {tensor.storage for _, op in parts for tensor in op.inputs}
    lasting = sum(step.storages[storage].kind in PERSISTENT for storage in inputs)
    forward = [each for each in parts if not FACTS[each[1].phase].backward]
    backward = [each for each in parts if FACTS[each[1].phase].backward]
    written, read = _masks(step, forward, backward)
    of_kinds = written, read, _turned(step) | _weights(step)
    extras = {
        number: LoopExtras(*(elements.get(number, 0) for elements in of_kinds))
        for number in sorted(set[int]().union(*of_kinds))
    }
    return CompiledGraph(lasting, extras)


def _parts(step: Step) -> Iterator[tuple[int, Op]]:
    """Yield the ops of a step, fused ones part by part, each with its number in the step."""
    for number, op in enumerate(step.ops):
        for part in op.parts or (op,):
            if part.kind is not OpKind.VIEW:
                yield number, part


def _masks(
    step: Step, forward: Iterable[tuple[int, Op]], backward: list[tuple[int, Op]]
) -> tuple[dict[int, int], dict[int, int]]:
    """Return the elements of masks that each op writes, and that it reads."""
    writers = {tensor.storage: each for each in forward for tensor in each[1].outputs}
    random = {t.storage for _, op in forward if op.kind is OpKind.RANDOM for t in op.outputs}
    at_hand = _at_hand(step, forward, [op for _, op in backward])
    written: dict[int, int] = {}
    read: dict[int, int] = {}
    for number, op in backward:
        for tensor in op.inputs:
            storage = tensor.storage
            needs_mask = op.base_name in _NEED_SIGNS or storage in random
            if storage not in writers or storage in at_hand or not needs_mask:
                continue
            read[number] = read.get(number, 0) + tensor.elements
            if storage not in random:  # what is random is a mask already
                written[writers[storage][0]] = tensor.elements
    return written, read


def _turned(step: Step) -> dict[int, int]:
    """Return the elements that each op reads in another order, once for each of its scans."""
    elements: dict[int, int] = {}  # of the storages in that order
    turned: dict[int, int] = {}
    for number, op in enumerate(step.ops):
        if not FACTS[op.phase].backward or op.kind is OpKind.VIEW:
            continue
        scans = [scan for loop in loops_of(op) for scan in loop.scans] if elements else []
        tokens = [access.token for scan in scans for access in scan.reads]
        again = sum(elements.get(token, 0) for token in tokens)
        if again and not op.gemms:
            turned[number] = again
        for tensor in op.outputs:
            elements.pop(tensor.storage, None)
        for gemm in op.gemms:
            if gemm.role is Role.DGRAD and gemm.conv and gemm.conv.is_depthwise and gemm.c >= 0:
                result = op.outputs[gemm.c]
                elements[result.storage] = result.elements
    return turned


def _weights(step: Step) -> dict[int, int]:
    """Return the elements of weights that ops turn: of convolutions whose kernels span pixels and
    channels.
    """
    elements: dict[int, int] = {}
    for number, op in enumerate(step.ops):
        for gemm in op.gemms if FACTS[op.phase].in_network else ():
            if gemm.role is Role.FORWARD and gemm.b >= 0 and _spans(gemm.conv):
                elements[number] = op.inputs[gemm.b].elements
    return elements


def _spans(conv: Conv | None) -> bool:
    """Return whether the kernels of a convolution span pixels and channels."""
    return conv is not None and prod(conv.kernel) > 1 and not conv.is_depthwise


def _at_hand(step: Step, forward: Iterable[tuple[int, Op]], backward: Iterable[Op]) -> set[int]:
    """Return the storages that backward has anyway, or computes again from such."""
    present = {
        tensor.storage
        for op in backward
        if op.gemms or KIND_FACTS[op.kind].fuses != "element"
        for tensor in op.inputs
    }
    present |= {
        index
        for index, storage in enumerate(step.storages)
        if storage.kind is not StorageKind.ACTIVATION
    }
    for _, op in forward:
        if KIND_FACTS[op.kind].fuses in ("element", "row") and not op.gemms:
            results = {tensor.storage for tensor in op.outputs}
            if {tensor.storage for tensor in op.inputs} - results <= present:
                present |= {t.storage for t in op.outputs if t not in op.inputs}
    return present
