"""Loop nests against brute force: every iteration visited, every load and store decided by rule."""

from collections import Counter
from dataclasses import dataclass
from math import prod

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.mapping.loops import For, Mapping, block, reloads, reusing
from simulator.mapping.nest import nest
from simulator.timing.repeats import census
from tests.builders import unrolled


@dataclass(frozen=True)
class Product:
    """A matrix product, as a nest sees it."""

    m: int
    n: int
    k: int

    a_axes = frozenset("mk")
    b_axes = frozenset("nk")
    c_axes = frozenset("mn")

    @property
    def extents(self):
        return {"m": self.m, "n": self.n, "k": self.k}


@dataclass(frozen=True)
class Iteration:
    """One tile: per loop its number and whether it is the last, and its range along each axis."""

    counters: tuple[int, ...]
    lasts: tuple[bool, ...]
    ranges: dict[str, tuple[int, int]]
    blocks: tuple[dict[str, tuple[int, int]], ...]  # the ranges outside of each loop

    @property
    def sizes(self):
        return tuple(end - start for start, end in self.ranges.values())


shapes = st.builds(Product, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
loops = st.lists(st.builds(For, st.sampled_from("mnk"), st.integers(1, 6)), max_size=5).map(tuple)


@st.composite
def mappings(draw):
    cuts = draw(loops)
    levels = st.integers(0, len(cuts))
    preloaded = draw(st.sampled_from([(), (), ("a",), ("b",), ("b", "a")]))
    region = draw(st.one_of(st.none(), levels))
    drains = draw(st.sampled_from(["", "m", "n", "k"]))
    return Mapping(
        cuts, draw(levels), draw(levels), draw(levels), preloaded, region=region, drains=drains
    )


def iterations(shape, cuts):
    """Visit every tile in order."""

    def visit(level, ranges, counters, lasts, blocks):
        blocks = (*blocks, ranges)
        if level == len(cuts):
            yield Iteration(counters, lasts, ranges, blocks)
            return
        axis, step = cuts[level]
        start, end = ranges[axis]
        starts = range(start, end, step)
        for number, at in enumerate(starts):
            inner = {**ranges, axis: (at, min(at + step, end))}
            last = number == len(starts) - 1
            yield from visit(level + 1, inner, (*counters, number), (*lasts, last), blocks)

    whole = {axis: (0, size) for axis, size in shape.extents.items()}
    return list(visit(0, whole, (), (), ()))


def part_of(ranges, axes):
    return tuple(span for axis, span in ranges.items() if axis in axes)


def loaded(found, axes, stays_from):
    """Per tile: whether its part of an operand has not been seen since the operand came to stay."""
    needs, here, seen = [], None, set()
    for tile in found:
        if tile.counters[:stays_from] != here:
            here, seen = tile.counters[:stays_from], set()
        part = part_of(tile.ranges, axes)
        needs.append(part not in seen)
        seen.add(part)
    return needs


def sums(found, shape, stays_from):
    """Per tile: whether it continues sums from memory, and what it stores.

    Within an iteration of the loops outside of `stays_from` sums stay in the accumulator: the
    first tile of each output begins (or fetches) them, the last one stores them; they are final if
    no other iteration adds to them.
    """
    visits = {}
    for index, tile in enumerate(found):
        output = part_of(tile.ranges, shape.c_axes)
        visits.setdefault(output, []).append((tile.counters[:stays_from], index))
    resumed, stored = [False] * len(found), [""] * len(found)
    for moments in visits.values():
        for number, (here, index) in enumerate(moments):
            begins = number == 0 or moments[number - 1][0] != here
            ends = number == len(moments) - 1 or moments[number + 1][0] != here
            resumed[index] = begins and number > 0
            if ends:
                stored[index] = "final" if number == len(moments) - 1 else "partial"
    return resumed, stored


@settings(max_examples=150, deadline=None)
@given(shapes, mappings())
def test_tiles_load_and_store_what_brute_force_says(shape, mapping):
    found = iterations(shape, mapping.loops)
    parts = list(unrolled(nest(shape, mapping)))
    first = len(mapping.preloaded)
    assert [(p.load_a, p.load_b, p.computes) for p in parts[:first]] == [
        (name == "a", name == "b", False) for name in mapping.preloaded
    ]
    parts = parts[first:]
    assert [part.sizes for part in parts] == [tile.sizes for tile in found]
    for name, axes, level in (
        ("a", shape.a_axes, mapping.a_from),
        ("b", shape.b_axes, mapping.b_from),
    ):
        mine = [getattr(part, f"load_{name}") for part in parts]
        wanted = [False] * len(found) if name in mapping.preloaded else loaded(found, axes, level)
        assert mine == wanted, name
    resumed, stored = sums(found, shape, mapping.c_from)
    assert [part.load_c for part in parts] == resumed
    assert [part.store for part in parts] == stored


@given(shapes, mappings())
def test_a_region_ends_with_the_last_tile_of_its_loops(shape, mapping):
    found = iterations(shape, mapping.loops)
    parts = list(unrolled(nest(shape, mapping)))[len(mapping.preloaded) :]
    region = mapping.region_from
    for tile, part in zip(found, parts, strict=True):
        assert part.ends == all(tile.lasts[region:])
    named = [level for level, loop in enumerate(mapping.loops) if loop.axis == mapping.drains]
    for tile, part in zip(found, parts, strict=True):
        assert part.drains == (bool(named) and all(tile.lasts[named[0] + 1 :]))


@given(shapes, mappings())
def test_a_census_counts_every_tile(shape, mapping):
    body = nest(shape, mapping)
    assert census(body) == Counter(unrolled(body))
    tiles = [part for part in unrolled(body) if part.computes]
    assert sum(prod(part.sizes) for part in tiles) == shape.m * shape.n * shape.k


@given(shapes, mappings())
def test_a_block_is_what_the_inner_loops_work_on(shape, mapping):
    first = iterations(shape, mapping.loops)[0]
    for level in range(len(mapping.loops) + 1):
        sizes = tuple(end - start for start, end in first.blocks[level].values())
        assert block(shape, mapping, level) == sizes


@given(shapes, st.permutations("mnk"), st.data())
def test_reloads_are_full_loads(shape, order, data):
    """For nests that cut every axis once, as `reloads` is used; each full load is every element."""
    cuts = tuple(For(axis, data.draw(st.integers(1, 6))) for axis in order)
    level = data.draw(st.integers(0, 3))
    mapping = Mapping(cuts, level, level, level)
    parts = list(unrolled(nest(shape, mapping)))
    elements = sum(part.sizes[0] * part.sizes[2] for part in parts if part.load_a)
    assert elements == reloads(shape, mapping, shape.a_axes, level) * shape.m * shape.k


@settings(max_examples=100)
@given(shapes, st.permutations("mnk"), st.data())
def test_staying_longer_loads_no_more_and_takes_no_more_memory(shape, order, data):
    longer = reusing([For(axis, data.draw(st.integers(1, 6))) for axis in order], shape)
    inside = len(longer.loops)
    mapping = Mapping(longer.loops, inside, inside, inside)
    pairs = zip(longer.reuse_levels, mapping.reuse_levels, strict=True)
    assert all(after <= before for after, before in pairs)
    axes = (shape.a_axes, shape.b_axes, shape.c_axes)
    for needed, before, after in zip(axes, mapping.reuse_levels, longer.reuse_levels, strict=True):
        sizes = [
            [size for axis, size in zip("mnk", block(shape, mapping, level), strict=True)
             if axis in needed]
            for level in (before, after)
        ]  # fmt: skip
        assert sizes[0] == sizes[1]
    less, more = (
        [[p.load_a, p.load_b, p.load_c, bool(p.store)] for p in unrolled(nest(shape, chosen))]
        for chosen in (longer, mapping)
    )
    for column in range(4):
        assert sum(row[column] for row in less) <= sum(row[column] for row in more)


def test_a_loop_that_does_not_cut_b_loads_it_once_for_all():
    shape = Product(4, 6, 5)
    mapping = Mapping((For("k", 2), For("m", 2)), 2, 2, 0, b_untiled=0)
    parts = list(unrolled(nest(shape, mapping)))
    assert [part.sizes for part in parts] == [(2, 6, 2)] * 4 + [(2, 6, 1)] * 2
    loads = [part.b_sizes or part.sizes for part in parts if part.load_b]
    assert all(sizes[2] == 5 for sizes in loads)  # all of k, although tiles cut it
    whole = mapping._replace(b_from=0)
    assert [part.load_b for part in unrolled(nest(shape, whole))] == [True] + [False] * 5


def elements(parts, axes, moves):
    """Sum the elements along `axes` of the parts that move something."""
    return sum(
        prod(size for axis, size in zip("mnk", part.sizes, strict=True) if axis in axes)
        for part in parts
        if moves(part)
    )


@settings(max_examples=100)
@given(shapes, mappings(), st.sets(st.sampled_from("abc"), min_size=1))
def test_what_moves_in_bulk_is_as_much_as_tile_by_tile(shape, mapping, names):
    chosen = mapping._replace(bulk=tuple(sorted(names)))
    apart, bulk = (list(unrolled(nest(shape, one))) for one in (mapping, chosen))
    for axes, moves in (
        (shape.a_axes, lambda part: part.load_a),
        (shape.b_axes, lambda part: part.load_b),
        (shape.c_axes, lambda part: part.load_c),
        (shape.c_axes, lambda part: part.store == "partial"),
        (shape.c_axes, lambda part: part.store == "final"),
    ):
        assert elements(bulk, axes, moves) == elements(apart, axes, moves)
    assert [p.sizes for p in bulk if p.computes] == [p.sizes for p in apart if p.computes]
    tiles = [part for part in bulk if part.computes]
    for name, moves in (("a", "load_a"), ("b", "load_b"), ("c", "load_c"), ("c", "store")):
        if chosen.moves_in_bulk(name):
            assert not any(getattr(part, moves) for part in tiles)


def test_bulk_transfers_come_before_the_tiles_that_use_it_and_leave_after_them():
    mapping = Mapping((For("m", 2), For("n", 3), For("k", 5)), 1, 3, 1, bulk=("a", "c"))
    parts = list(unrolled(nest(Product(4, 6, 10), mapping)))
    loads, tiles, stores = [parts[i::6] for i in (0, 1, 5)]
    assert [part.computes for part in parts] == [False, True, True, True, True, False] * 2
    assert {(p.sizes, p.load_a, p.load_b, p.store) for p in loads} == {
        ((2, 6, 10), True, False, "")
    }
    assert {(p.sizes, p.load_a, p.load_b, p.store) for p in tiles} == {((2, 3, 5), False, True, "")}
    assert {(p.sizes, p.store, p.drains) for p in stores} == {((2, 6, 10), "final", True)}
    assert mapping.text.endswith("a stays in one piece from 1, c stays in one piece from 1")
