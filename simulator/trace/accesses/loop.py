"""Loops of a kernel over tensors: its scans, and the reuse distance between them."""

from collections.abc import Iterable
from typing import NamedTuple

from simulator.memo import remember
from simulator.trace.op import Op, OpKind, Tensor
from simulator.units import ceil_div

LINE = 64  # bytes: a line of the caches of Arm's Cortex-A and of x86 cores
NEAR = 32 * 1024
"""Bytes of a core's L1 data cache. ATen cuts rows for the same size: SoftMaxKernel.cpp in
aten/src/ATen/native/cpu takes at::internal::GRAIN_SIZE (32768) for "the size of L1D cache on many
processors".
"""
SCRATCH = -1
"""Token of a temporary buffer of a kernel; the allocator reuses its memory."""


class Access(NamedTuple):
    """`size` bytes of the storage, or of the temporary buffer, with this `token`."""

    token: int
    size: int


class Scan(NamedTuple):
    """Streams that a kernel reads and writes together, each byte once."""

    reads: tuple[Access, ...]
    writes: tuple[Access, ...] = ()


class KernelLoop(NamedTuple):
    """Scans over one part of the tensors after the other: a channel, a row, or all at once.

    A later scan of a part hits in a cache that the part fits.
    """

    scans: tuple[Scan, ...]
    parts: int = 1

    @property
    def part_bytes(self) -> int:
        """Bytes that the scans of one part touch: the reuse distance."""
        sizes: dict[int, int] = {}
        for access in (a for each in self.scans for a in (*each.reads, *each.writes)):
            sizes[access.token] = max(access.size, sizes.get(access.token, 0))
        return ceil_div(sum(sizes.values()), max(1, self.parts))

    def behind(self, cache: int) -> tuple[Scan, ...]:
        """Return the scans that miss a cache of `cache` bytes: a single one if a part fits."""
        if len(self.scans) < 2 or self.part_bytes > cache:
            return self.scans
        return (_together(self.scans),)


Loops = tuple[KernelLoop, ...]


def _together(scans: Iterable[Scan]) -> Scan:
    """Return all scans as one; bytes that they write first need no read."""
    read: dict[int, int] = {}
    written: dict[int, int] = {}
    for each in scans:
        for token, size in each.reads:
            if token not in written:
                read[token] = max(size, read.get(token, 0))
        for token, size in each.writes:
            written[token] = max(size, written.get(token, 0))
    return Scan(_accesses(read), _accesses(written))


def _accesses(sizes: dict[int, int]) -> tuple[Access, ...]:
    return tuple(Access(token, size) for token, size in sizes.items())


def whole(tensors: Iterable[Tensor]) -> tuple[Access, ...]:
    """Return an access to all of each tensor."""
    return tuple(Access(tensor.storage, lines_of(tensor)) for tensor in tensors)


def side_by_side(op: Op) -> Loops:
    """Return one scan over all inputs and outputs; a view moves nothing."""
    if op.kind is OpKind.VIEW:
        return ()
    return (KernelLoop((Scan(whole(op.inputs), whole(op.outputs)),)),)


def lines_of(tensor: Tensor) -> int:
    """Return the bytes of the cache lines of a strided tensor.

    Gaps narrower than a line are fetched too. Beyond wider gaps whole lines count: a column of a
    matrix takes a line per element.
    """
    return _lines(tensor.bits, tensor.shape, tensor.strides)


@remember("cache lines of windows", most=4096)
def _lines(bits: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    span, pieces = bits, 1  # of a run without wide gaps, in bits; how many runs
    for stride, size in sorted(zip(strides, shape, strict=True)):
        step = stride * bits
        if not size:
            return 0
        if step and pieces == 1 and step - span < 8 * LINE:
            span += (size - 1) * step
        elif step:
            pieces *= size
    run = ceil_div(span, 8)
    return run if pieces == 1 else pieces * ceil_div(run, LINE) * LINE


def spread(tensor: Tensor, count: int, run: int) -> Tensor:
    """Return a window of `count` places in a tensor, each of `run` contiguous elements.

    A trace does not record indices, so the places are assumed evenly spaced. If they touch every
    line, the window is the whole tensor.
    """
    apart = tensor.elements // max(1, count)
    if (apart - run) * tensor.bits < 8 * LINE:
        return tensor
    return Tensor(tensor.storage, tensor.dtype, (count, run), (apart, 1), tensor.offset)


def places(tensor: Tensor, count: int, run: int) -> Access:
    """Return the access to the cache lines of `count` places of `run` elements, as in `spread`."""
    return Access(tensor.storage, lines_of(spread(tensor, count, run)))
