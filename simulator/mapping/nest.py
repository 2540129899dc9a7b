"""A mapping unrolled into tiles: their order, and what each loads and stores.

Nests stay compressed: equal sequences of tiles appear once, with a repeat count.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from simulator.activity import Repeat
from simulator.mapping.loops import IterationSpace, Mapping, Sizes, cut
from simulator.units import ceil_div


class TileVisit(NamedTuple):
    """One tile of a nest: its size along every axis in the shape's order, and what it moves.

    `store` is what leaves the accumulator: nothing, `partial` sums, or `final` outputs. A visit
    that does not compute is a bulk transfer for several tiles. `b_sizes` are those of B where it
    is not cut as the tile is. A visit may end a region of a machine in lockstep, and drain its
    pipeline. It `waits` with its loads for all tiles before, whose operand has one buffer.
    """

    sizes: Sizes
    load_a: bool
    load_b: bool
    load_c: bool
    store: str
    computes: bool = True
    b_sizes: Sizes = ()
    ends: bool = True
    drains: bool = False
    waits: bool = False


class _LoopPosition(NamedTuple):
    """Position of a sub-nest: what its first tile loads, what its last one ends."""

    load_a: bool = True
    load_b: bool = True
    resumed: bool = False  # partial sums exist from an earlier iteration outside the accumulator
    first: bool = True  # of the reduction within the accumulator
    last: bool = True
    final: bool = True  # of the reductions outside it
    moves_c: bool = True  # with its own tile, not in bulk
    ends: bool = True  # of the region
    drains: bool = False
    waits: bool = False


def nest(shape: IterationSpace, mapping: Mapping) -> tuple[TileVisit | Repeat[TileVisit], ...]:
    """Return the tiles of `shape` under `mapping` in order, as nested repeats."""
    sizes, preloaded = shape.extents, mapping.preloaded
    at = _LoopPosition(
        load_a="a" not in preloaded, load_b="b" not in preloaded, waits=bool(mapping.single)
    )
    before = tuple(
        TileVisit(tuple(sizes.values()), name == "a", name == "b", False, "", computes=False)
        for name in preloaded
    )
    return before + tuple(_Nest(shape, mapping).within(0, sizes, at, sizes))


class _Nest:
    """The recursion over loops, with what it needs to know of the mapping at every level."""

    def __init__(self, shape: IterationSpace, mapping: Mapping) -> None:
        self._loops = mapping.loops
        self._a_reused = self._skips(shape.a_axes, mapping.a_from)
        self._b_reused = self._skips(shape.b_axes, mapping.b_from, mapping.b_untiled)
        self._b_untiled, self._region = mapping.b_untiled, mapping.region_from
        drained = [i for i, loop in enumerate(mapping.loops) if loop.axis == mapping.drains]
        self._drained_inside = drained[0] if drained else len(mapping.loops)
        self._sums = tuple(loop.axis not in shape.c_axes for loop in self._loops)
        self._c_from, self._padded = mapping.c_from, mapping.padded
        stays = {"a": mapping.a_from, "b": mapping.b_from}
        # A block of the operand that stays longer begins with one of the other.
        self._waits_from = max((stays[name] for name in mapping.single), default=len(self._loops))
        self._bulk_at = [
            level if mapping.moves_in_bulk(name) else None
            for name, level in zip("abc", mapping.reuse_levels, strict=True)
        ]

    def _skips(self, axes: frozenset[str], reuse_level: int, untiled: int = -1) -> tuple[bool, ...]:
        """Return which loops load an operand in their first iteration only."""
        return tuple(
            level >= reuse_level and (loop.axis not in axes or level == untiled)
            for level, loop in enumerate(self._loops)
        )

    def within(
        self, level: int, sizes: dict[str, int], at: _LoopPosition, b_sizes: dict[str, int]
    ) -> Iterator[TileVisit | Repeat[TileVisit]]:
        """Yield the tiles of loops `level` and inwards over a block of `sizes`."""
        if level == len(self._loops):
            yield _visit(sizes, at, b_sizes)
            return
        a, b, c = [at_level == level for at_level in self._bulk_at]
        if not (a or b or c):
            yield from self._loop(level, sizes, at, b_sizes)
            return
        resumed = c and at.resumed
        if a or b or resumed:
            before = at._replace(load_a=a, load_b=b, resumed=resumed, last=False, ends=False)
            yield _visit(sizes, before, b_sizes)._replace(computes=False)
        others = at._replace(
            load_a=at.load_a and not a, load_b=at.load_b and not b, moves_c=at.moves_c and not c
        )
        yield from self._loop(level, sizes, others, b_sizes)
        if c:
            after = at._replace(load_a=False, load_b=False, resumed=False, drains=True)
            yield _visit(sizes, after, b_sizes)._replace(computes=False)

    def _loop(
        self, level: int, sizes: dict[str, int], at: _LoopPosition, b_sizes: dict[str, int]
    ) -> Iterator[TileVisit | Repeat[TileVisit]]:
        """Yield the tiles of all iterations of the loop at `level`."""
        axis, step = self._loops[level]
        pieces = cut(sizes[axis], step)
        if axis in self._padded:
            pieces = [(step, ceil_div(sizes[axis], step))]
        for size, count, first, last in self._pieces(level, pieces):
            b_inner = b_sizes if level == self._b_untiled else {**b_sizes, axis: size}
            there = self._inside(level, at, first, last)
            inner = tuple(self.within(level + 1, {**sizes, axis: size}, there, b_inner))
            yield from repeated(count, inner)

    def _pieces(
        self, level: int, pieces: list[tuple[int, int]]
    ) -> Iterator[tuple[int, int, bool, bool]]:
        """Split off the first and the last iteration where they differ from the others."""
        first = self._a_reused[level] or self._b_reused[level] or self._sums[level]
        first = first or level >= self._waits_from
        last = self._sums[level] or level >= self._region or level > self._drained_inside
        total, done = sum(count for _, count in pieces), 0
        for size, count in pieces:
            cuts = {0, count}
            if first and done == 0:
                cuts.add(1)
            if last and done + count == total:
                cuts.add(count - 1)
            bounds = sorted(cuts)
            for start, end in pairwise(bounds):
                yield size, end - start, done + start == 0, done + end == total
            done += count

    def _inside(self, level: int, at: _LoopPosition, first: bool, last: bool) -> _LoopPosition:
        load_a = at.load_a and (first or not self._a_reused[level])
        load_b = at.load_b and (first or not self._b_reused[level])
        ends = at.ends and (last or level < self._region)
        drains = level == self._drained_inside or (at.drains and last)
        waits = at.waits and (first or level < self._waits_from)
        _, _, resumed, first_sum, last_sum, final, moves_c, *_ = at
        if self._sums[level] and level >= self._c_from:
            first_sum, last_sum = first_sum and first, last_sum and last
        elif self._sums[level]:
            resumed, final = resumed or not first, final and last
        return _LoopPosition(
            load_a, load_b, resumed, first_sum, last_sum, final, moves_c, ends, drains, waits
        )


def _visit(sizes: dict[str, int], at: _LoopPosition, b_sizes: dict[str, int]) -> TileVisit:
    stored = ("final" if at.final else "partial") if at.last and at.moves_c else ""
    return TileVisit(
        tuple(sizes.values()),
        at.load_a,
        at.load_b,
        at.resumed and at.first and at.moves_c,
        stored,
        b_sizes=() if b_sizes == sizes else tuple(b_sizes.values()),
        ends=at.ends,
        drains=at.drains,
        waits=at.waits,
    )


def repeated(
    count: int, body: tuple[TileVisit | Repeat[TileVisit], ...]
) -> Iterator[TileVisit | Repeat[TileVisit]]:
    """Yield `body` `count` times, as one repeat node where that is more than once."""
    if count > 1:
        yield Repeat(count, body)
    elif count == 1:
        yield from body
