"""The loop nest that cuts an operation into tiles: which tile follows which, and what each moves.

A mapping names the loops over tiles, outermost first, and how long each operand stays in the
scratchpad. Nests are compressed: equal sequences of tiles appear once, with how often they run.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from simulator.activity import Repeat
from simulator.units import ceil_div


class For(NamedTuple):
    """A loop that cuts `axis` into pieces of `step`."""

    axis: str
    step: int


class Mapping(NamedTuple):
    """Loops over tiles, outermost first, and from which of them inwards each operand stays.

    An operand that stays from loop i inwards is loaded once for every iteration of the loops
    outside of i, whatever the loops inside do; staying from len(loops) it is loaded for every
    tile. Outputs stay in the accumulator likewise: a reduction further out spills partial sums.
    Operands that are `held` ("a", "b") are loaded whole before the first tile, into memory of
    their own. The loop at `b_uncut` does not cut B: its first iteration loads B for all of it.
    What is `together` ("a", "b", "c") moves in one piece where it stays for several tiles: operands
    before the first of them, outputs after the last, with no computation beside them.

    For a machine in lockstep, the loops from `region` inwards are one dataflow region, and the
    pipeline drains after each iteration of the loop over axis `drains`. `tried`: how many tiles
    the host tried before it chose, at run time. Along `padded` axes the last piece is as large as
    any, as in loops of fixed bounds.
    """

    loops: tuple[For, ...]
    a_from: int
    b_from: int
    c_from: int
    held: tuple[str, ...] = ()
    b_uncut: int = -1
    region: int | None = None
    drains: str = ""
    tried: int = 0
    padded: tuple[str, ...] = ()
    together: tuple[str, ...] = ()

    @property
    def region_from(self) -> int:
        """The loop from which inwards a region begins: that of a reduction, unless told."""
        return self.c_from if self.region is None else self.region

    @property
    def stays(self) -> tuple[int, int, int]:
        """From which loop inwards A, B and the outputs stay."""
        return self.a_from, self.b_from, self.c_from

    @property
    def text(self) -> str:
        """The mapping in words: loops outermost first with their steps, and what stays."""
        words = [f"{loop.axis}/{loop.step}" for loop in self.loops] or ["whole"]
        words += [f"{name} held" for name in self.held]
        inside = len(self.loops)
        for name, level in zip("abc", self.stays, strict=True):
            if level < inside and name not in self.held:
                whole = " in one piece" if self.in_one_piece(name) else ""
                words.append(f"{name} stays{whole} from {level}")
        return ", ".join(words)

    def in_one_piece(self, name: str) -> bool:
        """Return whether operand or output `name` moves apart from the tiles that use it."""
        level = self.stays["abc".index(name)]
        return name in self.together and name not in self.held and level < len(self.loops)


class Shape(Protocol):
    """What a nest must know of the operation that it cuts: its axes, and who depends on which."""

    @property
    def extents(self) -> dict[str, int]:
        """Size along every axis."""

    @property
    def a_axes(self) -> frozenset[str]:
        """Axes along which operand A changes."""

    @property
    def b_axes(self) -> frozenset[str]:
        """Axes along which operand B changes."""

    @property
    def c_axes(self) -> frozenset[str]:
        """Axes along which the outputs change; along all others they are sums."""


class Part(NamedTuple):
    """One tile of a nest: its size along every axis in the shape's order, and what it moves.

    `store` is what leaves the accumulator: nothing, `partial` sums, or `final` outputs. A part
    that does not compute only moves what several tiles use. `b_sizes` are those of B where it is
    not cut as the tile is. It may end a region of a machine in lockstep, and drain its pipeline.
    """

    sizes: tuple[int, ...]
    load_a: bool
    load_b: bool
    load_c: bool
    store: str
    computes: bool = True
    b_sizes: tuple[int, ...] = ()
    ends: bool = True
    drains: bool = False


class _At(NamedTuple):
    """Where in the nest a sub-nest stands: what its first tile loads, what its last one ends."""

    load_a: bool = True
    load_b: bool = True
    resumed: bool = False  # partial sums exist from an earlier iteration outside the accumulator
    first: bool = True  # of the reduction within the accumulator
    last: bool = True
    final: bool = True  # of the reductions outside it
    moves_c: bool = True  # with its own tile, not together
    ends: bool = True  # of the region
    drains: bool = False


def nest(shape: Shape, mapping: Mapping) -> tuple[Part | Repeat[Part], ...]:
    """Return the parts of `shape` under `mapping` in order, as nested repeats."""
    sizes, held = shape.extents, mapping.held
    at = _At(load_a="a" not in held, load_b="b" not in held)
    before = tuple(
        Part(tuple(sizes.values()), name == "a", name == "b", False, "", computes=False)
        for name in held
    )
    return before + tuple(_Nest(shape, mapping).within(0, sizes, at, sizes))


def census(body: Sequence[Part | Repeat[Part]]) -> dict[Part, int]:
    """Return how often each different part occurs in `body`."""
    found: dict[Part, int] = {}
    _count(body, 1, found)
    return found


def _count(body: Sequence[Part | Repeat[Part]], times: int, found: dict[Part, int]) -> None:
    for node in body:
        if isinstance(node, Repeat):
            _count(node.body, times * node.times, found)
        else:
            found[node] = found.get(node, 0) + times


def block(shape: Shape, mapping: Mapping, level: int) -> tuple[int, ...]:
    """Return the sizes of what the loops from `level` inwards work on."""
    sizes = dict(shape.extents)
    for axis, step in mapping.loops[:level]:
        sizes[axis] = min(sizes[axis], step)
    return tuple(sizes.values())


def rounds(shape: Shape, mapping: Mapping, axes: frozenset[str], stays_from: int) -> int:
    """Return how often an operand is loaded in full: once per iteration of outer loops that do
    not change it.
    """
    count = 1
    for level, loop in enumerate(mapping.loops[:stays_from]):
        if loop.axis not in axes:
            count *= _iterations(mapping.loops, level, shape)
    return count


def cut(dim: int, step: int) -> list[tuple[int, int]]:
    """Return (size, count) of the full pieces and of the remainder."""
    full, rest = divmod(dim, step)
    return ([(step, full)] if full else []) + ([(rest, 1)] if rest else [])


def _iterations(loops: tuple[For, ...], level: int, shape: Shape) -> int:
    """Return how often the loop at `level` runs in a full iteration of those outside."""
    axis, step = loops[level]
    outside = [loop.step for loop in loops[:level] if loop.axis == axis]
    return ceil_div(outside[-1] if outside else shape.extents[axis], step)


class _Nest:
    def __init__(self, shape: Shape, mapping: Mapping) -> None:
        self._loops = mapping.loops
        self._a_stays = self._skips(shape.a_axes, mapping.a_from)
        self._b_stays = self._skips(shape.b_axes, mapping.b_from, mapping.b_uncut)
        self._b_uncut, self._region = mapping.b_uncut, mapping.region_from
        drained = [i for i, loop in enumerate(mapping.loops) if loop.axis == mapping.drains]
        self._drained_inside = drained[0] if drained else len(mapping.loops)
        self._sums = tuple(loop.axis not in shape.c_axes for loop in self._loops)
        self._c_from, self._padded = mapping.c_from, mapping.padded
        self._together = {
            name: level if mapping.in_one_piece(name) else None
            for name, level in zip("abc", mapping.stays, strict=True)
        }

    def _skips(self, axes: frozenset[str], stays_from: int, uncut: int = -1) -> tuple[bool, ...]:
        """Return which loops load an operand in their first iteration alone."""
        return tuple(
            level >= stays_from and (loop.axis not in axes or level == uncut)
            for level, loop in enumerate(self._loops)
        )

    def within(
        self, level: int, sizes: dict[str, int], at: _At, b_sizes: dict[str, int]
    ) -> Iterator[Part | Repeat[Part]]:
        """Yield the parts of loops `level` and inwards over a block of `sizes`."""
        if level == len(self._loops):
            yield _part(sizes, at, b_sizes)
            return
        a, b, c = (self._together[name] == level for name in "abc")
        resumed = c and at.resumed
        if a or b or resumed:
            before = at._replace(load_a=a, load_b=b, resumed=resumed, last=False, ends=False)
            yield _part(sizes, before, b_sizes)._replace(computes=False)
        others = at._replace(
            load_a=at.load_a and not a, load_b=at.load_b and not b, moves_c=at.moves_c and not c
        )
        yield from self._loop(level, sizes, others, b_sizes)
        if c:
            after = at._replace(load_a=False, load_b=False, resumed=False, drains=True)
            yield _part(sizes, after, b_sizes)._replace(computes=False)

    def _loop(
        self, level: int, sizes: dict[str, int], at: _At, b_sizes: dict[str, int]
    ) -> Iterator[Part | Repeat[Part]]:
        """Yield the parts of all iterations of the loop at `level`."""
        axis, step = self._loops[level]
        pieces = cut(sizes[axis], step)
        if axis in self._padded:
            pieces = [(step, ceil_div(sizes[axis], step))]
        for size, count, first, last in self._pieces(level, pieces):
            b_inner = b_sizes if level == self._b_uncut else {**b_sizes, axis: size}
            there = self._inside(level, at, first, last)
            inner = tuple(self.within(level + 1, {**sizes, axis: size}, there, b_inner))
            yield from repeated(count, inner)

    def _pieces(
        self, level: int, pieces: list[tuple[int, int]]
    ) -> Iterator[tuple[int, int, bool, bool]]:
        """Split off the first and the last iteration where they differ from the others."""
        first = self._a_stays[level] or self._b_stays[level] or self._sums[level]
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

    def _inside(self, level: int, at: _At, first: bool, last: bool) -> _At:
        load_a = at.load_a and (first or not self._a_stays[level])
        load_b = at.load_b and (first or not self._b_stays[level])
        ends = at.ends and (last or level < self._region)
        drains = level == self._drained_inside or (at.drains and last)
        at = at._replace(load_a=load_a, load_b=load_b, ends=ends, drains=drains)
        if not self._sums[level]:
            return at
        if level >= self._c_from:
            return at._replace(first=at.first and first, last=at.last and last)
        return at._replace(resumed=at.resumed or not first, final=at.final and last)


def _part(sizes: dict[str, int], at: _At, b_sizes: dict[str, int]) -> Part:
    stored = ("final" if at.final else "partial") if at.last and at.moves_c else ""
    return Part(
        tuple(sizes.values()),
        at.load_a,
        at.load_b,
        at.resumed and at.first and at.moves_c,
        stored,
        b_sizes=() if b_sizes == sizes else tuple(b_sizes.values()),
        ends=at.ends,
        drains=at.drains,
    )


def repeated(
    count: int, body: "tuple[Part | Repeat[Part], ...]"
) -> "Iterator[Part | Repeat[Part]]":
    """Yield `body` so often, as one repeat where there is something to repeat."""
    if count > 1:
        yield Repeat(count, body)
    elif count == 1:
        yield from body
