"""The mapper's space of a GEMM: tiles at powers of two and multiples of the array, two loop orders,
two more that spill sums. A search that minimises what moves also cuts by three.

An array whose folds do not overlap takes a GEMM whose operands fit the scratchpad in whole folds,
and in one tile if its outputs fit too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import For, Mapping, Sizes, halves, multiples, reusing
from simulator.mapping.problem import ProblemShape, TileLevel, TileNeeds
from simulator.mapping.spills import may_spill, spilling
from simulator.timing.dataflows import Dims
from simulator.timing.dataflows.phases import OVERLAPS

WITH_THIRDS = ("traffic", "energy", "edp")
"""Values of `accelerator.mapping` that search among more tiles."""

_LEAST = 8  # smallest tile dimension tried; half of the array's where that is more


@dataclass(frozen=True, slots=True, eq=False)
class GemmSpace:
    """Tiles (m, n, k) of a GEMM on an array. Reductions are innermost, so that sums stay until they
    are complete; outermost, too, on an array that may spill them.
    """

    array: Accelerator
    shape: ProblemShape

    @property
    def most_levels(self) -> int:
        """Halvings of the streamed dimension, and of its third."""
        return 10 if self._thirds else 5

    @property
    def _thirds(self) -> bool:
        """Whether tiles are also cut by three: traffic pays for a tile that fits badly."""
        return self.array.mapping in WITH_THIRDS

    @property
    def whole_folds(self) -> bool:
        """Whether folds do not overlap and the operands fit the scratchpad."""
        if not OVERLAPS[self.array.overlap].serial:
            return False
        return self.needs(self._dims).operands <= self.array.scratchpad

    def levels(self) -> Iterator[TileLevel]:
        """Yield the tiles with each halving of the streamed dimension."""
        whole_folds, dims = self.whole_folds, self._dims
        if whole_folds:
            yield TileLevel([dims], last=True)
        sides = self._sides(whole_folds=whole_folds)
        streamed = getattr(dims, self.shape.dataflow.axes.stream)
        for stream in halves(streamed, thirds=self._thirds):
            tiles = list(self._with_stream(sides, stream))
            yield TileLevel(tiles, last=whole_folds or stream <= _LEAST)

    def needs(self, tile: Sizes) -> TileNeeds:
        """Return what a tile takes on chip, beside what lies there anyway."""
        shape = self.shape
        a = 0 if "a" in shape.resident else shape.a_size(tile)
        b = 0 if "b" in shape.resident else shape.b_size(tile)
        return TileNeeds(a + b, shape.sum_bytes(tile))

    def mappings(self, tile: Sizes) -> Iterator[Mapping]:
        """Yield the loop orders of a tile that differ in what they load."""
        m, n, k = (For(axis, size) for axis, size in zip("mnk", tile, strict=True))
        cuts_m, cuts_n, cuts_k = (t < d for t, d in zip(tile, self._dims, strict=True))
        by_m, by_n = reusing((m, n, k), self.shape), reusing((n, m, k), self.shape)
        yield by_m
        # With the reduction cut, both orders load the same, unless one of the operands stays.
        if cuts_m and cuts_n and (not cuts_k or self.array.single_buffer):
            yield by_n
        if cuts_m and (cuts_k or cuts_n):
            yield by_m._replace(b_from=0)
        if cuts_n and (cuts_k or cuts_m):
            yield by_n._replace(a_from=0)
        if cuts_k and may_spill(self.array):
            yield from spilling(self.shape, (k,), (m,), (n,))

    def smallest(self) -> list[Mapping]:
        """Return the mappings of tiles with one vector of the streamed dimension."""
        tiles = self._with_stream(self._sides(whole_folds=False), 1)
        return [mapping for tile in tiles for mapping in self.mappings(tile)]

    @property
    def _dims(self) -> Dims:
        return Dims(*self.shape.extents.values())

    def _sides(self, *, whole_folds: bool) -> dict[str, list[int]]:
        """Return the tile sizes along the two dimensions that are unrolled, largest first.

        Parts of the array may stay unused for a better overlap of transfers, unless tiles are to
        be made of `whole_folds`.
        """
        array, axes, sides = self.array, self.shape.dataflow.axes, {}
        for axis, size in ((axes.row, array.rows), (axes.col, array.cols)):
            fold = size * (array.dot_width if axis == "k" else 1)
            least = fold if whole_folds else max(_LEAST, fold // 2)
            extent = self.shape.extents[axis]
            sides[axis] = multiples(extent, {fold, least}, thirds=self._thirds)
        return sides

    def _with_stream(self, sides: dict[str, list[int]], stream: int) -> Iterator[Sizes]:
        """Yield the tiles with that much of the streamed dimension, the largest first."""
        axes = self.shape.dataflow.axes
        nested = axes.row, axes.col, axes.stream
        m, n, k = (nested.index(axis) for axis in "mnk")
        for sizes in product(sides[axes.row], sides[axes.col], (stream,)):
            yield sizes[m], sizes[n], sizes[k]
