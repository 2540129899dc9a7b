"""Loops of a fused op: those of its parts, without what the parts only pass on to each other.

What the ends read and write is scanned part by part, so that a fused op never touches more of a
cache at a time than its parts do. A part of several scans reads again, in each after the first,
what the parts before it have read.
"""

from collections.abc import Callable, Iterable, Iterator

from simulator.trace.accesses.loop import NEAR, Access, KernelLoop, Loops, Scan, whole
from simulator.trace.op import Op, OpKind, Tensor

_Extent = tuple[int, int, int]


def chain_loops(op: Op, loops_of: Callable[[Op], Loops]) -> Loops:
    """Return the loops of the `parts` of a fused op, of which `loops_of` has those of each."""
    parts = [part for part in op.parts if part.kind is not OpKind.VIEW]
    writer = {tensor.extent: part for part in parts for tensor in part.outputs}
    stored = {tensor.extent for tensor in op.outputs}
    loops: list[KernelLoop] = []
    passed: set[_Extent] = set()
    again: dict[int, tuple[Access, ...]] = {}  # storage -> what is read for it once more
    before: list[Tensor] = []
    for part in parts:
        reads = [tensor for tensor in part.inputs if tensor.extent not in passed]
        last = [tensor for tensor in part.outputs if writer[tensor.extent] is part]
        writes = [tensor for tensor in last if tensor.extent in stored]
        if len(reads) == len(part.inputs) and len(writes) == len(part.outputs):
            loops += loops_of(part)
        else:
            loops += _without(loops_of(part), _storages(reads), _storages(writes), again)
        before += reads
        for tensor in part.outputs:
            again[tensor.storage] = whole([tensor] if tensor.extent in stored else before)
        passed |= {tensor.extent for tensor in (*part.inputs, *part.outputs)}
    return tuple(loops)


def _without(
    loops: Loops, read: set[int], written: set[int], again: dict[int, tuple[Access, ...]]
) -> Iterator[KernelLoop]:
    """Yield the `loops` of a part that reads and writes memory for these storages alone, and for
    what it needs `again`.
    """
    repeats = any(len(loop.behind(NEAR)) > 1 for loop in loops)
    seen: set[int] = set()
    for loop in loops:
        scans = []
        for scan in loop.scans:
            handed = {access.token for access in scan.reads} - read
            more = [a for token in sorted(handed & seen) for a in again.get(token, ())]
            reads = (*_of(scan.reads, read), *(more if repeats else ()))
            scans.append(Scan(tuple(dict.fromkeys(reads)), _of(scan.writes, written)))
            seen |= handed
        moving = tuple(scan for scan in scans if scan.reads or scan.writes)
        if moving:
            yield loop._replace(scans=moving)


def _storages(tensors: Iterable[Tensor]) -> set[int]:
    return {tensor.storage for tensor in tensors}


def _of(accesses: Iterable[Access], storages: set[int]) -> tuple[Access, ...]:
    return tuple(access for access in accesses if access.token in storages)
