"""How a kernel walks over tensors: passes side by side, and how soon it comes back to a byte."""

from collections.abc import Iterable
from typing import NamedTuple

from simulator.trace.op import Op, OpKind, Tensor
from simulator.units import ceil_div

LINE = 64  # bytes: a line of the caches of Arm's Cortex-A and of x86 cores
NEAR = 32 * 1024
"""Bytes that a core's first cache holds. ATen cuts rows for the same size: SoftMaxKernel.cpp in
aten/src/ATen/native/cpu takes at::internal::GRAIN_SIZE (32768) for "the size of L1D cache on many
processors".
"""
SCRATCH = -1
"""Token of a buffer that a kernel allocates and frees: the allocator hands it out again."""


class Access(NamedTuple):
    """`size` bytes of the storage, or of a buffer that no tensor names, that is called `token`."""

    token: int
    size: int


class Scan(NamedTuple):
    """What a kernel reads and writes side by side, each byte once."""

    reads: tuple[Access, ...]
    writes: tuple[Access, ...] = ()


class KernelLoop(NamedTuple):
    """Passes over one part of their tensors after the other: a channel, a row, or all at once.

    A later pass finds in a cache what an earlier one left there if a part fits.
    """

    passes: tuple[Scan, ...]
    parts: int = 1

    @property
    def part_bytes(self) -> int:
        """Bytes that the passes touch before they come to the next part: the reuse distance."""
        sizes: dict[int, int] = {}
        for access in (a for each in self.passes for a in (*each.reads, *each.writes)):
            sizes[access.token] = max(access.size, sizes.get(access.token, 0))
        return ceil_div(sum(sizes.values()), max(1, self.parts))

    def behind(self, cache: int) -> tuple[Scan, ...]:
        """Return the passes that are left behind a cache of so many bytes: one, if a part fits."""
        if len(self.passes) < 2 or self.part_bytes > cache:
            return self.passes
        return (_together(self.passes),)


Loops = tuple[KernelLoop, ...]


def _together(passes: Iterable[Scan]) -> Scan:
    """Return one pass over all; what the passes write themselves, they need not read."""
    read: dict[int, int] = {}
    written: dict[int, int] = {}
    for each in passes:
        for token, size in each.reads:
            if token not in written:
                read[token] = max(size, read.get(token, 0))
        for token, size in each.writes:
            written[token] = max(size, written.get(token, 0))
    return Scan(_accesses(read), _accesses(written))


def _accesses(sizes: dict[int, int]) -> tuple[Access, ...]:
    return tuple(Access(token, size) for token, size in sizes.items())


def whole(tensors: Iterable[Tensor]) -> tuple[Access, ...]:
    """Return an access to each of these tensors from end to end."""
    return tuple(Access(tensor.storage, lines_of(tensor)) for tensor in tensors)


def side_by_side(op: Op) -> Loops:
    """Return one pass over all that the op reads and writes; a view moves nothing."""
    if op.kind is OpKind.VIEW:
        return ()
    return (KernelLoop((Scan(whole(op.inputs), whole(op.outputs)),)),)


def lines_of(tensor: Tensor) -> int:
    """Return the bytes that come with a strided tensor.

    Its own, and whole lines where gaps are at least as wide as a line: a column of a matrix takes
    a line for each element. What lies in narrower gaps comes along.
    """
    span, pieces = tensor.bits, 1  # of a run without wide gaps, in bits; how many runs
    for stride, size in sorted(zip(tensor.strides, tensor.shape, strict=True)):
        step = stride * tensor.bits
        if not size:
            return 0
        if step and pieces == 1 and step - span < 8 * LINE:
            span += (size - 1) * step
        elif step:
            pieces *= size
    run = ceil_div(span, 8)
    return run if pieces == 1 else pieces * ceil_div(run, LINE) * LINE


def spread(tensor: Tensor, count: int, run: int) -> Tensor:
    """Return the window of `count` places anywhere in a tensor, each of `run` elements in a row.

    Which places, a trace does not say: they are taken to lie evenly apart. Where no line between
    them is left out, they are all of the tensor.
    """
    apart = tensor.elements // max(1, count)
    if (apart - run) * tensor.bits < 8 * LINE:
        return tensor
    return Tensor(tensor.storage, tensor.dtype, (count, run), (apart, 1), tensor.offset)


def places(tensor: Tensor, count: int, run: int) -> Access:
    """Return the access to the lines of such places."""
    return Access(tensor.storage, lines_of(spread(tensor, count, run)))
