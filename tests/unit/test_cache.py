"""The last-level cache of whole tensors, against one that knows every line."""

from collections import OrderedDict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.lowering.cache import CacheContents
from simulator.trace.accesses import Access

LINE = 64


class LineCache:
    """A fully associative write-back LRU cache, line by line."""

    def __init__(self, size):
        self.capacity, self.lines = size // LINE, OrderedDict()
        self.read = self.written = 0

    def run(self, reads, writes):
        longest = max(access.size for access in (*reads, *writes))
        for offset in range(0, longest, LINE):
            for accesses, write in ((reads, False), (writes, True)):
                for token, size in accesses:
                    if offset < size:
                        self._touch((token, offset), write)

    def _touch(self, line, write):
        dirty = self.lines.pop(line, None)
        if dirty is None and not write:
            self.read += LINE
        self.lines[line] = bool(dirty) or write
        if len(self.lines) > self.capacity:
            _, dirty = self.lines.popitem(last=False)
            self.written += LINE if dirty else 0

    @property
    def unwritten(self):
        return LINE * sum(self.lines.values())


def moved(cache, steps):
    read = written = 0
    for reads, writes in steps:
        found = cache.touch(reads, writes)
        read, written = read + sum(found.reads), written + sum(found.writes)
    return read, written, sum(line.dirty for _, line in cache.lines)


def chain(size, length, *, in_place):
    """Elementwise operations, each over the result of the one before."""
    tokens = [0] * (length + 1) if in_place else list(range(length + 1))
    return [([Access(a, size)], [Access(b, size)]) for a, b in pairwise(tokens)]


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("size", [LINE, 16 * LINE, 48 * LINE, 96 * LINE, 97 * LINE, 500 * LINE])
def test_a_chain_moves_what_an_lru_of_lines_moves(size, in_place):
    steps, capacity = chain(size, 6, in_place=in_place), 192 * LINE
    lines = LineCache(capacity)
    for reads, writes in steps:
        lines.run(reads, writes)
    read, written, left = moved(CacheContents(capacity), steps)
    # Whether the tail of the last tensor lingers is all that whole tensors cannot tell.
    assert read == lines.read
    assert written + left == lines.written + lines.unwritten
    assert abs(left - lines.unwritten) <= capacity


def test_a_chain_that_fits_pays_memory_once_and_one_that_does_not_every_time():
    fits, spills = (chain(size, 10, in_place=True) for size in (100, 101))
    cache = CacheContents(100)
    assert moved(cache, fits) == (100, 0, 100)
    assert moved(CacheContents(100), spills) == (1010, 1010, 0)


steps = st.lists(
    st.tuples(
        st.lists(st.builds(Access, st.integers(0, 9), st.integers(1, 60)), max_size=3),
        st.lists(st.builds(Access, st.integers(0, 9), st.integers(1, 60)), max_size=2),
    ),
    max_size=30,
)


@given(steps, st.integers(0, 200))
def test_no_byte_is_invented(steps, size):
    read, written, left = moved(CacheContents(size), steps)
    asked = sum(access.size for reads, _ in steps for access in reads)
    made = sum(access.size for _, writes in steps for access in writes)
    assert read <= asked
    assert written + left <= made
    assert left <= size
    if not size:
        assert (read, written) == (asked, made)


@given(steps, st.integers(0, 200), st.integers(0, 200))
def test_a_larger_cache_reads_no_more(steps, size, more):
    assert moved(CacheContents(size + more), steps)[0] <= moved(CacheContents(size), steps)[0]


@given(steps, st.integers(1, 200))
def test_whatever_is_written_reaches_memory_before_another_master_reads_it(steps, size):
    cache = CacheContents(size)
    moved(cache, steps)
    dirty = sum(line.dirty for _, line in cache.lines)
    assert cache.clean(range(10)) == dirty
    assert cache.clean(range(10)) == 0
    held = [token for token, _ in cache.lines]
    cache.drop(held)
    assert cache.lines == ()


def test_what_floods_the_cache_drives_out_what_memory_does_not_have():
    cache = CacheContents(100)
    cache.touch([], [Access(0, 50)])
    assert cache.touch([Access(1, 500)], []).writes == (50,)
    assert cache.touch([Access(0, 50)], []).reads == (50,)
