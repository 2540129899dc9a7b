"""Which part of an operation's loads a shared cache serves, from the bytes between two uses.

A line is still there if fewer others than the cache has ways came into its set since its last use.
Pages lie anywhere in memory, so that the others fall into sets at random (Smith, "A comparative
study of set associative memory mapping algorithms", 1978; Hill and Smith, IEEE ToC 38(12), 1989).
Weights come from memory. The other operand was last used by the operation before, as many bytes ago
as this one touches.
"""

from collections.abc import Iterable
from math import ceil, exp, lgamma, log
from typing import NamedTuple

from simulator.activity import AccessPattern
from simulator.hardware.shared_cache import SharedCache
from simulator.mapping.loops import Mapping, Sizes, block, iterations
from simulator.mapping.nest import TileVisit
from simulator.mapping.problem import ProblemShape
from simulator.units import ceil_div


class CacheHits(NamedTuple):
    """Bytes that operands A and B load in one repeat, and how many of them come from memory."""

    a_loaded: int
    a_missed: int
    b_loaded: int
    b_missed: int

    def parts(self, name: str, pattern: AccessPattern) -> tuple[AccessPattern, ...]:
        """Return what of a tile's load of operand `name` the cache serves, and what it does not:
        of every tile the same part.
        """
        loaded, missed = self[:2] if name == "a" else self[2:]
        if missed == loaded:
            return (pattern,)
        size = ceil_div(pattern.bytes * missed, loaded)
        parts = (_of(pattern, pattern.bytes - size)._replace(cached=True), _of(pattern, size))
        return tuple(part for part in parts if part.bytes)


ALL_MISSED = CacheHits(1, 1, 1, 1)
"""Without a cache everything comes from memory."""


def cache_hits(
    shape: ProblemShape,
    mapping: Mapping,
    cache: SharedCache | None,
    census: Iterable[tuple[TileVisit, int]],
) -> CacheHits:
    """Return what a cache serves of the loads of `shape` under `mapping`.

    `census`: the different tiles of one repeat, and how many there are of each.
    """
    if cache is None:
        return ALL_MISSED
    a_loaded = b_loaded = 0
    for visit, times in census:
        a_loaded += times * shape.a(visit.sizes).bytes if visit.load_a else 0
        b_loaded += times * shape.b(visit.b_sizes or visit.sizes).bytes if visit.load_b else 0
    whole: Sizes = tuple(shape.extents.values())
    first = missed_part(_footprint(shape, whole), cache)
    a = first + _missed_again(shape, mapping, shape.a_axes, mapping.a_from, cache)
    b = 1 + _missed_again(shape, mapping, shape.b_axes, mapping.b_from, cache)
    a_missed, b_missed = ceil(a * shape.a(whole).bytes), ceil(b * shape.b(whole).bytes)
    return CacheHits(a_loaded, min(a_loaded, a_missed), b_loaded, min(b_loaded, b_missed))


def _missed_again(
    shape: ProblemShape,
    mapping: Mapping,
    axes: frozenset[str],
    reuse_level: int,
    cache: SharedCache,
) -> float:
    """Return how often an operand comes from memory in full after the first time: each iteration
    of a loop that does not change it finds what the bytes of one iteration have left.
    """
    total, outside = 0.0, 1
    for level, loop in enumerate(mapping.loops[:reuse_level]):
        if loop.axis not in axes:
            times = iterations(mapping.loops, level, shape)
            touched = _footprint(shape, block(shape, mapping, level + 1))
            total += outside * (times - 1) * missed_part(touched, cache)
            outside *= times
    return total


def missed_part(distance: int, cache: SharedCache) -> float:
    """Return the part of lines that are gone after `distance` bytes of others: the probability
    that as many as the ways, or more, came into the set.
    """
    if not distance:
        return 0
    mean = distance * cache.ways / cache.capacity
    return 1 - sum(exp(n * log(mean) - mean - lgamma(n + 1)) for n in range(cache.ways))


def _footprint(shape: ProblemShape, sizes: Sizes) -> int:
    """Return the bytes that a block of the operation touches."""
    outputs = shape.c(sizes, shape.widths.output)
    return sum(pattern.bytes for pattern in (shape.a(sizes), shape.b(sizes), outputs))


def _of(pattern: AccessPattern, size: int) -> AccessPattern:
    """Return `size` bytes that lie as those of a pattern do."""
    if pattern.run < pattern.pitch:
        return pattern._replace(bytes=size)
    return pattern._replace(bytes=size, run=size, pitch=size)
