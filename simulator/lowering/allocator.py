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
    """A block: the number of its place, its address, and how many of its bytes are new to the
    process.
    """

    place: int
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
        # Places by number, in use or free, and those beside each, so that merging looks nothing up.
        # A long step has a million. Place 0 has no length and closes the ring.
        self._starts, self._sizes, self._is_free = [0], [0], [False]
        self._before, self._behind = [0], [0]
        self._spare: list[int] = []  # numbers of places that are gone
        self._free: dict[int, dict[int, None]] = {}  # places by length, the last freed last
        self._lengths: list[int] = []  # of free places, sorted, each once: they are few
        self._cached: dict[int, int] = {}  # offcuts for small objects, by size
        self._top = 0  # from here to `_end` nothing is in use
        self._end = 0
        self._fetched = 0  # up to here
        self._next_mmap = _MMAP_BASE

    def take(self, size: int) -> Block:
        """Allocate a block."""
        needed = max(_LEAST, _up(size + _HEADER // 2, _HEADER))
        padded = needed + _ALIGNED + _LEAST
        place = self._free_place(padded)
        if place is None:
            return self._with_own_pages(size, padded)
        start, length = self._starts[place], self._sizes[place]
        rest = length - padded if length - padded >= _LEAST else 0
        before = -(start + _HEADER) % _ALIGNED
        before += _ALIGNED if 0 < before < _LEAST else 0
        after = length - rest - before - needed
        after = after if after >= _LEAST else 0
        gives_before = before and not self._cache(before)
        gives_after = after and not self._cache(after)
        if rest and not gives_after:
            self._offer(self._cut(place, length - rest))
        block = place
        if before:
            block = self._cut(place, before)
            if gives_before:
                self._offer(place)
        if after:
            behind = self._cut(block, self._sizes[block] - after - (rest if gives_after else 0))
            if gives_after:
                self._give(behind)
        address = start + before
        end = address + self._sizes[block]
        new = max(0, end - max(address, self._fetched))
        self._fetched = max(self._fetched, end)
        return Block(block, address, new)

    def release(self, place: int) -> None:
        """Free the block at this place."""
        size = self._sizes[place]
        if self._starts[place] < _MMAP_BASE:
            self._give(place)
            return
        self._spare.append(place)
        if size <= _LARGEST:
            self._threshold = max(self._threshold, size)

    def _free_place(self, size: int) -> int | None:
        """Return a place of `size` bytes or more that is free no longer, None if none is free and
        such a block gets pages of its own.
        """
        index = bisect_left(self._lengths, size)
        if index < len(self._lengths):
            return self._last_freed(index)
        if self._end - self._top < size + _LEAST:
            if size >= self._threshold:
                return None
            self._end += _up(size + _PAD + _LEAST - (self._end - self._top), _PAGE)
        start, self._top = self._top, self._top + size
        return self._add(start, size, self._before[0])

    def _with_own_pages(self, size: int, padded: int) -> Block:
        """Return a block with pages of its own."""
        address, length = self._next_mmap, _up(padded + _HEADER, _PAGE)
        self._next_mmap += length + _PAGE
        return Block(self._number(address, length), address, size)

    def _give(self, place: int) -> None:
        """Let a place be free, as one with those beside it."""
        before = self._before[place]
        if self._is_free[before]:
            self._withdraw(before)
            self._absorb(before)
            place = before
        behind = self._behind[place]
        if self._is_free[behind]:
            self._withdraw(behind)
            self._absorb(place)
        if self._behind[place]:
            self._offer(place)
            return
        self._top = self._starts[place]
        self._remove(place)
        left = self._end - self._top
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

    # The free places, by length

    def _offer(self, place: int) -> None:
        length = self._sizes[place]
        places = self._free.get(length)
        if places is None:
            self._free[length] = {place: None}
            insort(self._lengths, length)
        else:
            places[place] = None
        self._is_free[place] = True

    def _withdraw(self, place: int) -> None:
        length = self._sizes[place]
        places = self._free[length]
        del places[place]
        self._is_free[place] = False
        if not places:
            del self._free[length]
            self._lengths.pop(bisect_left(self._lengths, length))

    def _last_freed(self, index: int) -> int:
        """Withdraw the place that was freed last, of those of the length with this index."""
        length = self._lengths[index]
        places = self._free[length]
        place, _ = places.popitem()
        self._is_free[place] = False
        if not places:
            del self._free[length]
            del self._lengths[index]
        return place

    # All places, side by side

    def _number(self, start: int, length: int) -> int:
        """Return the number of a new place, which is beside no other."""
        if self._spare:
            place = self._spare.pop()
            self._starts[place], self._sizes[place] = start, length
            return place
        self._starts.append(start)
        self._sizes.append(length)
        self._is_free.append(False)
        self._before.append(0)
        self._behind.append(0)
        return len(self._starts) - 1

    def _add(self, start: int, length: int, before: int) -> int:
        """Return a new place behind the place `before`."""
        place, behind = self._number(start, length), self._behind[before]
        self._before[place], self._behind[place] = before, behind
        self._behind[before] = self._before[behind] = place
        return place

    def _cut(self, place: int, length: int) -> int:
        """Shorten a place to `length` and return the place of the rest."""
        rest = self._sizes[place] - length
        self._sizes[place] = length
        return self._add(self._starts[place] + length, rest, place)

    def _absorb(self, place: int) -> None:
        """Let a place have that of the one behind it, too."""
        behind = self._behind[place]
        self._sizes[place] += self._sizes[behind]
        self._remove(behind)

    def _remove(self, place: int) -> None:
        before, behind = self._before[place], self._behind[place]
        self._behind[before], self._before[behind] = behind, before
        self._spare.append(place)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
