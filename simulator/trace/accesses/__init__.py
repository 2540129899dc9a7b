"""Which bytes an op reads and writes, how often, and how soon again: by the kernel that runs it.

An op that is in none of the tables goes over all of its tensors once, side by side.
"""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

from simulator.trace.accesses.buffers import BUFFERED
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

_Made = TypeVar("_Made")

__all__ = [
    "KERNELS", "LINE", "NEAR", "SCRATCH", "Access", "KernelLoop", "Loops", "Scan", "bytes_behind",
    "elements_of", "lines_of", "loops_of", "moved_bytes", "whole",
]  # fmt: skip

KERNELS: dict[str, Callable[[Op], Loops]] = {**NORMS, **OF_TABLES, **OF_ZEROS, **BUFFERED}
"""The loops of a kernel, by the name of its op."""


def _kept(make: Callable[[Op], _Made]) -> Callable[[Op], _Made]:
    """Return `make` with what it made kept by its op, as the op keeps its own properties: machine
    after machine asks for it.
    """
    name = f"_{make.__name__}"

    @wraps(make)
    def found(op: Op) -> _Made:
        kept = op.__dict__.get(name)
        if kept is None:
            kept = op.__dict__[name] = make(op)
        return cast("_Made", kept)

    return found


@_kept
def loops_of(op: Op) -> Loops:
    """Return the loops of an op in turn, none of a view."""
    kernel = KERNELS.get(_plain(op))
    return kernel(op) if kernel and op.inputs and op.outputs else side_by_side(op)


@_kept
def moved_bytes(op: Op) -> int:
    """Return the bytes that an op moves between its core and what lies behind the first cache."""
    return bytes_behind(NEAR, loops_of(op))


def bytes_behind(cache: int, loops: Loops) -> int:
    """Return the bytes of all passes that are left behind a cache of so many bytes."""
    passes = (each for loop in loops for each in loop.behind(cache))
    return sum(access.size for each in passes for access in (*each.reads, *each.writes))


@_kept
def elements_of(op: Op) -> int:
    """Return how many elements an op works on: those of its largest input, or of all results.

    A table of which it touches some places alone does not count.
    """
    inputs, outputs = op.inputs, op.outputs
    if inputs and _plain(op) in OF_TABLES:
        outputs = tuple(tensor for tensor in outputs if tensor.storage != inputs[0].storage)
        inputs = inputs[1:]
    written = sum(tensor.elements for tensor in outputs)
    return max([written, *(tensor.elements for tensor in inputs)])


def _plain(op: Op) -> str:
    """Return the name of an op without the mark of its variant in place."""
    return op.base_name.rstrip("_")
