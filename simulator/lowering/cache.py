"""Which tensors the CPU's last-level cache still holds, and what must go to memory therefore.

Least recently used first, in whole tensors: an operation streams all of its tensors side by side,
so that what does not fit together evicts itself before it is used again.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from simulator.trace.accesses import NEAR, Access, Loops, bytes_behind


class Transfers(NamedTuple):
    """What an operation transfers: bytes of each run from and to memory, and all bytes between
    cache and cores.
    """

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    cached: int = 0


class CachedRegion(NamedTuple):
    """A tensor in the cache: its bytes, and how many of them memory does not have yet."""

    size: int
    dirty: int


Token = Hashable  # of this step, or the name that an earlier one left
Lines = tuple[tuple[Token, CachedRegion], ...]


class CacheContents:
    """Tensors in a write-back cache of `size` bytes; one of 0 bytes holds none."""

    def __init__(self, size: int) -> None:
        """Start empty."""
        self._size = size
        self._lines: dict[Token, CachedRegion] = {}  # least recently used first
        self._resident_bytes = 0
        self._pending_writebacks: list[int] = []  # dirty bytes of each evicted tensor

    def hold(self, lines: Iterable[tuple[Token, CachedRegion]]) -> None:
        """Take in what an earlier step left."""
        for token, line in lines:
            self._put(token, line)

    @property
    def lines(self) -> Lines:
        """The tensors in the cache, least recently used first."""
        return tuple(self._lines.items())

    def walk(self, loops: Loops) -> Transfers:
        """Return the transfers of an operation whose kernel walks over its tensors in these loops.

        Passes over a part that fits find it in the cache; those over all are accesses in turn.
        """
        passes = [each for loop in loops for each in loop.behind(max(NEAR, self._size))]
        transfers = [self.touch(each.reads, each.writes) for each in passes]
        reads = tuple(size for each in transfers for size in each.reads)
        writes = tuple(size for each in transfers for size in each.writes)
        return Transfers(reads, writes, bytes_behind(NEAR, loops) if self._size else 0)

    def touch(self, reads: Sequence[Access], writes: Sequence[Access]) -> Transfers:
        """Return the transfers of an operation that reads and writes these tensors side by side."""
        if not self._size:
            return Transfers(_sizes(reads), _sizes(writes))
        cached = sum(access.size for access in (*reads, *writes))
        there = self.pass_through(reads, writes)
        missed = [access for access, hit in zip(reads, there, strict=False) if not hit]
        passed = writes if not all(there[len(reads) :]) else ()
        writebacks, self._pending_writebacks = self._pending_writebacks, []
        return Transfers(_sizes(missed), (*_sizes(passed), *writebacks), cached)

    def pass_through(self, reads: Sequence[Access], writes: Sequence[Access]) -> list[bool]:
        """Return which of these accesses, reads first, the cache serves.

        What it drives out meanwhile is written back with the CPU's next operation.
        """
        sizes: dict[int, int] = {}
        for token, size in (*reads, *writes):
            sizes[token] = max(size, sizes.get(token, 0))
        if sum(sizes.values()) > self._size:
            self._write_back(set(self._lines) - {token for token, _ in writes})
            return [False] * (len(reads) + len(writes))
        there = [self._read(access) for access in reads]
        for access in writes:
            self._write(access)
        self._evict()
        return there + [True] * len(writes)

    def clean(self, tokens: Iterable[int]) -> int:
        """Write tensors back that another master is to read; return the bytes."""
        written = 0
        for token in tokens:
            line = self._lines.get(token)
            if line and line.dirty:
                written += line.dirty
                self._lines[token] = CachedRegion(line.size, 0)
        return written

    def drop(self, tokens: Iterable[int]) -> None:
        """Forget tensors that another master has written."""
        for token in tokens:
            self._take(token)

    def _read(self, access: Access) -> bool:
        """Make a tensor the most recently used, and return whether it was there."""
        line = self._take(access.token)
        self._put(access.token, CachedRegion(max(access.size, line.size), line.dirty))
        return line.size >= access.size > 0

    def _write(self, access: Access) -> None:
        line = self._take(access.token)
        self._put(
            access.token, CachedRegion(max(access.size, line.size), max(access.size, line.dirty))
        )

    def _take(self, token: Token) -> CachedRegion:
        line = self._lines.pop(token, CachedRegion(0, 0))
        self._resident_bytes -= line.size
        return line

    def _put(self, token: Token, line: CachedRegion) -> None:
        self._lines[token] = line
        self._resident_bytes += line.size

    def _evict(self) -> None:
        """Make room for what was used last."""
        while self._resident_bytes > self._size:
            line = self._take(next(iter(self._lines)))
            if line.dirty:
                self._pending_writebacks.append(line.dirty)

    def _write_back(self, tokens: set[Token]) -> None:
        """Empty the cache; of `tokens` memory needs what it does not have yet."""
        self._pending_writebacks += [
            line.dirty for token, line in self._lines.items() if token in tokens and line.dirty
        ]
        self._lines.clear()
        self._resident_bytes = 0


def _sizes(accesses: Iterable[Access]) -> tuple[int, ...]:
    return tuple(access.size for access in accesses if access.size)
