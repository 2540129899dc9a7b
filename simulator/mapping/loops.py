"""Loops over tiles, and how long each operand stays on chip: what a mapping is."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from simulator.memo import remember
from simulator.units import ceil_div

Sizes = tuple[int, ...]
"""Sizes of a tile along every axis, in the order of `IterationSpace.extents`."""


class IterationSpace(Protocol):
    """The axes of an operation, and which of them each operand depends on."""

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


class For(NamedTuple):
    """A temporal loop that cuts `axis` into pieces of `step`."""

    axis: str
    step: int


class Mapping(NamedTuple):
    """Temporal loops over tiles, outermost first, and the level from which each operand stays.

    An operand that stays from loop i inwards is loaded once for every iteration of the loops
    outside of i and reused by all inside; with level len(loops) it is loaded for every tile.
    Outputs stay in the accumulator likewise: a reduction further out spills partial sums.
    `preloaded` operands ("a", "b") are loaded whole before the first tile, into memory of their
    own. The loop at `b_untiled` does not cut B: its first iteration loads B for all of it. An
    operand or output in `bulk` ("a", "b", "c") that stays for several tiles moves in one transfer,
    before the first of them or after the last, with no computation beside it. An operand in
    `single` ("a", "b") stays in one buffer: its next block follows the last tile that uses it.

    For a machine in lockstep, the loops from `region` inwards are one dataflow region, and the
    pipeline drains after each iteration of the loop over axis `drains`. `evaluated`: how many
    tiles the host tries at run time before it chooses. Along `padded` axes the last piece is as
    large as any, as in loops of fixed bounds.
    """

    loops: tuple[For, ...]
    a_from: int
    b_from: int
    c_from: int
    preloaded: tuple[str, ...] = ()
    b_untiled: int = -1
    region: int | None = None
    drains: str = ""
    evaluated: int = 0
    padded: tuple[str, ...] = ()
    bulk: tuple[str, ...] = ()
    single: tuple[str, ...] = ()

    @property
    def region_from(self) -> int:
        """The loop from which inwards a region begins; by default that of a reduction."""
        return self.c_from if self.region is None else self.region

    @property
    def reuse_levels(self) -> tuple[int, int, int]:
        """The loops from which inwards A, B and the outputs stay."""
        return self.a_from, self.b_from, self.c_from

    @property
    def text(self) -> str:
        """The mapping in words: loops outermost first with their steps, and what stays."""
        words = [f"{loop.axis}/{loop.step}" for loop in self.loops] or ["whole"]
        words += [f"{name} held" for name in self.preloaded]
        inside = len(self.loops)
        for name, level in zip("abc", self.reuse_levels, strict=True):
            if (level < inside or name in self.single) and name not in self.preloaded:
                whole = " in one piece" if self.moves_in_bulk(name) else ""
                buffer = " in one buffer" if name in self.single else ""
                words.append(f"{name} stays{whole} from {level}{buffer}")
        return ", ".join(words)

    def moves_in_bulk(self, name: str) -> bool:
        """Return whether operand or output `name` moves apart from the tiles that use it."""
        level = self.reuse_levels["abc".index(name)]
        return name in self.bulk and name not in self.preloaded and level < len(self.loops)


def reusing(loops: Sequence[For], shape: IterationSpace) -> Mapping:
    """Return the mapping with these loops (those that cut nothing left out), in which each operand
    stays as long as that takes no more memory than its tile.
    """
    cuts = cutting(shape, loops)
    axes = tuple(loop.axis for loop in cuts)
    return Mapping(
        cuts,
        _reuse_level(axes, shape.a_axes),
        _reuse_level(axes, shape.b_axes),
        _reuse_level(axes, shape.c_axes),
    )


def reloading(loops: Sequence[For], shape: IterationSpace) -> Mapping:
    """Return the mapping that loads both operands for every tile; sums stay until complete."""
    reused = reusing(loops, shape)
    inside = len(reused.loops)
    return reused._replace(a_from=inside, b_from=inside)


@remember("reuse levels of loops", most=4096)
def _reuse_level(loops: tuple[str, ...], axes: frozenset[str]) -> int:
    """Walk outwards over loops that change nothing for an operand with these axes."""
    level = len(loops)
    while level and loops[level - 1] not in axes:
        level -= 1
    return level


def cutting(shape: IterationSpace, loops: Sequence[For]) -> tuple[For, ...]:
    """Return those of `loops` that cut something."""
    cuts, sizes = [], dict(shape.extents)
    for loop in loops:
        if loop.step < sizes[loop.axis]:
            cuts.append(loop)
            sizes[loop.axis] = loop.step
    return tuple(cuts)


def block(shape: IterationSpace, mapping: Mapping, level: int) -> Sizes:
    """Return the sizes of what the loops from `level` inwards work on."""
    sizes = dict(shape.extents)
    for axis, step in mapping.loops[:level]:
        sizes[axis] = min(sizes[axis], step)
    return tuple(sizes.values())


def reloads(shape: IterationSpace, mapping: Mapping, axes: frozenset[str], reuse_level: int) -> int:
    """Return how often an operand is loaded in full: once per iteration of outer loops that do
    not change it.
    """
    count = 1
    for level, loop in enumerate(mapping.loops[:reuse_level]):
        if loop.axis not in axes:
            count *= iterations(mapping.loops, level, shape)
    return count


def iterations(loops: tuple[For, ...], level: int, shape: IterationSpace) -> int:
    """Return how often the loop at `level` runs in a full iteration of those outside."""
    axis, step = loops[level]
    outside = [loop.step for loop in loops[:level] if loop.axis == axis]
    return ceil_div(outside[-1] if outside else shape.extents[axis], step)


def cut(dim: int, step: int) -> list[tuple[int, int]]:
    """Return (size, count) of the full pieces and of the remainder."""
    full, rest = divmod(dim, step)
    return ([(step, full)] if full else []) + ([(rest, 1)] if rest else [])


def halves(dim: int, *, thirds: bool = False) -> Iterator[int]:
    """Yield the whole dimension, then its halves down to 1; with `thirds` those of a third, too."""
    sizes = set(_halves(dim)) | (set(_halves(ceil_div(dim, 3))) if thirds else set())
    yield from sorted(sizes, reverse=True)


def _halves(dim: int) -> Iterator[int]:
    yield dim
    while dim > 1:
        dim = ceil_div(dim, 2)
        yield dim


def multiples(dim: int, units: set[int], *, thirds: bool = False) -> list[int]:
    """Return `dim` itself and the unit x 2^j below it, largest first; with `thirds` also the whole
    units that halves and thirds of it take.
    """
    sizes = {dim}
    for unit in units:
        size = unit
        while size < dim:
            sizes.add(size)
            size *= 2
        if thirds:
            sizes |= {min(dim, ceil_div(part, unit) * unit) for part in halves(dim, thirds=True)}
    return sorted(sizes, reverse=True)
