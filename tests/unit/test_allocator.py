"""The heap: blocks that never overlap, and pages fetched as often as the C library's own are."""

import platform
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.lowering.allocator import Heap

MIB = 2**20

# Takes and frees blocks at random, with the C library and with the heap; prints bytes fetched.
AGAINST_GLIBC = """
import ctypes, random, resource, sys
from simulator.lowering.allocator import Heap

libc = ctypes.CDLL("libc.so.6")
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def take(size):
    block = ctypes.c_void_p()
    assert libc.posix_memalign(ctypes.byref(block), 64, size) == 0
    return block.value

seed, *sizes = map(int, sys.argv[1:])
draw = random.Random(seed)
libc.free(take(2**20))
heap, blocks, fetched, predicted = Heap(2**20 + 4096), [], 0, 0
for _ in range(3000):
    if not blocks or (len(blocks) < 24 and draw.random() < 0.55):
        size, before = draw.choice(sizes), faults()
        block = take(size)
        libc.memset(block, 1, size)
        fetched += (faults() - before) * resource.getpagesize()
        taken = heap.take(size)
        predicted += taken.new
        blocks.append((block, taken.place))
    else:
        block, place = blocks.pop(draw.randrange(len(blocks)))
        libc.free(block)
        heap.release(place)
print(fetched, predicted)
"""


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_blocks_never_overlap_and_are_aligned(data):
    heap, blocks = Heap(MIB), {}
    for _ in range(data.draw(st.integers(1, 80))):
        if blocks and data.draw(st.booleans()):
            address = data.draw(st.sampled_from(sorted(blocks)))
            _, place = blocks.pop(address)
            heap.release(place)
            continue
        size = data.draw(st.sampled_from([1, 100, 5_000, 300_000, MIB, 3 * MIB, 40 * MIB]))
        taken = heap.take(size)
        assert 0 <= taken.new <= size + 64
        assert all(
            taken.address + size <= other or other + length <= taken.address
            for other, (length, _) in blocks.items()
        )
        blocks[taken.address] = size, taken.place


def test_a_freed_block_is_used_again_without_new_pages():
    heap = Heap(MIB)
    first, _ = heap.take(500_000), heap.take(500_000)
    assert first.new >= 500_000
    heap.release(first.place)
    assert heap.take(400_000).new == 0


def test_a_block_beyond_the_threshold_has_pages_of_its_own_until_one_was_freed():
    heap = Heap(MIB)
    block = heap.take(3 * MIB)
    heap.release(block.place)
    assert heap.take(3 * MIB).new >= 3 * MIB  # the heap's first growth
    assert heap.take(33 * MIB).new == 33 * MIB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="measures glibc")
@pytest.mark.parametrize(
    "sizes",
    [
        (100_000, 300_000, 700_000),
        (1_500_000, 2_200_000, 300_000, 50_000),
        (2_097_152,),
        (4_000_000, 70_000),
    ],
    ids=str,
)
def test_pages_are_fetched_about_as_often_as_glibc_does(sizes):
    """A sequence is chaotic: the sum over three is within a factor of two."""
    sums = [0, 0]
    for seed in (1, 2, 3):
        arguments = [sys.executable, "-c", AGAINST_GLIBC, str(seed), *map(str, sizes)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        sums = [a + int(b) for a, b in zip(sums, done.stdout.split(), strict=True)]
    assert 0.5 < sums[1] / sums[0] < 2


def test_of_equal_places_the_last_one_freed_is_taken():
    """As glibc's bins have it; blocks between them keep them apart. 100 bytes align the next."""
    heap = Heap(32 * MIB)
    blocks = [heap.take(size) for size in (5000, 800, 5000, 800, 5000, 800)]
    for index in (0, 4, 2):
        heap.release(blocks[index].place)
    found = [heap.take(4900).address for _ in range(3)]
    assert found == [blocks[index].address for index in (2, 4, 0)]
