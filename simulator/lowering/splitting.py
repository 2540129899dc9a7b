"""Ops whose batch several units share: their parts, and what joins them again.

Each part is an op of its own, with results of its own until all are there. The host awaits them:
parts of one tensor lie beside each other then, and whole gradients of weights are summed in a loop
of the host.
"""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from simulator.activity import Stage
from simulator.hardware.runtime import BatchSplit, Runtime
from simulator.hardware.unit import HOST
from simulator.lowering.backends.coherence import flushed
from simulator.lowering.binding import Binding, Site
from simulator.trace.accesses import Access
from simulator.trace.batches import batch_of, cut, shares
from simulator.trace.op import Op
from simulator.trace.trace import phase_of


class UnitPart(NamedTuple):
    """A part of an op, and the unit that is to run it."""

    unit: str
    op: Op


def split_of(runtime: Runtime, op: Op) -> BatchSplit | None:
    """Return the first split that fits `op`."""
    return next((each for each in runtime.split or () if _fits(each, op)), None)


def parts_of(runtime: Runtime, op: Op, sizes: tuple[int, ...] = ()) -> tuple[UnitPart, ...]:
    """Return the parts of `op` under the first split that fits, of these `sizes` or by its shares;
    none where it stays whole.

    The host's part comes last, so that the other units work while it does.
    """
    split = split_of(runtime, op)
    batch = batch_of(op) if split and op.gemms else None
    if split is None or batch is None:
        return ()
    sizes = sizes or shares(batch.size, [share.share or 1 for share in split.parts])
    pairs = zip(split.parts, cut(op, batch, sizes), sizes, strict=True)
    parts = [UnitPart(share.unit, part) for share, part, size in pairs if size]
    return tuple(sorted(parts, key=lambda part: part.unit == HOST))


def apart(binding: Binding, op: Op, part: Op) -> Op:
    """Return a part of `op` with results of its own, so that no part waits for another's. Those
    that are to be summed need memory of their own.
    """
    whole = {tensor.shape for tensor in op.outputs}
    sizes = [tensor.bytes if tensor.shape in whole else 0 for tensor in part.outputs]
    pairs = zip(part.outputs, sizes, strict=True)
    outputs = tuple(replace(tensor, storage=binding.token(size)) for tensor, size in pairs)
    return replace(part, outputs=outputs)


def join(binding: Binding, index: int, op: Op, parts: Sequence[Op]) -> None:
    """Append what makes the results of `op`, number `index` of its step, of those of its parts."""
    roles = {gemm.c: gemm.role for gemm in op.gemms}
    for position, which in enumerate(sorted(roles)):
        target, site = op.outputs[which], Site(index, phase_of(op, roles[which]), op.layer)
        pieces, flush = [part.outputs[position] for part in parts], None
        reads = [Access(piece.storage, piece.bytes) for piece in pieces]
        if pieces[0].shape == target.shape:
            written = Access(target.storage, target.bytes)
            transfers = binding.cache.touch(reads, [written])
            work = binding.requests.pass_over(
                Stage.REDUCE, target.elements, target.bits, transfers, len(pieces) - 1
            )
        else:  # a part of the host's lies in its cache, under another token than the whole
            flush = flushed(binding, site, reads, [])
            binding.cache.drop([target.storage])
            work = binding.requests.driver(Stage.SYNCHRONISE, 0)
        tokens = [read.token for read in reads]
        binding.append(work, site, tokens, (target.storage,), after=(flush,))


def _fits(split: BatchSplit, op: Op) -> bool:
    return fnmatchcase(op.head.name, split.op) and fnmatchcase(op.layer, split.layer)
