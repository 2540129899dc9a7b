"""The C library's heap: where blocks lie, and which of their pages the process has to fetch."""

from bisect import bisect_left, insort
from typing import NamedTuple

_PAGE = 4096
_ALIGNED = 64  # c10::gAlignment, of every tensor that PyTorch allocates
_HEADER = 16
_LEAST = 32  # MINSIZE
_PAD = 128 * 2**10  # DEFAULT_TOP_PAD
_TRIMMED_AFTER = 64 * 2**10  # FASTBIN_CONSOLIDATION_THRESHOLD
_SMALL = 1032  # tcache_max_bytes
_CACHED_EACH = 7  # TCACHE_FILL_COUNT
_LARGEST = 32 * 2**20  # DEFAULT_MMAP_THRESHOLD_MAX on 64 bits
_MMAP_BASE = 1 << 60  # blocks with pages of their own lie from here on


class Block(NamedTuple):
    """A block: its address, and how many of its bytes are new to the process."""

    address: int
    new: int


class Heap:
    """Blocks as glibc places them, after malloc/malloc.c: best fit, of equals the last one freed,
    merged when free.

    A block that no free one holds extends the heap, or gets pages of its own from `threshold`
    bytes on. Freeing such pages raises the threshold to their size; a heap whose free end is
    larger than twice the threshold gives it back, to be fetched anew when needed.
    """

    def __init__(self, threshold: int) -> None:
        """Start empty."""
        self._threshold = threshold
        self._free: dict[int, dict[int, None]] = {}  # addresses by length, the last freed last
        self._lengths: list[int] = []  # of free blocks, sorted, each once: they are few
        self._places: dict[int, int] = {}  # length of each free block by address
        self._cached: dict[int, int] = {}  # offcuts for small objects, by size
        self._starts: dict[int, int] = {}  # of free blocks, by where they end
        self._used: dict[int, int] = {}
        self._top = 0  # from here to `_end` nothing is in use
        self._end = 0
        self._fetched = 0  # up to here
        self._next_mmap = _MMAP_BASE

    def take(self, size: int) -> Block:
        """Allocate a block."""
        needed = max(_LEAST, _up(size + _HEADER // 2, _HEADER))
        padded = needed + _ALIGNED + _LEAST
        place = self._place(padded)
        if place is None:
            address, mmap_bytes = self._next_mmap, _up(padded + _HEADER, _PAGE)
            self._next_mmap += mmap_bytes + _PAGE
            self._used[address] = mmap_bytes
            return Block(address, size)
        start, length = place
        before = -(start + _HEADER) % _ALIGNED
        before += _ALIGNED if 0 < before < _LEAST else 0
        after = length - before - needed
        after = after if after >= _LEAST else 0
        address, end = start + before, start + length - after
        self._used[address] = end - address
        for offcut, length in ((start, before), (end, after)):
            if length and not self._cache(length):
                self._give(offcut, length)
        new = max(0, end - max(address, self._fetched))
        self._fetched = max(self._fetched, end)
        return Block(address, new)

    def release(self, address: int) -> None:
        """Free the block at `address`."""
        size = self._used.pop(address)
        if address < _MMAP_BASE:
            self._give(address, size)
        elif size <= _LARGEST:
            self._threshold = max(self._threshold, size)

    def _place(self, size: int) -> tuple[int, int] | None:
        """Return the start and length of a free place for `size` bytes, which may be longer."""
        index = bisect_left(self._lengths, size)
        if index < len(self._lengths):
            start = next(reversed(self._free[self._lengths[index]]))
            length = self._withdraw(start)
            if length - size < _LEAST:
                return start, length
            self._offer(start + size, length - size)
            return start, size
        if self._end - self._top < size + _LEAST:
            if size >= self._threshold:
                return None
            self._end += _up(size + _PAD + _LEAST - (self._end - self._top), _PAGE)
        start, self._top = self._top, self._top + size
        return start, size

    def _give(self, start: int, length: int) -> None:
        """Let a place be free, as one with those beside it."""
        if start in self._starts:
            start = self._starts[start]
            length += self._withdraw(start)
        if start + length in self._places:
            length += self._withdraw(start + length)
        if start + length < self._top:
            self._offer(start, length)
            return
        self._top = start
        left = self._end - start
        if left >= max(2 * self._threshold, _TRIMMED_AFTER):
            self._end -= (left - _LEAST - 1 - _PAD) // _PAGE * _PAGE
            self._fetched = min(self._fetched, self._end)

    def _cache(self, length: int) -> bool:
        """Keep an offcut for small objects, unmerged, while there are few of its size."""
        count = self._cached.get(length, 0)
        if length > _SMALL or count == _CACHED_EACH:
            return False
        self._cached[length] = count + 1
        return True

    def _offer(self, start: int, length: int) -> None:
        if length not in self._free:
            self._free[length] = {}
            insort(self._lengths, length)
        self._free[length][start] = None
        self._places[start] = length
        self._starts[start + length] = start

    def _withdraw(self, start: int) -> int:
        length = self._places.pop(start)
        del self._starts[start + length]
        del self._free[length][start]
        if not self._free[length]:
            del self._free[length]
            self._lengths.pop(bisect_left(self._lengths, length))
        return length


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
