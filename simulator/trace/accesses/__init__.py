"""Memory access patterns of kernels: the bytes an op reads and writes, how often, reuse distance.

An op without a row in the tables streams over all its tensors once.
"""

from collections.abc import Callable

from simulator.trace.accesses.buffers import BUFFERED
from simulator.trace.accesses.chain import chain_loops
from simulator.trace.accesses.loop import (
    LINE,
    NEAR,
    SCRATCH,
    Access,
    KernelLoop,
    Loops,
    Scan,
    lines_of,
    side_by_side,
    whole,
)
from simulator.trace.accesses.norms import NORMS
from simulator.trace.accesses.scattered import OF_TABLES, OF_ZEROS
from simulator.trace.op import Op

__all__ = [
    "KERNELS", "LINE", "NEAR", "SCRATCH", "Access", "KernelLoop", "Loops", "Scan", "bytes_behind",
    "elements_of", "lines_of", "loops_of", "moved_bytes", "whole",
]  # fmt: skip

KERNELS: dict[str, Callable[[Op], Loops]] = {**NORMS, **OF_TABLES, **OF_ZEROS, **BUFFERED}
"""The loops of a kernel, by the name of its op without namespace and in-place mark."""


def loops_of(op: Op) -> Loops:
    """Return the loops of an op in sequence, none for a view."""
    if op.parts:
        return chain_loops(op, loops_of)
    kernel = KERNELS.get(_plain(op))
    return kernel(op) if kernel and op.inputs and op.outputs else side_by_side(op)


def moved_bytes(op: Op) -> int:
    """Return the bytes that an op moves between its core and the levels behind the L1 cache."""
    return bytes_behind(NEAR, loops_of(op))


def bytes_behind(cache: int, loops: Loops) -> int:
    """Return the bytes that miss a cache of `cache` bytes."""
    passes = (each for loop in loops for each in loop.behind(cache))
    return sum(access.size for each in passes for access in (*each.reads, *each.writes))


def elements_of(op: Op) -> int:
    """Return the elements that an op processes: those of its largest input, or of all outputs.

    A table that it gathers from or scatters to does not count. Of a fused op those of the part that
    has most.
    """
    if op.parts:
        return max(elements_of(part) for part in op.parts)
    inputs, outputs = op.inputs, op.outputs
    if inputs and _plain(op) in OF_TABLES:
        outputs = tuple(tensor for tensor in outputs if tensor.storage != inputs[0].storage)
        inputs = inputs[1:]
    written = sum(tensor.elements for tensor in outputs)
    return max([written, *(tensor.elements for tensor in inputs)])


def _plain(op: Op) -> str:
    """Return the name of an op without the mark of the in-place variant."""
    return op.base_name.rstrip("_")
